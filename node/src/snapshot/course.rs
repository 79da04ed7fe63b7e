//! The one order in which a file holds a state: accounts by their keys, after each piece of them the storage that they
//! have, then the code that no account before them has. A piece that is missing, twice or elsewhere breaks it.

use super::format::Counts;
use alloy_consensus::EMPTY_ROOT_HASH;
use alloy_primitives::{B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use heddle_primitives::{
    AccountLeaf, AccountRange, MAX_ACCOUNTS_PER_REQUEST, MAX_CODES_PER_REQUEST, Response, StateTask, StorageRanges,
};
use heddle_state::{RangeProofError, verify_accounts, verify_storage};
use std::collections::{BTreeSet, VecDeque};

/// The highest key.
const LAST_KEY: B256 = B256::repeat_byte(0xff);

/// What is wrong with a piece.
#[derive(Debug, thiserror::Error)]
pub enum CourseError {
    /// It does not prove what it says.
    #[error(transparent)]
    Proof(#[from] RangeProofError),
    /// Of another kind than what is asked for.
    #[error("it is no answer to its request")]
    Kind,
    /// Not the code asked for.
    #[error("a code has hash {found}, {expected} is needed")]
    Code {
        /// Its hash.
        found: B256,
        /// The hash in the account.
        expected: B256,
    },
    /// No code, or more than asked for.
    #[error("it holds {found} codes of 1 to {asked}")]
    CodeCount {
        /// How many there are.
        found: usize,
        /// How many are asked for.
        asked: usize,
    },
}

/// Where a walk through a state is. Memory grows with the number of different codes only.
pub struct Course {
    state_root: B256,
    /// Where the next accounts start; `None` when none are left.
    accounts_from: Option<B256>,
    /// Accounts whose storage comes next, with its root.
    storage: VecDeque<(B256, B256)>,
    /// The first slot needed of the first of them.
    slots_from: B256,
    /// Codes that come next.
    codes: VecDeque<B256>,
    known_codes: BTreeSet<B256>,
    counts: Counts,
}

impl Course {
    /// The start of a state.
    pub fn new(state_root: B256) -> Self {
        Self {
            state_root,
            accounts_from: Some(B256::ZERO),
            storage: VecDeque::new(),
            slots_from: B256::ZERO,
            codes: VecDeque::new(),
            known_codes: BTreeSet::new(),
            counts: Counts::default(),
        }
    }

    /// The next piece; `None` behind the last.
    pub fn next_task(&self) -> Option<StateTask> {
        if !self.storage.is_empty() {
            let accounts = self.storage.iter().take(MAX_ACCOUNTS_PER_REQUEST).map(|(key, _)| *key).collect();
            return Some(StateTask::Storage { accounts, first: self.slots_from, last: LAST_KEY });
        }
        if !self.codes.is_empty() {
            return Some(StateTask::Code { hashes: self.codes.iter().take(MAX_CODES_PER_REQUEST).copied().collect() });
        }
        self.accounts_from.map(|first| StateTask::Accounts { first, last: LAST_KEY })
    }

    /// Goes behind a piece, if the answer proves that it is the next.
    pub fn take(&mut self, task: &StateTask, answer: &Response) -> Result<(), CourseError> {
        match (task, answer) {
            (StateTask::Accounts { first, last }, Response::Accounts(range)) => {
                self.take_accounts(*first, *last, range)
            }
            (StateTask::Storage { accounts, first, last }, Response::Storage(ranges)) => {
                self.take_storage(accounts.len(), *first, *last, ranges)
            }
            (StateTask::Code { hashes }, Response::Code(codes)) => self.take_code(hashes.len(), codes),
            _ => Err(CourseError::Kind),
        }
    }

    /// What was taken so far; its chunks are not counted here.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Thousandths of the keys of accounts that are done.
    pub fn progress(&self) -> u64 {
        let Some(from) = self.accounts_from else { return 1_000 };
        from.first_chunk().map_or(0, |start| (u64::from(u16::from_be_bytes(*start)) * 1_000) >> 16)
    }

    fn take_accounts(&mut self, first: B256, last: B256, range: &AccountRange) -> Result<(), CourseError> {
        let known = verify_accounts(self.state_root, first, last, range)?;
        self.accounts_from = after(known);
        self.counts.accounts += range.accounts.len() as u64;
        for AccountLeaf { key, account } in &range.accounts {
            if account.storage_root != EMPTY_ROOT_HASH {
                self.storage.push_back((*key, account.storage_root));
            }
            if account.code_hash != KECCAK256_EMPTY && self.known_codes.insert(account.code_hash) {
                self.codes.push_back(account.code_hash);
            }
        }
        Ok(())
    }

    fn take_storage(
        &mut self,
        asked: usize,
        first: B256,
        last: B256,
        ranges: &StorageRanges,
    ) -> Result<(), CourseError> {
        let roots = Vec::from_iter(self.storage.iter().take(asked).map(|(_, root)| *root));
        let known = verify_storage(&roots, first, last, ranges)?;
        self.counts.slots += ranges.accounts.iter().map(|slots| slots.len() as u64).sum::<u64>();
        let rest = after(known);
        // The last account of the answer stays while slots of it are left.
        let done = ranges.accounts.len() - usize::from(rest.is_some());
        self.storage.drain(..done);
        self.slots_from = rest.unwrap_or_default();
        Ok(())
    }

    fn take_code(&mut self, asked: usize, codes: &[Bytes]) -> Result<(), CourseError> {
        if codes.is_empty() || codes.len() > asked {
            return Err(CourseError::CodeCount { found: codes.len(), asked });
        }
        for (code, expected) in codes.iter().zip(&self.codes) {
            let found = keccak256(code);
            if found != *expected {
                return Err(CourseError::Code { found, expected: *expected });
            }
        }
        self.codes.drain(..codes.len());
        self.counts.codes += codes.len() as u64;
        Ok(())
    }
}

/// The key after one; `None` behind the highest.
fn after(key: B256) -> Option<B256> {
    U256::from_be_bytes(key.0).checked_add(U256::ONE).map(B256::from)
}
