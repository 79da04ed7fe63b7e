//! Which transactions changed an account, also those that only reach it by a call inside them.

use crate::backend::Backend;
use crate::error::MethodError;
use alloy_eips::eip7928::{AccountChanges, BlockAccessIndex};
use alloy_primitives::Address;
use heddle_chain::StoredBlock;
use std::collections::BTreeSet;

/// The places of the block's transactions that changed the account; none of a block whose access list is not kept.
pub(super) fn changing(
    backend: &Backend,
    stored: &StoredBlock,
    address: Address,
) -> Result<BTreeSet<usize>, MethodError> {
    let Some(list) = backend.chain.access_list(stored.header.number)? else { return Ok(BTreeSet::new()) };
    let Some(changes) = list.iter().find(|account| account.address == address) else { return Ok(BTreeSet::new()) };
    // The tips of every transaction are the fee recipient's.
    let is_paid = stored.header.beneficiary == address;
    Ok(indices(changes, !is_paid).filter_map(place).collect())
}

fn indices(changes: &AccountChanges, with_balance: bool) -> impl Iterator<Item = BlockAccessIndex> {
    let AccountChanges { storage_changes, balance_changes, nonce_changes, code_changes, .. } = changes;
    let storage = storage_changes.iter().flat_map(|slot| &slot.changes).map(|change| change.block_access_index);
    let balance = balance_changes.iter().filter(move |_| with_balance).map(|change| change.block_access_index);
    let nonce = nonce_changes.iter().map(|change| change.block_access_index);
    let code = code_changes.iter().map(|change| change.block_access_index);
    storage.chain(balance).chain(nonce).chain(code)
}

/// The place of a transaction; `None` for what comes before the first. What comes after the last has a place that none has.
fn place(index: BlockAccessIndex) -> Option<usize> {
    usize::try_from(index.get()).ok()?.checked_sub(1)
}
