//! The contract itself, run as it is committed: its rules, and that nodes read from its storage what it answers.

use super::world::{
    GONE, World, addCall, administered, depositCall, epochCall, ether, exitCall, isMemberCall, isTombstonedCall, key,
    members_of, number_of, onBlockCall, removeCall, rotateKeyCall, set_of, setAdministratorCall, setFeeRecipientCall,
    setPowerCall, topUpCall, totalPowerCall, unjailCall, validatorOfCall, validatorsCall, withdrawCall,
};
use crate::tests::fixture::user;
use alloy_primitives::{Address, B256, U256};
use heddle_primitives::registry::{self, Governance, RegistryStanding, read_standing};
use heddle_primitives::{Validator, ValidatorSet};
use rand::{Rng, SeedableRng, rngs::StdRng};

/// The members that the contract answers with.
fn answered(world: &World) -> ValidatorSet {
    let members = world.ask(validatorsCall {}).into_iter().map(|member| {
        let n = (1..=255).find(|n| key(*n) == member.key).unwrap();
        Validator { fee_recipient: member.feeRecipient, ..super::world::member(n, member.power) }
    });
    ValidatorSet::new(members.collect()).unwrap()
}

fn staked() -> World {
    World::start(Governance::Staked { unit: ether(2), operator: user().address() }, 4)
}

#[test]
fn whatever_is_done_nodes_read_what_the_contract_answers() {
    let world = World::start(administered(), 6);
    let mut random = StdRng::seed_from_u64(5);
    let mut done = [0; 6];
    for _ in 0..120 {
        let (one, other, power) = (random.random_range(1..=12), random.random_range(1..=12), random.random_range(0..4));
        let (key, other) = (key(one), key(other));
        let action = random.random_range(0..6);
        let is_done = match action {
            0 => world.does(addCall { key, power, feeRecipient: Address::repeat_byte(one) }),
            1 => world.does(removeCall { key }),
            2 => world.does(setPowerCall { key, power }),
            3 => world.does(rotateKeyCall { oldKey: key, newKey: other }),
            4 => world.does(setFeeRecipientCall { key, feeRecipient: Address::repeat_byte(power as u8) }),
            _ => world.does(unjailCall { key }),
        };
        done[action] += u32::from(is_done);
        let registered = world.registered();
        assert_eq!(registered, answered(&world));
        assert_eq!(world.ask(totalPowerCall {}), registered.total_power());
        assert_eq!(world.ask(epochCall {}), (world.number() - 1) / 6);
        for member in registered.validators() {
            assert!(world.ask(isMemberCall { key: B256::from(member.public_key.to_bytes()) }));
        }
    }
    assert!(done[..5].iter().all(|times| *times > 2), "{done:?}");
}

#[test]
fn the_administrator_keeps_to_the_rules() {
    let world = World::start(administered(), 50);
    let add = |n, power| addCall { key: key(n), power, feeRecipient: Address::ZERO };
    assert!(!world.does(add(1, 1)), "a member");
    assert!(!world.does(add(5, 0)), "no power");
    assert!(!world.does(add(5, u64::MAX / 8)), "more power than nodes accept");
    assert!(!world.does(addCall { key: B256::ZERO, power: 1, feeRecipient: Address::ZERO }));
    assert!(!world.does(removeCall { key: key(5) }), "unknown");
    assert!(world.does(removeCall { key: key(4) }), "a quarter");
    assert!(!world.does(removeCall { key: key(3) }), "a half of what the epoch began with");
    assert!(!world.does(rotateKeyCall { oldKey: key(3), newKey: key(6) }), "that counts as well");
    assert!(world.does(add(4, 1)), "it was removed");
    assert!(!world.does(setPowerCall { key: key(4), power: 0 }));
    assert!(world.does(setPowerCall { key: key(4), power: 7 }));
    assert!(!world.does(setPowerCall { key: key(4), power: 1 }), "that takes power away");
    assert!(!world.does(onBlockCall { signers: U256::MAX, absent: vec![], equivocators: vec![key(1)] }), "no system");
    assert!(!world.does(depositCall { key: key(8), feeRecipient: Address::ZERO }), "another mode");
    assert!(!world.does(exitCall { key: key(1) }), "another mode");
    world.run_to(50);
    assert!(world.does(rotateKeyCall { oldKey: key(3), newKey: key(6) }), "another epoch");
    assert!(!world.does(rotateKeyCall { oldKey: key(6), newKey: key(3) }), "a key is used once");
    assert!(!world.does(add(3, 1)), "and has one owner");
    assert!(!world.does(setAdministratorCall { to: Address::ZERO }));
    assert!(world.does(setAdministratorCall { to: Address::repeat_byte(1) }));
    assert!(!world.does(add(7, 1)), "somebody else is the administrator");
}

#[test]
fn there_is_room_for_as_many_members_as_nodes_accept() {
    let world = World::start(administered(), 1_000);
    let add = |n| world.send(addCall { key: key(n), power: 1, feeRecipient: Address::ZERO });
    for ns in (5..=200u8).collect::<Vec<_>>().chunks(25) {
        assert!(world.extend(ns.iter().map(|n| add(*n)).collect()).iter().all(|is_done| *is_done));
    }
    assert_eq!(world.registered(), answered(&world));
    assert_eq!(world.registered().validators().len(), ValidatorSet::MAX_VALIDATORS);
    assert!(!world.extend(vec![add(201)])[0]);
}

#[test]
fn a_key_that_is_none_has_a_seat_and_no_vote() {
    let world = World::start(administered(), 3);
    let key = B256::from(U256::from(2).reverse_bits());
    assert!(world.does(addCall { key, power: 1, feeRecipient: Address::ZERO }));
    assert!(world.ask(isMemberCall { key }));
    world.run_to(3);
    assert_eq!(world.members(), [(1, 1), (2, 1), (3, 1), (4, 1)]);
    world.run_to(6);
}

#[test]
fn a_deposit_makes_a_validator_and_an_exit_gives_it_back() {
    let world = staked();
    let deposit = |n| depositCall { key: key(n), feeRecipient: Address::repeat_byte(n) };
    let pay = |call, amount| world.extend(vec![world.pay(call, ether(amount))])[0];
    assert!(!pay(deposit(5), 1), "below a unit");
    assert!(pay(deposit(5), 5), "two units and a half");
    assert!(world.extend(vec![world.pay(topUpCall { key: key(5) }, ether(3))])[0]);
    assert!(!world.does(addCall { key: key(6), power: 1, feeRecipient: Address::ZERO }), "another mode");
    world.run_to(4);
    assert_eq!(world.members(), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 4)]);

    assert!(!world.does(exitCall { key: key(5) }), "half of the power");
    assert!(world.does(exitCall { key: key(1) }), "an eighth, of a validator of genesis");
    let released = world.ask(validatorOfCall { key: key(1) }).releaseBlock;
    assert_eq!(released, world.number() + 8);
    assert!(!world.does(withdrawCall { key: key(1) }), "too early");
    assert!(!pay(deposit(1), 2), "its deposit is locked");
    world.run_to(released - 1);
    let before = world.chain.state().account(registry::ADDRESS).unwrap().unwrap().balance;
    assert_eq!(before, ether(16));
    assert!(world.does(withdrawCall { key: key(1) }));
    assert_eq!(world.chain.state().account(registry::ADDRESS).unwrap().unwrap().balance, ether(14));
    assert_eq!(world.ask(validatorOfCall { key: key(1) }).status, GONE);
    assert!(!world.does(withdrawCall { key: key(1) }), "nothing is left");
    assert!(pay(deposit(1), 2), "its owner may come back");
    world.run_to(world.number().next_multiple_of(4));
    assert_eq!(members_of(&world.registered()), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 4)]);
}

#[test]
fn who_equivocates_loses_its_deposit_even_under_another_key_and_on_its_way_out() {
    let world = staked();
    assert!(world.does(rotateKeyCall { oldKey: key(2), newKey: key(22) }));
    world.run_to(4);
    assert!(world.does(exitCall { key: key(22) }));
    assert!(world.chain.add_evidence(world.equivocation(2, 3)).unwrap());
    world.extend(Vec::new());
    let record = world.ask(validatorOfCall { key: key(22) });
    assert_eq!((record.status, record.deposit), (super::world::TOMBSTONED, U256::ZERO));
    for n in [2, 22] {
        assert!(world.ask(isTombstonedCall { key: key(n) }), "key {n}");
        let public_key = super::world::signing_key(n).public_key();
        let state = world.chain.state();
        let standing = read_standing(&public_key, |slot| state.storage(registry::ADDRESS, slot)).unwrap();
        assert_eq!(standing, RegistryStanding::Tombstoned);
        assert!(!world.extend(vec![world.pay(depositCall { key: key(n), feeRecipient: Address::ZERO }, ether(2))])[0]);
    }
    world.run_to(14);
    assert!(!world.does(withdrawCall { key: key(22) }));
    assert_eq!(world.chain.state().account(registry::ADDRESS).unwrap().unwrap().balance, ether(8), "nobody gets it");
    assert!(world.registered().validators().iter().all(|member| ![2, 22].contains(&number_of(member))));
}

#[test]
fn a_registry_that_holds_no_set_leaves_the_old_one() {
    // Its only member's key becomes one that nodes pass over.
    let world = World::start(administered(), 2);
    for n in 2..=4 {
        world.chain.add_evidence(world.equivocation(n, 1)).unwrap();
    }
    world.run_to(2);
    let bad = B256::from(U256::from(2).reverse_bits());
    assert!(world.does(addCall { key: bad, power: 100, feeRecipient: Address::ZERO }));
    world.run_to(4);
    assert!(world.does(removeCall { key: key(1) }), "one of a hundred and one");
    let before = world.members();
    world.run_to(6);
    assert_eq!((world.members(), before), (vec![(1, 1)], vec![(1, 1)]));
    assert_eq!(set_of([(1, 1)]).total_power(), 1);
    assert_eq!(world.chain.check(&mut |_| {}).unwrap().first(), []);
}
