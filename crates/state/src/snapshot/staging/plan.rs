//! What is to be asked for.

use super::marks::{self, Counts, Missing};
use super::spans::{self, Span};
use super::{read_account, storage_of};
use crate::StateError;
use crate::rows::{LAST_KEY, TrieId};
use crate::trie::StoredTrie;
use alloy_primitives::{B256, U256};
use heddle_primitives::{MAX_ACCOUNTS_PER_REQUEST, MAX_CODES_PER_REQUEST, Pivot, StateTask};
use heddle_storage::Snapshot;
use std::collections::BTreeSet;

/// From how many tasks on nothing is added to a plan, so that it stays small whatever is missing.
const TASKS_ENOUGH: usize = 8 * 1024;
/// About how many leaves are proven at once.
const LEAVES_PER_PROOF: usize = if cfg!(test) { 16 } else { 4096 };
/// All keys of a trie.
const WHOLE: (B256, B256) = (B256::ZERO, LAST_KEY);

pub(super) fn plan(snapshot: &Snapshot, pivot: Pivot) -> Result<Vec<StateTask>, StateError> {
    let mut tasks = Vec::new();
    let spans = trie_tasks(snapshot, None, pivot.state_root, &mut tasks)?;
    let proven: Vec<_> = spans.into_iter().filter(|span| span.root == pivot.state_root).collect();
    for span in &proven {
        storage_tasks(snapshot, (span.first, span.last), &mut tasks)?;
    }
    let mut codes = BTreeSet::new();
    for code in marks::missing_codes(snapshot, None)? {
        let (hash, account) = code?;
        let at = proven.partition_point(|span| span.last < account);
        if proven.get(at).is_some_and(|span| span.first <= account) {
            codes.insert(hash);
        }
        if codes.len() >= TASKS_ENOUGH {
            break;
        }
    }
    code_tasks(codes, &mut tasks);
    Ok(tasks)
}

/// What is missing of the trie of accounts, or of an account's storage trie, for it to have this root. Returns the spans
/// there are.
fn trie_tasks(
    snapshot: &Snapshot,
    owner: Option<B256>,
    root: B256,
    tasks: &mut Vec<StateTask>,
) -> Result<Vec<Span>, StateError> {
    let trie = owner.map_or(TrieId::Accounts, storage_of);
    let spans: Vec<_> = spans::overlapping(snapshot, trie, WHOLE)?.collect::<Result<_, _>>()?;
    let fetch = |(first, last)| match owner {
        None => StateTask::Accounts { first, last },
        Some(account) => StateTask::Storage { accounts: vec![account], first, last },
    };
    tasks.extend(spans::gaps(WHOLE, &spans).into_iter().flat_map(cut).map(fetch));
    for span in spans.iter().filter(|span| span.root != root) {
        if tasks.len() >= TASKS_ENOUGH {
            break;
        }
        let parts = proof_parts(snapshot, trie, span)?;
        tasks.extend(parts.map(|(first, last)| StateTask::RangeProof { owner, first, last }));
    }
    Ok(spans)
}

/// Adds the slots that are missing of accounts from one to another, both included, whose rows are proven.
pub(super) fn storage_tasks(
    snapshot: &Snapshot,
    range: (B256, B256),
    tasks: &mut Vec<StateTask>,
) -> Result<(), StateError> {
    let mut accounts = Vec::new();
    for storage in marks::missing_storages(snapshot, range)? {
        if tasks.len() >= TASKS_ENOUGH {
            break;
        }
        let (account, missing) = storage?;
        if missing == Missing::Some {
            let root = read_account(snapshot, account)?.map(|account| account.storage_root).unwrap_or_default();
            trie_tasks(snapshot, Some(account), root, tasks)?;
            continue;
        }
        accounts.push(account);
        if accounts.len() == MAX_ACCOUNTS_PER_REQUEST {
            tasks.push(whole_storage(std::mem::take(&mut accounts)));
        }
    }
    if !accounts.is_empty() {
        tasks.push(whole_storage(accounts));
    }
    Ok(())
}

fn whole_storage(accounts: Vec<B256>) -> StateTask {
    StateTask::Storage { accounts, first: WHOLE.0, last: WHOLE.1 }
}

/// Adds code to be asked for.
pub(super) fn code_tasks(hashes: BTreeSet<B256>, tasks: &mut Vec<StateTask>) {
    let hashes: Vec<_> = hashes.into_iter().collect();
    tasks.extend(hashes.chunks(MAX_CODES_PER_REQUEST).map(|hashes| StateTask::Code { hashes: hashes.to_vec() }));
}

/// Cuts a range where the first nibble of the keys changes, so that several peers can be asked at once.
pub(super) fn cut(range: (B256, B256)) -> impl Iterator<Item = (B256, B256)> {
    cut_at(range, 1)
}

/// Cuts a range where the first nibbles of the keys, that many and at least one, change.
fn cut_at((first, last): (B256, B256), nibbles: usize) -> impl Iterator<Item = (B256, B256)> {
    let low = U256::MAX >> (4 * nibbles);
    let mut next = Some(first);
    std::iter::from_fn(move || {
        let from = next.filter(|from| *from <= last)?;
        let to = B256::from(U256::from_be_bytes(from.0) | low).min(last);
        next = spans::after(to);
        Some((from, to))
    })
}

/// Nibbles by which this many leaves fall apart into parts of no more than are proven at once, were they evenly spread.
fn nibbles_of(leaves: u64) -> usize {
    let parts = leaves.div_ceil(LEAVES_PER_PROOF as u64).max(1);
    parts.ilog(16) as usize + 1
}

/// Cuts a span into parts of about as many leaves as are proven at once. Keys are hashes, so a few tell how dense all are.
fn proof_parts(
    snapshot: &Snapshot,
    trie: TrieId,
    span: &Span,
) -> Result<impl Iterator<Item = (B256, B256)>, StateError> {
    let mut leaves = StoredTrie { snapshot, cache: None, id: trie }.leaves(span.first, span.last)?;
    let nibbles = match leaves.nth(LEAVES_PER_PROOF).transpose()? {
        // The fewest by which a part has no more of these, were all keys as dense: whoever grinds keys may make them
        // so, but cannot make more leaves of them.
        Some((key, _)) => {
            let width = U256::from_be_bytes(key.0) - U256::from_be_bytes(span.first.0);
            let leaves = Counts::seen(snapshot)?.leaves(trie);
            width.leading_zeros().div_ceil(4).min(nibbles_of(leaves)).clamp(1, 63)
        }
        None => 0,
    };
    Ok(cut_at((span.first, span.last), nibbles))
}
