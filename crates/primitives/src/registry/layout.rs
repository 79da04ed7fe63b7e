//! The contract's storage: Solidity's layout of its state variables, in their order.

use crate::{Validator, ValidatorSet, ValidatorSetError};
use alloy_primitives::{Address, B256, U256, keccak256};
use ed25519_dalek::VerifyingKey;

/// `members`: how many; their rows start at the hash of the slot.
pub(super) const MEMBERS_SLOT: U256 = U256::ZERO;
/// `signed`: bit i for the member i of the epoch, in order of address, that signed a certificate of the epoch.
pub const SIGNED_SLOT: U256 = U256::ONE;
/// `idOf`: by public key, the position in `known`, from 1.
const IDS_SLOT: u8 = 2;
/// `known`: how many; their rows start at the hash of the slot.
pub(super) const KNOWN_SLOT: u8 = 3;
/// `power`: four times 64 bits.
pub(super) const POWER_SLOT: u8 = 4;
/// `mode` (8 bits), `epochLength`, `exitDelay`, `jailDuration` (64 each).
pub(super) const SETTINGS_SLOT: u8 = 5;
/// `administrator`.
pub(super) const ADMINISTRATOR_SLOT: u8 = 6;
/// `unit`.
pub(super) const UNIT_SLOT: u8 = 7;
/// `minimumDeposit`.
pub(super) const MINIMUM_DEPOSIT_SLOT: u8 = 8;

/// Slots of a `Member`: key, then power (64 bits) and fee recipient (160).
const MEMBER_SLOTS: u64 = 2;
/// Slots of a `Validator`: key; power and fee recipient as in a member, then status (8 bits) and seat (16); release block
/// (64) and operator (160); deposit.
const VALIDATOR_SLOTS: u64 = 4;
/// Where the status and the seat stand in a validator's second slot.
pub(super) const STATUS_BIT: usize = 64 + 160;
pub(super) const SEAT_BIT: usize = STATUS_BIT + 8;
/// `Status.Active` and `Status.Tombstoned`.
pub(super) const ACTIVE: u8 = 1;
const TOMBSTONED: u8 = 5;

/// What the registry knows of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistryStanding {
    /// Nobody ever had it.
    Unknown,
    /// A validator has or had it.
    Known,
    /// Its validator was convicted.
    Tombstoned,
}

/// Reads the set that the next epoch takes. A member whose key is no ed25519 public key, or a weak one, is passed over:
/// the contract cannot tell, and nobody else shall suffer for it. All else that makes no set is an error, with which the
/// old set goes on.
///
/// `read` gives the value of a slot; at most 401 are asked for, in an order that depends on their values alone.
///
/// # Errors
/// That of `read`; the inner one is about what stands there.
pub fn read_members<E>(
    mut read: impl FnMut(U256) -> Result<U256, E>,
) -> Result<Result<ValidatorSet, ValidatorSetError>, E> {
    let count = usize::try_from(read(MEMBERS_SLOT)?).unwrap_or(usize::MAX);
    if count > ValidatorSet::MAX_VALIDATORS {
        return Ok(Err(ValidatorSetError::TooMany(count)));
    }
    let mut members = Vec::with_capacity(count);
    for index in 0..count {
        let [key_slot, share_slot] = member_slots(index);
        let (key, share) = (read(key_slot)?, read(share_slot)?);
        let (power, fee_recipient) = unpack_share(share);
        members.extend(usable_key(key).map(|key| Validator::new(key, power, fee_recipient)));
    }
    Ok(ValidatorSet::new(members))
}

/// Reads the keys of the members that [`read_members`] passes over: they would keep their seats for ever, because nobody
/// misses them.
///
/// # Errors
/// That of `read`, which gives the value of a slot.
pub fn read_unusable_keys<E>(mut read: impl FnMut(U256) -> Result<U256, E>) -> Result<Vec<B256>, E> {
    let count = usize::try_from(read(MEMBERS_SLOT)?).unwrap_or(usize::MAX).min(ValidatorSet::MAX_VALIDATORS);
    let mut unusable = Vec::new();
    for index in 0..count {
        let [key_slot, _] = member_slots(index);
        let key = read(key_slot)?;
        unusable.extend(usable_key(key).is_none().then_some(B256::from(key)));
    }
    Ok(unusable)
}

fn usable_key(word: U256) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&word.to_be_bytes()).ok().filter(|key| !key.is_weak())
}

/// Reads what became of whoever has or had a key.
///
/// # Errors
/// That of `read`, which gives the value of a slot.
pub fn read_standing<E>(
    public_key: &VerifyingKey,
    mut read: impl FnMut(U256) -> Result<U256, E>,
) -> Result<RegistryStanding, E> {
    let id = read(id_slot(public_key))?;
    let Some(index) = id.checked_sub(U256::ONE) else { return Ok(RegistryStanding::Unknown) };
    let status = (read(validator_slot(index, 1))? >> STATUS_BIT).byte(0);
    Ok(if status == TOMBSTONED { RegistryStanding::Tombstoned } else { RegistryStanding::Known })
}

/// Reads how many blocks the contract counts an epoch.
///
/// # Errors
/// That of `read`, which gives the value of a slot.
pub fn read_epoch_length<E>(mut read: impl FnMut(U256) -> Result<U256, E>) -> Result<u64, E> {
    Ok(low_64_bits(read(U256::from(SETTINGS_SLOT))? >> 8))
}

/// The slots of the member at `index`: its key, and its power with the fee recipient.
pub(super) fn member_slots(index: usize) -> [U256; 2] {
    let first = rows_of(MEMBERS_SLOT).wrapping_add(U256::from(index) * U256::from(MEMBER_SLOTS));
    [first, first.wrapping_add(U256::ONE)]
}

/// One of the slots of the validator at `index`.
pub(super) fn validator_slot(index: U256, slot: u64) -> U256 {
    let offset = index.wrapping_mul(U256::from(VALIDATOR_SLOTS)).wrapping_add(U256::from(slot));
    rows_of(U256::from(KNOWN_SLOT)).wrapping_add(offset)
}

/// The slot with the position of whoever has a key.
pub(super) fn id_slot(public_key: &VerifyingKey) -> U256 {
    let slot: B256 = U256::from(IDS_SLOT).into();
    keccak256([public_key.as_bytes(), slot.as_slice()].concat()).into()
}

pub(super) fn pack_share(power: u64, fee_recipient: Address) -> U256 {
    U256::from(power) | (address_word(fee_recipient) << 64)
}

fn unpack_share(share: U256) -> (u64, Address) {
    (low_64_bits(share), Address::from_word((share >> 64usize).into()))
}

pub(super) fn address_word(address: Address) -> U256 {
    address.into_word().into()
}

fn low_64_bits(word: U256) -> u64 {
    word.as_limbs()[0]
}

/// Where the rows of a dynamic array start.
fn rows_of(slot: U256) -> U256 {
    keccak256(B256::from(slot)).into()
}
