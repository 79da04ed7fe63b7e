//! What must be true of what was fetched.

use super::chain::ServedChain;
use super::joiner::Joiner;
use crate::state_root::recompute;
use alloy_primitives::{Sealable, keccak256};
use heddle_primitives::{Height, Pivot, StateChanges};
use heddle_storage::{Snapshot, Table};
use heddle_sync::SyncedBase;

/// A state must be that of the chain's own block.
pub fn check_pivot(chain: &ServedChain, pivot: &Pivot) -> Result<(), String> {
    let header = chain.header(pivot.height.as_u64());
    match header.filter(|header| header.header.state_root == pivot.state_root) {
        Some(_) => Ok(()),
        None => Err(format!("the state of block {} is not the chain's", pivot.height)),
    }
}

/// Where the chain starts must be its own block, after its own headers, with its own sets.
pub fn check_base(chain: &ServedChain, base: &SyncedBase) -> Result<(), String> {
    let height = base.pivot.header().number;
    let own = |height: u64| chain.header(height).map(|header| header.header.clone());
    if own(height).as_ref() != Some(base.pivot.header().inner()) {
        return Err(format!("block {height} is not the chain's"));
    }
    let first = height.saturating_sub(256).max(1);
    let ancestors = Vec::from_iter((first..height).filter_map(own).map(Sealable::seal_slow));
    if ancestors != base.ancestors {
        return Err("the headers before the pivot are not the chain's".to_owned());
    }
    let last = chain
        .genesis
        .heddle()
        .map_or(0, |heddle| heddle_primitives::Epoch::of(Height::new(height), heddle.epoch_length).as_u64());
    let is_needed = |(epoch, _): &&(heddle_primitives::Epoch, _)| epoch.as_u64() <= last;
    let needed = chain.sets.iter().filter(is_needed);
    match needed.clone().all(|set| base.validator_sets.contains(set)) {
        true => Ok(()),
        false => Err("a validator set is missing".to_owned()),
    }
}

/// Every row must be the pivot's, and the root over them too.
pub fn check_state(chain: &ServedChain, joiner: &Joiner, pivot: u64) -> Result<(), String> {
    let state = chain.states.get(&pivot).ok_or("the chain has no such state")?;
    let staged = joiner.database.snapshot();
    for table in [Table::Accounts, Table::Storage] {
        if rows(&staged, table)? != rows(state.snapshot(), table)? {
            return Err(format!("the rows of {table:?} are not those of block {pivot}"));
        }
    }
    for (hash, code) in rows(&staged, Table::Code)? {
        if keccak256(code) != *hash {
            return Err("a code is stored under another hash".to_owned());
        }
    }
    let root = recompute(&staged, &StateChanges::default())?;
    match chain.header(pivot).filter(|header| header.header.state_root == root) {
        Some(_) => Ok(()),
        None => Err(format!("the root over the rows is {root}")),
    }
}

/// When all pieces are of one state, everything must have been written once, however often the node stopped.
pub fn check_written_once(chain: &ServedChain, joiner: &Joiner, pivot: u64) -> Result<(), String> {
    let state = chain.states.get(&pivot).ok_or("the chain has no such state")?;
    let (accounts, slots, _) = joiner.written();
    let count = |table| rows(state.snapshot(), table).map(|rows| rows.len() as u64);
    let expected = (count(Table::Accounts)?, count(Table::Storage)?);
    match (accounts, slots) == expected {
        true => Ok(()),
        false => {
            Err(format!("{accounts} accounts and {slots} slots were written for {} and {}", expected.0, expected.1))
        }
    }
}

fn rows(snapshot: &Snapshot, table: Table) -> Result<Vec<(Vec<u8>, Vec<u8>)>, String> {
    let rows = snapshot.scan(table, &[]).map_err(|error| error.to_string())?;
    rows.map(|row| row.map_err(|error| error.to_string())).collect()
}
