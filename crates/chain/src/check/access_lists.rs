//! Access lists: those of all blocks from the oldest that has one to the last, as their headers bind them.

use super::blocks::Last;
use crate::block_store::META_ACCESS_LISTS_FROM;
use crate::{Chain, ChainError};
use alloy_primitives::keccak256;
use heddle_primitives::{Header, bound_access_list};
use heddle_state::{CheckObserver, CheckProgress, Findings};
use heddle_storage::{Snapshot, Table};

pub(super) fn check(
    chain: &Chain,
    snapshot: &Snapshot,
    last: &Last,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), ChainError> {
    let oldest = match chain.inner.blocks.access_lists_from() {
        Ok(oldest) => oldest,
        Err(error) => {
            findings.add(Table::Meta, META_ACCESS_LISTS_FROM, error);
            return Ok(());
        }
    };
    let mut rows = 0;
    for row in snapshot.scan(Table::AccessLists, &[])? {
        let (key, list) = row?;
        rows += 1;
        let header = snapshot.get(Table::Headers, &key)?;
        let header = header.and_then(|row| alloy_rlp::decode_exact::<Header>(row).ok());
        if header.and_then(|header| bound_access_list(&header)) != Some(keccak256(&list)) {
            findings.add(Table::AccessLists, &key, "not the access list that the header binds");
        }
    }
    observer(CheckProgress { table: Table::AccessLists, rows });
    // Each row is a block's own, so that their number says whether one is missing.
    if rows != oldest.map_or(0, |oldest| last.number.saturating_add(1).saturating_sub(oldest)) {
        findings.add(Table::Meta, META_ACCESS_LISTS_FROM, format!("{rows} blocks have an access list"));
    }
    Ok(())
}
