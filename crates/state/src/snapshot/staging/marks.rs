//! What is known of the staged rows, as rows of [`Table::Meta`].

use crate::StateError;
use crate::rows::TrieId;
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};
use heddle_storage::{Batch, Database, Snapshot, Table};

/// Trie, last key of a span -> its first key, the root of the trie that it was proven against.
pub(super) const SPAN: &[u8] = b"state.staged.span.";
/// Account whose storage is not whole -> whether there may be slots of it already (one byte).
const STORAGE: &[u8] = b"state.staged.storage.";
/// Code hash, account that has it -> nothing: while the code is missing.
const CODE: &[u8] = b"state.staged.code.";
/// One row: [`Counts`].
const COUNTS: &[u8] = b"state.staged.counts";

/// How much is staged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(super) struct Counts {
    pub(super) accounts: u64,
    pub(super) slots: u64,
    pub(super) codes: u64,
    pub(super) bytes: u64,
}

impl Counts {
    pub(super) fn read(database: &Database) -> Result<Self, StateError> {
        Self::of(database.get(Table::Meta, COUNTS)?)
    }

    /// As a snapshot has them.
    pub(super) fn seen(snapshot: &Snapshot) -> Result<Self, StateError> {
        Self::of(snapshot.get(Table::Meta, COUNTS)?)
    }

    fn of(row: Option<Vec<u8>>) -> Result<Self, StateError> {
        let Some(row) = row else { return Ok(Self::default()) };
        alloy_rlp::decode_exact(row).map_err(|error| StateError::corrupt(Table::Meta, COUNTS, error))
    }

    /// At most how many leaves a trie has.
    pub(super) fn leaves(&self, trie: TrieId) -> u64 {
        match trie {
            TrieId::Accounts => self.accounts,
            TrieId::Storage(_) => self.slots,
        }
    }

    pub(super) fn write(&self, batch: &mut Batch) {
        batch.put(Table::Meta, COUNTS, alloy_rlp::encode(self));
    }
}

/// What is known of storage that is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// No slot is there.
    All,
    /// There may be slots; those in spans are proven.
    Some,
}

/// Whether an account's storage is not whole.
pub(super) fn missing_storage(snapshot: &Snapshot, account: B256) -> Result<Option<Missing>, StateError> {
    Ok(snapshot.get(Table::Meta, key(STORAGE, account))?.map(|row| read_missing(&row)))
}

pub(super) fn set_missing_storage(batch: &mut Batch, account: B256, missing: Option<Missing>) {
    match missing {
        Some(missing) => batch.put(Table::Meta, key(STORAGE, account), [u8::from(missing == Missing::Some)]),
        None => batch.delete(Table::Meta, key(STORAGE, account)),
    }
}

/// The accounts from one to another, both included, whose storage is not whole.
pub(super) fn missing_storages(
    snapshot: &Snapshot,
    (first, last): (B256, B256),
) -> Result<impl Iterator<Item = Result<(B256, Missing), StateError>>, StateError> {
    let to = [&key(STORAGE, last)[..], &[0]].concat();
    let rows = snapshot.range(Table::Meta, &key(STORAGE, first), Some(&to))?;
    Ok(rows.map(|row| {
        let (key, row) = row?;
        Ok((read_hash(&key, STORAGE.len())?, read_missing(&row)))
    }))
}

/// Anything but the mark of none is read as the mark that costs more.
fn read_missing(row: &[u8]) -> Missing {
    if row == [0] { Missing::All } else { Missing::Some }
}

pub(super) fn is_missing_code(snapshot: &Snapshot, hash: B256, account: B256) -> Result<bool, StateError> {
    Ok(snapshot.get(Table::Meta, code_key(hash, account))?.is_some())
}

pub(super) fn set_missing_code(batch: &mut Batch, hash: B256, account: B256, is_missing: bool) {
    match is_missing {
        true => batch.put(Table::Meta, code_key(hash, account), []),
        false => batch.delete(Table::Meta, code_key(hash, account)),
    }
}

/// The codes that are missing, by hash, and for each the accounts that have it; of one code only, if it is given.
pub(super) fn missing_codes(
    snapshot: &Snapshot,
    hash: Option<B256>,
) -> Result<impl Iterator<Item = Result<(B256, B256), StateError>>, StateError> {
    let rows = snapshot.prefix(Table::Meta, &hash.map_or_else(|| CODE.to_vec(), |hash| key(CODE, hash)))?;
    Ok(rows.map(|row| {
        let (key, _) = row?;
        Ok((read_hash(&key, CODE.len())?, read_hash(&key, CODE.len() + 32)?))
    }))
}

fn key(prefix: &[u8], hash: B256) -> Vec<u8> {
    [prefix, hash.as_slice()].concat()
}

fn code_key(hash: B256, account: B256) -> Vec<u8> {
    [CODE, hash.as_slice(), account.as_slice()].concat()
}

/// The hash that stands in a key or a row at some place.
pub(super) fn read_hash(bytes: &[u8], at: usize) -> Result<B256, StateError> {
    let hash = bytes.get(at..at + 32).and_then(|hash| B256::try_from(hash).ok());
    hash.ok_or_else(|| StateError::corrupt(Table::Meta, bytes, "not a mark of staged rows"))
}
