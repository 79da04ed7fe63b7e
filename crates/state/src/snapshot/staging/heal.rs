//! From one pivot to the next: what is here is compared with the new trie by the nodes above it.

use super::spans::{self, Span};
use super::write::Write;
use super::{AcceptError, Accepted, Staging, marks, plan, proven_account, storage_of};
use crate::StateError;
use crate::range_proof::differences;
use crate::rows::{TrieId, decode_account};
use crate::trie::StoredTrie;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY};
use heddle_primitives::{Pivot, StateTask};
use heddle_storage::{Snapshot, Table};

impl Staging {
    pub(super) fn accept_proof(
        &self,
        pivot: Pivot,
        owner: Option<B256>,
        (first, last): (B256, B256),
        proof: &[Bytes],
    ) -> Result<Accepted, AcceptError> {
        let mut write = self.write();
        let (trie, root) = match owner {
            None => (TrieId::Accounts, pivot.state_root),
            Some(account) => match proven_account(&write.snapshot, pivot, account, &mut None)? {
                Some(leaf) => (storage_of(account), leaf.storage_root),
                None => return Ok(Accepted::default()),
            },
        };
        // Storage that is whole, or was fetched anew, needs no proof of what was there.
        if owner.is_some() && !is_stale(&write.snapshot, trie, (first, last), root)? {
            return Ok(Accepted::default());
        }
        let leaves = StoredTrie { snapshot: &write.snapshot, cache: None, id: trie }.leaves(first, last)?;
        let leaves: Vec<_> = leaves.collect::<Result<_, _>>()?;
        let fetch = join(differences(root, (first, last), &leaves, proof)?);
        let proven = complement((first, last), &fetch);
        let spans = proven.iter().map(|(first, last)| Span { first: *first, last: *last, root });
        match owner {
            Some(account) => {
                write.storage_proven(account, (first, last), spans)?;
                let task = |(first, last)| StateTask::Storage { accounts: vec![account], first, last };
                write.accepted.tasks.extend(fetch.into_iter().map(task));
                Ok(write.commit(|_, _| Ok(()))?)
            }
            None => {
                spans::replace(&write.snapshot, trie, (first, last), spans)?.write(&mut write.batch);
                write.codes_of(&proven, &leaves)?;
                write.accepted.tasks.extend(fetch.into_iter().map(|(first, last)| StateTask::Accounts { first, last }));
                Ok(write.commit(|snapshot, tasks| {
                    proven.into_iter().try_for_each(|range| plan::storage_tasks(snapshot, range, tasks))
                })?)
            }
        }
    }
}

/// Whether a part of these keys still waits to be proven against a root.
fn is_stale(snapshot: &Snapshot, trie: TrieId, range: (B256, B256), root: B256) -> Result<bool, StateError> {
    for span in spans::overlapping(snapshot, trie, range)? {
        if span?.root != root {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Joins ranges that touch.
fn join(ranges: Vec<(B256, B256)>) -> Vec<(B256, B256)> {
    let mut joined: Vec<(B256, B256)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(one) if spans::after(one.1) == Some(first) => one.1 = last,
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// The keys from `first` to `last` that are in none of these ranges.
fn complement(range: (B256, B256), ranges: &[(B256, B256)]) -> Vec<(B256, B256)> {
    let spans: Vec<_> =
        ranges.iter().map(|(first, last)| Span { first: *first, last: *last, root: B256::ZERO }).collect();
    spans::gaps(range, &spans)
}

impl Write<'_> {
    /// Asks for the code of accounts in ranges, where it is missing.
    fn codes_of(&mut self, ranges: &[(B256, B256)], leaves: &[(B256, Vec<u8>)]) -> Result<(), StateError> {
        for (first, last) in ranges {
            let start = leaves.partition_point(|(key, _)| key < first);
            for (key, row) in leaves.iter().skip(start).take_while(|(key, _)| key <= last) {
                let hash = decode_account(Table::Accounts, key.as_slice(), row)?.code_hash;
                if hash != KECCAK256_EMPTY && marks::is_missing_code(&self.snapshot, hash, *key)? {
                    self.codes.insert(hash);
                }
            }
        }
        Ok(())
    }
}
