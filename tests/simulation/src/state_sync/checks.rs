//! What must be true of what was fetched.

use super::chain::ServedChain;
use super::joiner::Joiner;
use crate::state_root::recompute;
use alloy_primitives::{KECCAK256_EMPTY, Sealable, keccak256};
use alloy_trie::TrieAccount;
use heddle_primitives::{Epoch, Height, Pivot, StateChanges};
use heddle_storage::{Snapshot, Table};
use heddle_sync::SyncedBase;
use std::collections::BTreeMap;

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
    let length = chain.genesis.heddle().map_or(0, |heddle| heddle.epoch_length);
    let last = Epoch::of(Height::new(height), length);
    let mut needed = chain.sets.iter().filter(|(epoch, _)| *epoch <= last);
    let is_complete = needed.all(|set| base.validator_sets.contains(set));
    match is_complete && base.validator_sets.iter().all(|set| chain.sets.contains(set)) {
        true => Ok(()),
        false => Err("the validator sets are not the chain's".to_owned()),
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
    let codes = BTreeMap::from_iter(rows(&staged, Table::Code)?);
    if codes.iter().any(|(hash, code)| keccak256(code) != **hash) {
        return Err("a code is stored under another hash".to_owned());
    }
    for (_, row) in rows(&staged, Table::Accounts)? {
        let account: TrieAccount = alloy_rlp::decode_exact(&row).map_err(|error| error.to_string())?;
        if account.code_hash != KECCAK256_EMPTY && !codes.contains_key(account.code_hash.as_slice()) {
            return Err(format!("code {} is missing", account.code_hash));
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

type Row = (Vec<u8>, Vec<u8>);

fn rows(snapshot: &Snapshot, table: Table) -> Result<Vec<Row>, String> {
    let rows = snapshot.scan(table, &[]).map_err(|error| error.to_string())?;
    rows.map(|row| row.map_err(|error| error.to_string())).collect()
}
