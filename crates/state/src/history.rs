//! Earlier states: each block keeps what it replaced, so the value after block `n` is what the first later block that
//! touched the key replaced, or the current value when none did.

use crate::StateError;
use crate::rows::{ChangeSet, HEAD_KEY, OLDEST_KEY, history_key, read_number};
use heddle_storage::{Batch, Snapshot, Table};

/// Most blocks pruned into one batch, and from how many rows on no further block is added, which bounds the batch and
/// the time it takes.
const PRUNE_BLOCKS_MAX: u64 = 1024;
const PRUNE_ROWS_MAX: usize = if cfg!(test) { 16 } else { 100_000 };

/// What the first block after `number` that touched the key replaced: empty for nothing, `None` if no block touched it.
pub(crate) fn replaced_after(
    snapshot: &Snapshot,
    history: Table,
    flat_key: &[u8],
    number: u64,
) -> Result<Option<Vec<u8>>, StateError> {
    let Some(first) = number.checked_add(1) else { return Ok(None) };
    let from = history_key(flat_key, first);
    // One byte behind the highest number: the bound keeps the search from walking into other keys.
    let to = [&history_key(flat_key, u64::MAX)[..], &[0]].concat();
    let row = snapshot.range(history, &from, Some(&to))?.next().transpose()?;
    Ok(row.map(|(_, replaced)| replaced))
}

/// The oldest block whose state can be read, given the last committed one.
pub(crate) fn oldest(snapshot: &Snapshot, head: u64) -> Result<u64, StateError> {
    Ok(read_number(snapshot, OLDEST_KEY)?.unwrap_or(head))
}

/// Adds the deletion of history rows to a batch so that the state of block `oldest_wanted`, or of an earlier one when
/// there is too much for one batch, becomes the oldest. Returns that block's number.
///
/// The batch moves the horizon together with the rows, so a block is pruned whole or not at all. It deletes only rows
/// that no commit writes, and views opened before keep them.
pub(crate) fn prune(snapshot: &Snapshot, head: u64, oldest_wanted: u64, batch: &mut Batch) -> Result<u64, StateError> {
    let oldest = oldest(snapshot, head)?;
    let last = oldest_wanted.min(head).min(oldest.saturating_add(PRUNE_BLOCKS_MAX));
    let rows_before = batch.len();
    let mut reached = oldest;
    while reached < last && batch.len() - rows_before < PRUNE_ROWS_MAX {
        reached += 1;
        for changed in read_change_set(snapshot, reached)?.accounts {
            batch.delete(Table::AccountHistory, history_key(changed.key(), reached));
            for slot in changed.slot_keys() {
                batch.delete(Table::StorageHistory, history_key(slot, reached));
            }
        }
        batch.delete(Table::ChangeSets, reached.to_be_bytes());
    }
    if reached > oldest {
        batch.put(Table::Meta, OLDEST_KEY, reached.to_be_bytes());
    }
    Ok(reached)
}

/// Reads what a block changed.
pub(crate) fn read_change_set(snapshot: &Snapshot, number: u64) -> Result<ChangeSet, StateError> {
    let key = number.to_be_bytes();
    match snapshot.get(Table::ChangeSets, key)? {
        Some(row) => alloy_rlp::decode_exact(row).map_err(|error| StateError::corrupt(Table::ChangeSets, &key, error)),
        None => Err(StateError::corrupt(Table::ChangeSets, &key, "the row is missing")),
    }
}

/// Number of the last committed block.
pub(crate) fn head_number(snapshot: &Snapshot) -> Result<u64, StateError> {
    read_number(snapshot, HEAD_KEY)?.ok_or(StateError::NoState)
}
