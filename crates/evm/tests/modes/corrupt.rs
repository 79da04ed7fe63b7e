//! Access lists that are not the block's.

use alloy_eips::eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange, SlotChanges,
    StorageChange,
};
use alloy_primitives::{Address, Bytes, U256};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Where a list is changed.
struct Spot {
    /// Position of an account in the list.
    at: usize,
    /// Of a system call or transaction, up to one that no block has.
    index: BlockAccessIndex,
}

/// Changes a list if there is something of its kind to change.
type Corruption = fn(&mut BlockAccessList, Spot);

/// What no account and no slot is.
const NOWHERE: U256 = U256::from_limbs([0x7777, 0, 0, 0]);

const CORRUPTIONS: &[(&str, Corruption)] = &[
    ("an account removed", |list, spot| {
        list.remove(spot.at);
    }),
    ("an account added", |list, spot| list.insert(spot.at, AccountChanges::new(Address::repeat_byte(0x77)))),
    ("an account twice", |list, spot| list.insert(spot.at, list[spot.at].clone())),
    ("accounts in another order", |list, spot| list.swap(spot.at, 0)),
    ("a read removed", |list, spot| {
        list[spot.at].storage_reads.pop();
    }),
    ("a read added", |list, spot| list[spot.at].storage_reads.push(NOWHERE)),
    ("a read twice", |list, spot| {
        let read = list[spot.at].storage_reads.last().copied();
        list[spot.at].storage_reads.extend(read);
    }),
    ("reads in another order", |list, spot| list[spot.at].storage_reads.reverse()),
    ("a read of what is written", |list, spot| {
        let written = list[spot.at].storage_changes.first().map(|slot| slot.slot);
        list[spot.at].storage_reads.splice(..0, written);
    }),
    ("a slot removed", |list, spot| {
        list[spot.at].storage_changes.pop();
    }),
    ("a slot added", |list, Spot { at, index }| {
        list[at].storage_changes.push(SlotChanges::new(NOWHERE, vec![StorageChange::new(index, U256::ONE)]));
    }),
    ("a slot only read", |list, spot| {
        let slot = list[spot.at].storage_changes.pop().map(|slot| slot.slot);
        list[spot.at].storage_reads.extend(slot);
        list[spot.at].storage_reads.sort();
    }),
    ("slots in another order", |list, spot| list[spot.at].storage_changes.reverse()),
    ("a slot without changes", |list, spot| slot(list, &spot, |slot| slot.changes.clear())),
    ("a slot's last change removed", |list, spot| {
        slot(list, &spot, |slot| {
            slot.changes.pop();
        })
    }),
    ("a slot's first change removed", |list, spot| {
        slot(list, &spot, |slot| {
            slot.changes.remove(0);
        })
    }),
    ("a slot's changes in another order", |list, spot| slot(list, &spot, |slot| slot.changes.reverse())),
    ("a slot's change added", |list, spot| {
        slot(list, &spot, |slot| slot.changes.push(StorageChange::new(spot.index, NOWHERE)));
    }),
    ("a slot's first value changed", |list, spot| {
        slot(list, &spot, |slot| slot.changes[0].new_value ^= U256::ONE);
    }),
    ("a slot's index changed", |list, spot| {
        slot(list, &spot, |slot| slot.changes[0].block_access_index = spot.index);
    }),
    ("a balance removed", |list, spot| {
        list[spot.at].balance_changes.pop();
    }),
    ("a balance added", |list, Spot { at, index }| {
        list[at].balance_changes.push(BalanceChange::new(index, NOWHERE));
    }),
    ("a balance changed", |list, spot| {
        list[spot.at].balance_changes.iter_mut().take(1).for_each(|change| change.post_balance ^= U256::ONE);
    }),
    ("a balance's index changed", |list, Spot { at, index }| {
        list[at].balance_changes.iter_mut().take(1).for_each(|change| change.block_access_index = index);
    }),
    ("a nonce removed", |list, spot| {
        list[spot.at].nonce_changes.pop();
    }),
    ("a nonce added", |list, Spot { at, index }| list[at].nonce_changes.push(NonceChange::new(index, 0x7777))),
    ("a nonce changed", |list, spot| {
        list[spot.at].nonce_changes.iter_mut().take(1).for_each(|change| change.new_nonce += 1);
    }),
    ("a nonce's index changed", |list, Spot { at, index }| {
        list[at].nonce_changes.iter_mut().take(1).for_each(|change| change.block_access_index = index);
    }),
    ("a code removed", |list, spot| {
        list[spot.at].code_changes.pop();
    }),
    ("a code added", |list, Spot { at, index }| {
        list[at].code_changes.push(CodeChange::new(index, Bytes::from_static(&[0x60])));
    }),
    ("a code changed", |list, spot| {
        let longer = |code: &Bytes| [&code[..], &[0]].concat().into();
        list[spot.at].code_changes.iter_mut().take(1).for_each(|change| change.new_code = longer(&change.new_code));
    }),
    ("a code's index changed", |list, Spot { at, index }| {
        list[at].code_changes.iter_mut().take(1).for_each(|change| change.block_access_index = index);
    }),
];

/// Changes the account's last slot, if it has one.
fn slot(list: &mut BlockAccessList, spot: &Spot, change: impl FnOnce(&mut SlotChanges)) {
    if let Some(slot) = list[spot.at].storage_changes.last_mut() {
        change(slot);
    }
}

/// A list that differs from `list` in one thing, with what that is; `None` where the thing drawn is not in the list.
pub fn corrupt(
    list: &BlockAccessList,
    transactions: usize,
    random: &mut ChaCha8Rng,
) -> Option<(&'static str, BlockAccessList)> {
    let (name, corruption) = CORRUPTIONS[random.random_range(0..CORRUPTIONS.len())];
    let index = BlockAccessIndex::new(random.random_range(0..=transactions as u64 + 2));
    let start = random.random_range(0..list.len().max(1));
    (0..list.len()).find_map(|offset| {
        let mut corrupted = list.clone();
        corruption(&mut corrupted, Spot { at: (start + offset) % list.len(), index });
        (corrupted != *list).then_some((name, corrupted))
    })
}
