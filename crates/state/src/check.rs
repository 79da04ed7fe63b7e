//! Whether the state's tables are what they must be: everything is computed anew from the flat tables and compared.
//!
//! One pass over accounts and slots in the order of their keys builds every trie as a stream and compares its rows with
//! the stored ones as they come, so memory does not grow with the state. What is wrong is collected, up to a bound; only a
//! database that cannot be read at all ends the check early.

mod code;
mod findings;
mod history;
mod tries;

#[cfg(test)]
mod tests;

pub use findings::{CheckObserver, CheckProgress, Finding, Findings};

use crate::StateError;
use crate::rows::{HEAD_KEY, OLDEST_KEY, ROOT_KEY};
use alloy_primitives::B256;
use heddle_storage::{Snapshot, Table};

/// Rows of [`Table::Meta`] that belong to the state.
pub const META_KEYS: [&[u8]; 3] = [HEAD_KEY, OLDEST_KEY, ROOT_KEY];

/// Checks all tables of the state against the number and the state root of the last committed block: flat rows, tries,
/// code, change sets and history.
///
/// # Errors
/// The disk's. A damaged row is a finding, not an error.
pub fn check(
    snapshot: &Snapshot,
    head: u64,
    state_root: B256,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), StateError> {
    check_meta(snapshot, HEAD_KEY, &head.to_be_bytes(), "not the number of the last block", findings)?;
    check_meta(snapshot, ROOT_KEY, state_root.as_slice(), "not the state root of the last block", findings)?;
    tries::check(snapshot, state_root, findings, observer)?;
    code::check(snapshot, findings, observer)?;
    history::check(snapshot, head, findings, observer)
}

fn check_meta(
    snapshot: &Snapshot,
    key: &[u8],
    expected: &[u8],
    otherwise: &str,
    findings: &mut Findings,
) -> Result<(), StateError> {
    if snapshot.get(Table::Meta, key)?.as_deref() != Some(expected) {
        findings.add(Table::Meta, key, otherwise);
    }
    Ok(())
}
