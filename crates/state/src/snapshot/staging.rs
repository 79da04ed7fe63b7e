//! A state as it arrives: every piece is checked, written at once, and never asked for again.
//!
//! The rows stand in tables as the finished state has them. What is known of them stands beside, in [`Table::Meta`]
//! (module `marks`): which ranges of which trie are there, and against which root they were proven (`spans`); whose
//! storage and which code is still missing. A piece and its marks are one batch, so that whoever opens the database after a
//! crash knows exactly what is there, and nothing of this is held in memory.
//!
//! Another pivot changes nothing by itself. What was proven against an earlier root is proven against the new one by
//! the nodes above the leaves that are here (`heal`): most subtrees are the same, and only the others are fetched again.
//! So is storage of many slots; of a few, it is fetched anew.

mod accounts;
mod code;
mod heal;
mod marks;
mod plan;
mod spans;
mod storage;
mod write;

#[cfg(test)]
mod tests;

use crate::StateError;
use crate::range_proof::RangeProofError;
use crate::rows::{AccountKey, TrieId, decode_account};
use alloy_primitives::B256;
use alloy_trie::TrieAccount;
use heddle_primitives::{Pivot, Response, StateTask};
use heddle_storage::{Database, Snapshot, StorageError, Table};
use marks::Counts;
use parking_lot::Mutex;
use spans::Span;

/// A state that is being fetched, in a database of its own. It decides what to ask for; whom to ask is not its business.
#[derive(Debug)]
pub struct Staging {
    pub(crate) database: Database,
    /// Held by the one write at a time.
    counts: Mutex<Counts>,
}

/// How much is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StagedProgress {
    /// Parts of a million of all the keys that accounts can have, whose accounts are there.
    pub covered: u32,
    /// Accounts.
    pub accounts: u64,
    /// Storage slots.
    pub slots: u64,
    /// Codes.
    pub codes: u64,
    /// Bytes of all these, keys included.
    pub bytes: u64,
}

/// What an answer brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// What is now to be asked for: the rest of the task, and what its rows refer to.
    pub tasks: Vec<StateTask>,
    /// Accounts written.
    pub accounts: u64,
    /// Storage slots written.
    pub slots: u64,
    /// Codes written.
    pub codes: u64,
    /// Bytes of all these, keys included.
    pub bytes: u64,
}

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// It does not prove what it says.
    #[error(transparent)]
    Proof(#[from] RangeProofError),
    /// A code that was not asked for, or not in the order asked for.
    #[error("a code has hash {0}, which was not asked for there")]
    Code(B256),
    /// None of the codes asked for, although the accounts that have them are proven.
    #[error("the answer holds no code")]
    NoCode,
    /// It is the answer to something else.
    #[error("the answer is not one to the request")]
    Kind,
}

/// Why an answer was not accepted. Nothing of it was written.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    /// The sender's.
    #[error(transparent)]
    Peer(PieceError),
    /// Ours, or the disk's.
    #[error(transparent)]
    Ours(#[from] StateError),
}

impl<E: Into<PieceError>> From<E> for AcceptError {
    fn from(error: E) -> Self {
        Self::Peer(error.into())
    }
}

impl From<StorageError> for AcceptError {
    fn from(error: StorageError) -> Self {
        Self::Ours(error.into())
    }
}

impl Staging {
    /// The staging in a database that holds nothing else; what an earlier one wrote is still there.
    ///
    /// # Errors
    /// The disk's.
    pub fn new(database: Database) -> Result<Self, StateError> {
        let counts = Mutex::new(Counts::read(&database)?);
        Ok(Self { database, counts })
    }

    /// What is missing of a state: pieces of it, and proofs that pieces of an earlier one are also pieces of it. Bounded,
    /// so when all of it and what follows from it is done, ask again: a state is complete when there is nothing to plan.
    ///
    /// # Errors
    /// The disk's.
    pub fn plan(&self, pivot: Pivot) -> Result<Vec<StateTask>, StateError> {
        plan::plan(&self.database.snapshot(), pivot)
    }

    /// Takes the answer to a task that was planned for this pivot: checks it, writes it, and says what follows. The rows
    /// survive a crash of the process from then on. An answer to what is no longer wanted is dropped.
    ///
    /// # Errors
    /// [`AcceptError::Peer`] for an answer that is not true of the pivot's state, or brings nothing.
    pub fn accept(&self, pivot: Pivot, task: &StateTask, response: &Response) -> Result<Accepted, AcceptError> {
        match (task, response) {
            (StateTask::Accounts { first, last }, Response::Accounts(answer)) => {
                self.accept_accounts(pivot, (*first, *last), answer)
            }
            (StateTask::Storage { accounts, first, last }, Response::Storage(answer)) => {
                self.accept_storage(pivot, accounts, (*first, *last), answer)
            }
            (StateTask::Code { hashes }, Response::Code(codes)) => self.accept_code(hashes, codes),
            (StateTask::RangeProof { owner, first, last }, Response::RangeProof(proof)) => {
                self.accept_proof(pivot, *owner, (*first, *last), proof)
            }
            _ => Err(AcceptError::Peer(PieceError::Kind)),
        }
    }

    /// How much is there.
    ///
    /// # Errors
    /// The disk's.
    pub fn progress(&self) -> Result<StagedProgress, StateError> {
        let counts = *self.counts.lock();
        let covered = spans::covered(&self.database.snapshot(), TrieId::Accounts)?;
        let Counts { accounts, slots, codes, bytes } = counts;
        Ok(StagedProgress { covered, accounts, slots, codes, bytes })
    }
}

/// The account with a key, if its row is proven to be one of the pivot's state. The span found is kept for the next.
fn proven_account(
    snapshot: &Snapshot,
    pivot: Pivot,
    key: B256,
    span: &mut Option<Span>,
) -> Result<Option<TrieAccount>, StateError> {
    if !span.is_some_and(|span| span.first <= key && key <= span.last) {
        *span = spans::find(snapshot, TrieId::Accounts, key)?;
    }
    match span {
        Some(span) if span.root == pivot.state_root => read_account(snapshot, key),
        _ => Ok(None),
    }
}

fn read_account(snapshot: &Snapshot, key: B256) -> Result<Option<TrieAccount>, StateError> {
    let row = snapshot.get(Table::Accounts, key)?;
    row.map(|row| decode_account(Table::Accounts, key.as_slice(), &row)).transpose()
}

/// The storage trie of an account.
fn storage_of(account: B256) -> TrieId {
    TrieId::Storage(AccountKey(account))
}
