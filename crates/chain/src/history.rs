//! How far back states stay readable, and forgetting the older ones.

use crate::{Chain, ChainError};
use heddle_storage::Batch;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which states stay readable. Blocks, receipts and transactions are kept whatever it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum History {
    /// The state after every block.
    #[default]
    Archive,
    /// The states after the head and after this many blocks before it.
    Full(u64),
}

impl History {
    /// The oldest block whose state is kept when `head` is the last one.
    pub fn oldest(self, head: u64) -> u64 {
        match self {
            Self::Archive => 0,
            Self::Full(blocks) => head.saturating_sub(blocks),
        }
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archive => f.write_str("archive"),
            Self::Full(blocks) => write!(f, "full({blocks})"),
        }
    }
}

impl From<History> for String {
    fn from(history: History) -> Self {
        history.to_string()
    }
}

/// What [`History`] is parsed from is none of its forms: the caller's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected `archive`, or `full(N)` with a number of blocks, for example full(100000)")]
pub struct HistoryParseError;

impl FromStr for History {
    type Err = HistoryParseError;

    /// Reads `archive`, `full(N)`, or `full:N`, which a shell does not want quoted.
    fn from_str(text: &str) -> Result<Self, HistoryParseError> {
        if text == "archive" {
            return Ok(Self::Archive);
        }
        let rest = text.strip_prefix("full").ok_or(HistoryParseError)?;
        let in_parentheses = rest.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let number = in_parentheses.or_else(|| rest.strip_prefix(':')).ok_or(HistoryParseError)?;
        number.parse().map(Self::Full).map_err(|_| HistoryParseError)
    }
}

impl TryFrom<String> for History {
    type Error = HistoryParseError;

    fn try_from(text: String) -> Result<Self, HistoryParseError> {
        text.parse()
    }
}

/// Where pruning stands after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PruneStep {
    /// The oldest block whose state is readable now.
    pub oldest: u64,
    /// The oldest block whose state is to stay readable; `oldest` reaches it in further steps.
    pub target: u64,
}

impl PruneStep {
    /// Whether nothing is left to prune until the next block.
    pub fn is_done(&self) -> bool {
        self.oldest >= self.target
    }
}

impl Chain {
    /// Forgets states older than `history` keeps: a bounded number of blocks in one batch. Commits go on meanwhile: it
    /// writes no row that they write, and waits for no lock of theirs.
    ///
    /// # Errors
    /// The database's, or a damaged row.
    pub fn prune_history(&self, history: History) -> Result<PruneStep, ChainError> {
        let _pruning = self.inner.pruning.lock();
        let target = history.oldest(self.head().header.number);
        let mut batch = Batch::new();
        let oldest = self.inner.states.prune_history(target, &mut batch)?;
        if !batch.is_empty() {
            self.write_batch(batch)?;
        }
        Ok(PruneStep { oldest, target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_history() {
        for (text, history) in
            [("archive", History::Archive), ("full(100)", History::Full(100)), ("full:0", History::Full(0))]
        {
            assert_eq!(text.parse(), Ok(history), "{text}");
            assert_eq!(history.to_string().parse(), Ok(history));
        }
        for text in ["", "full", "full()", "full(", "full(-1)", "full(1", "full 1", "100", "Archive", "full:(1)"] {
            assert_eq!(text.parse::<History>(), Err(HistoryParseError), "{text}");
        }
    }

    #[test]
    fn the_oldest_kept_follows_the_head() {
        assert_eq!(History::Archive.oldest(9), 0);
        assert_eq!([0, 3, 4, 100].map(|head| History::Full(3).oldest(head)), [0, 0, 1, 97]);
    }
}
