//! What is written is read back.

use super::*;
use crate::{ConsensusKey, Genesis, HeddleConfig, Validator, ValidatorSet, ValidatorSetError};
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{B256, U256};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

fn storage_of(start: &RegistryStart, validators: &ValidatorSet) -> BTreeMap<U256, U256> {
    let account = start.account(validators).unwrap();
    account.storage.unwrap().into_iter().map(|(slot, value)| (slot.into(), value.into())).collect()
}

fn reader(storage: &BTreeMap<U256, U256>) -> impl FnMut(U256) -> Result<U256, Infallible> {
    |slot| Ok(storage.get(&slot).copied().unwrap_or_default())
}

fn read(storage: &BTreeMap<U256, U256>) -> Result<ValidatorSet, ValidatorSetError> {
    read_members(reader(storage)).unwrap()
}

fn administered() -> RegistryStart {
    RegistryStart::new(Governance::Administered { administrator: Address::repeat_byte(0xad) }, 100)
}

fn validators(powers: &[u64]) -> ValidatorSet {
    let member = |(n, power): (usize, &u64)| {
        let key = ConsensusKey::from_bytes(&[n as u8 + 1; 32]);
        Validator::new(key.public_key(), *power, Address::repeat_byte(n as u8))
    };
    ValidatorSet::new(powers.iter().enumerate().map(member).collect()).unwrap()
}

proptest! {
    #[test]
    fn what_genesis_writes_is_what_nodes_read(
        powers in proptest::collection::vec(1..=ValidatorSet::MAX_TOTAL_POWER / 200, 1..=200),
        epoch_length in 1..=u64::MAX,
        is_staked in any::<bool>(),
    ) {
        let set = validators(&powers);
        let (unit, operator) = (U256::from(7), Address::repeat_byte(9));
        let governance =
            if is_staked { Governance::Staked { unit, operator } } else { administered().governance };
        let start = RegistryStart::new(governance, epoch_length);
        let storage = storage_of(&start, &set);
        prop_assert_eq!(read(&storage), Ok(set.clone()));
        prop_assert_eq!(read_epoch_length(reader(&storage)), Ok(epoch_length));
        let standing = read_standing(&set.validators()[0].public_key, reader(&storage));
        prop_assert_eq!(standing, Ok(RegistryStanding::Known));
        let balance = if is_staked { unit * U256::from(set.total_power()) } else { U256::ZERO };
        prop_assert_eq!(start.account(&set).unwrap().balance, balance);
    }

    #[test]
    fn no_storage_makes_the_reader_fail(words in proptest::collection::vec(any::<[u8; 32]>(), 1..9), count in 0..300u64) {
        let mut words = words.into_iter().cycle();
        let mut asked = 0;
        let read = read_members(|slot| {
            asked += 1;
            let word = words.next().unwrap_or_default();
            Ok::<_, Infallible>(if slot.is_zero() { U256::from(count) } else { U256::from_be_bytes(word) })
        });
        prop_assert!(asked <= 401);
        prop_assert_eq!(read.unwrap() == Err(ValidatorSetError::TooMany(count as usize)), count > 200);
    }
}

#[test]
fn a_key_that_is_none_costs_only_its_own_member_the_seat() {
    let set = validators(&[1, 2, 3]);
    // The second coordinate of no point, the neutral point, and a point of small order.
    for bad in [U256::from(2).reverse_bits(), U256::from(1) << 248, U256::ZERO] {
        let mut storage = storage_of(&administered(), &set);
        storage.insert(layout::member_slots(1)[0], bad);
        let left = read(&storage).unwrap();
        let others = [&set.validators()[0], &set.validators()[2]];
        assert!(left.validators().iter().eq(others), "{bad:#x}: {left:?}");
    }
}

#[test]
fn what_is_no_set_is_an_error() {
    let set = validators(&[1, 2]);
    let broken = |slot: U256, value: U256| {
        let mut storage = storage_of(&administered(), &set);
        storage.insert(slot, value);
        read(&storage).unwrap_err()
    };
    assert_eq!(broken(U256::ZERO, U256::ZERO), ValidatorSetError::Empty);
    assert_eq!(broken(U256::ZERO, U256::from(201)), ValidatorSetError::TooMany(201));
    assert_eq!(broken(U256::ZERO, U256::MAX), ValidatorSetError::TooMany(usize::MAX));
    let [key_slot, share_slot] = layout::member_slots(1);
    assert!(matches!(broken(share_slot, U256::ZERO), ValidatorSetError::NoPower(_)));
    assert_eq!(broken(share_slot, U256::MAX), ValidatorSetError::PowerOverflow);
    let other = U256::from_be_bytes(*set.validators()[0].public_key.as_bytes());
    assert!(matches!(broken(key_slot, other), ValidatorSetError::Duplicate(_)));
}

#[test]
fn the_call_is_in_the_contracts_abi() {
    let notice = RegistryNotice {
        signers: U256::from(5),
        absent: vec![B256::repeat_byte(1)],
        equivocators: vec![B256::repeat_byte(2), B256::repeat_byte(3)],
    };
    let data = notice.calldata();
    let words: Vec<U256> = data[4..].chunks(32).map(U256::from_be_slice).collect();
    let key = |byte| U256::from_be_bytes([byte; 32]);
    let numbers = [5, 96, 160].map(U256::from);
    assert_eq!(words[..3], numbers);
    assert_eq!(words[3..], [U256::from(1), key(1), U256::from(2), key(2), key(3)]);
}

/// The error of a genesis with a registry, spoilt in some way.
fn genesis_error(spoil: impl FnOnce(&mut HeddleConfig, &mut GenesisAccount)) -> String {
    let validators = validators(&[1, 2]);
    let mut registry = administered().account(&validators).unwrap();
    let mut heddle = HeddleConfig {
        validators,
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length: 100,
        registry: Some(ADDRESS),
    };
    spoil(&mut heddle, &mut registry);
    let code = GenesisAccount::default().with_code(Some(Bytes::from_static(&[0])));
    let systems = [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS];
    let mut alloc = BTreeMap::from(systems.map(|address| (address, code.clone())));
    alloc.insert(ADDRESS, registry);
    let file = alloy_genesis::Genesis { gas_limit: 30_000_000, alloc, ..Default::default() };
    match Genesis::new_heddle(file, heddle) {
        Ok(genesis) => {
            let json = genesis.to_json().unwrap();
            assert_eq!(Genesis::from_json(&json).unwrap().hash(), genesis.hash());
            String::new()
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn genesis_says_the_same_of_its_validators_twice() {
    assert_eq!(genesis_error(|_, _| ()), "");
    assert_eq!(genesis_error(|_, registry| registry.code = Some(Bytes::from_static(&[1]))), "", "of another version");
    let named = format!("genesis: config.heddle.registry is {ADDRESS}, but ");
    let table = [
        (genesis_error(|_, registry| registry.code = None), "alloc has no code there"),
        (genesis_error(|heddle, _| heddle.epoch_length = 50), "epochs of 100 blocks, config.heddle.epochLength is 50"),
        (
            genesis_error(|heddle, _| heddle.validators = validators(&[1, 3])),
            "other members than config.heddle.validators",
        ),
        (genesis_error(|_, registry| registry.storage = None), "its storage has epochs of 0 blocks"),
        (
            genesis_error(|_, registry| {
                registry.storage.as_mut().unwrap().insert(B256::ZERO, B256::ZERO);
            }),
            "no validators: a validator set needs at least one",
        ),
    ];
    for (error, problem) in table {
        assert!(error.starts_with(&named) && error.contains(problem), "{error}");
    }
}

#[test]
fn a_set_has_one_encoding() {
    let set = validators(&[3, 1, 2]);
    let bytes = alloy_rlp::encode(&set);
    assert_eq!(alloy_rlp::decode_exact::<ValidatorSet>(&bytes), Ok(set.clone()));
    let of_one = |member: &Validator| ValidatorSet::new(vec![member.clone()]).unwrap();
    let payload = |set: &ValidatorSet| {
        let bytes = alloy_rlp::encode(set);
        alloy_rlp::Header::decode_bytes(&mut &bytes[..], true).unwrap().to_vec()
    };
    let mut members: Vec<_> = set.validators().iter().map(|member| payload(&of_one(member))).collect();
    assert_eq!(members.concat(), payload(&set));
    members.swap(0, 1);
    let swapped = [&bytes[..bytes.len() - members.concat().len()], &members.concat()].concat();
    assert!(alloy_rlp::decode_exact::<ValidatorSet>(&swapped).is_err());
    assert!(alloy_rlp::decode_exact::<ValidatorSet>([alloy_rlp::EMPTY_LIST_CODE]).is_err());
}
