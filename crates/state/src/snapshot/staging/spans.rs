//! Spans of keys of a trie whose leaves are staged, and the root that they were proven against.
//!
//! A span stands under its last key, so that the one with a key in it is found by seeking forward. Spans do not overlap, and
//! those that touch and have the same root are one.

use super::marks::{SPAN, read_hash};
use crate::StateError;
use crate::rows::{LAST_KEY, TrieId};
use alloy_primitives::{B256, U256};
use alloy_trie::Nibbles;
use heddle_storage::{Batch, Snapshot, Table};

/// The keys from `first` to `last`, both included, of a trie with this root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) first: B256,
    pub(super) last: B256,
    pub(super) root: B256,
}

/// The key after another.
pub(super) fn after(key: B256) -> Option<B256> {
    U256::from_be_bytes(key.0).checked_add(U256::ONE).map(B256::from)
}

/// The key before another.
pub(super) fn before(key: B256) -> Option<B256> {
    U256::from_be_bytes(key.0).checked_sub(U256::ONE).map(B256::from)
}

/// The spans that share keys with those from `first` to `last`, in order.
pub(super) fn overlapping(
    snapshot: &Snapshot,
    trie: TrieId,
    (first, last): (B256, B256),
) -> Result<impl Iterator<Item = Result<Span, StateError>>, StateError> {
    let to = [&key(trie, LAST_KEY)[..], &[0]].concat();
    let rows = snapshot.range(Table::Meta, &key(trie, first), Some(&to))?;
    let spans = rows.map(|row| {
        let (key, row) = row?;
        let last = read_hash(&key, key.len().saturating_sub(32))?;
        Ok(Span { first: read_hash(&row, 0)?, last, root: read_hash(&row, 32)? })
    });
    Ok(spans.take_while(move |span: &Result<Span, StateError>| !span.as_ref().is_ok_and(|span| span.first > last)))
}

/// The span with a key in it.
pub(super) fn find(snapshot: &Snapshot, trie: TrieId, key: B256) -> Result<Option<Span>, StateError> {
    overlapping(snapshot, trie, (key, key))?.next().transpose()
}

/// What becomes of the spans of a trie.
pub(super) struct Change {
    trie: TrieId,
    old: Vec<Span>,
    new: Vec<Span>,
}

/// Makes `spans`, in order, all that is known of the keys from `first` to `last`.
pub(super) fn replace(
    snapshot: &Snapshot,
    trie: TrieId,
    (first, last): (B256, B256),
    spans: impl IntoIterator<Item = Span>,
) -> Result<Change, StateError> {
    let touching = (before(first).unwrap_or(first), after(last).unwrap_or(last));
    let old: Vec<_> = overlapping(snapshot, trie, touching)?.collect::<Result<_, _>>()?;
    let low = old.iter().filter_map(|span| {
        let last = before(first)?.min(span.last);
        (span.first <= last).then_some(Span { last, ..*span })
    });
    let high = old.iter().filter_map(|span| {
        let first = after(last)?.max(span.first);
        (first <= span.last).then_some(Span { first, ..*span })
    });
    let mut new: Vec<Span> = Vec::new();
    for span in low.chain(spans).chain(high) {
        match new.last_mut() {
            Some(one) if one.root == span.root && after(one.last) == Some(span.first) => one.last = span.last,
            _ => new.push(span),
        }
    }
    Ok(Change { trie, old, new })
}

impl Change {
    /// Whether one span has all keys afterwards.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.new[..], [Span { first: B256::ZERO, last: LAST_KEY, .. }])
    }

    pub(super) fn write(&self, batch: &mut Batch) {
        self.old.iter().for_each(|span| batch.delete(Table::Meta, key(self.trie, span.last)));
        for span in &self.new {
            batch.put(Table::Meta, key(self.trie, span.last), [span.first, span.root].concat());
        }
    }
}

/// The keys from `first` to `last` that no span has.
pub(super) fn gaps((first, last): (B256, B256), spans: &[Span]) -> Vec<(B256, B256)> {
    let mut gaps = Vec::new();
    let mut next = Some(first);
    for span in spans {
        if let (Some(from), Some(to)) = (next, before(span.first))
            && from <= to
        {
            gaps.push((from, to));
        }
        next = next.and(after(span.last));
    }
    gaps.extend(next.filter(|from| *from <= last).map(|from| (from, last)));
    gaps
}

/// Parts of a million of all keys that are in spans.
pub(super) fn covered(snapshot: &Snapshot, trie: TrieId) -> Result<u32, StateError> {
    const PARTS: u128 = 1_000_000;
    let mut keys = U256::ZERO;
    let mut is_whole = false;
    for span in overlapping(snapshot, trie, (B256::ZERO, LAST_KEY))? {
        let span = span?;
        is_whole = span.first == B256::ZERO && span.last == LAST_KEY;
        let width = U256::from_be_bytes(span.last.0) - U256::from_be_bytes(span.first.0);
        keys = keys.saturating_add(width).saturating_add(U256::ONE);
    }
    // Of the keys' first 16 bytes, and rounded down: all of it is only what is whole.
    let share = u128::from_be_bytes(*keys.to_be_bytes::<32>().first_chunk().unwrap_or(&[0; 16]));
    let parts = ((share >> 32) * PARTS) >> 96;
    Ok(if is_whole { PARTS as u32 } else { parts as u32 })
}

fn key(trie: TrieId, last: B256) -> Vec<u8> {
    [SPAN, &trie.node_key(&Nibbles::new()), last.as_slice()].concat()
}
