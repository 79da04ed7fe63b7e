//! Consensus writes its log and its sign state through storage.

use crate::keys::{SignStateError, SignStateStore};
use heddle_consensus::{ConsensusError, CoreError, DurableLog, Recovered};
use heddle_storage::{ConsensusLog, StorageError};
use std::io;
use std::path::{Path, PathBuf};

/// What helps against a damaged log: what it held beyond the sign state left the node only with it.
const REPAIR: &str =
    "move it away and start again: a validator then signs nothing more at the height of its sign state";

/// Why consensus cannot start from what is on disk. Every message names the file and the repair.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusFilesError {
    /// The log is damaged.
    #[error("{0}: {REPAIR}")]
    Damaged(StorageError),
    /// The log's frames are intact, and their content is of no use.
    #[error("{}: {reason}: {REPAIR}", path.display())]
    Unusable {
        /// The log.
        path: PathBuf,
        /// What is wrong with it.
        reason: CoreError,
    },
    /// The log cannot be opened.
    #[error("consensus log: {0}")]
    Log(StorageError),
    /// A sign state where earlier versions kept it.
    #[error(
        "{} is of an earlier version and is not read any more: move it away; a key that has no sign state beside it starts once with --unsafe-init-sign-state",
        .0.display()
    )]
    Outdated(PathBuf),
    /// The sign state.
    #[error(transparent)]
    SignState(#[from] SignStateError),
    /// Consensus cannot start for another reason.
    #[error(transparent)]
    Consensus(ConsensusError),
}

impl ConsensusFilesError {
    /// Names the log where it is what consensus could not start from.
    pub fn starting(error: ConsensusError, datadir: &Path) -> Self {
        match error {
            ConsensusError::Core(reason @ (CoreError::Record { .. } | CoreError::Replay(_))) => {
                Self::Unusable { path: log_path(datadir), reason }
            }
            other => Self::Consensus(other),
        }
    }
}

/// The consensus log of a data directory, and a validator's sign state.
pub struct ConsensusFiles {
    log: ConsensusLog,
    /// `None` follows without signing.
    sign_state: Option<SignStateStore>,
}

impl ConsensusFiles {
    /// Opens the log in `datadir` and returns what both hold.
    ///
    /// # Errors
    /// When the log cannot be read, or is corrupt anywhere but in a torn last record.
    pub fn open(datadir: &Path, sign_state: Option<SignStateStore>) -> Result<(Self, Recovered), ConsensusFilesError> {
        let outdated = datadir.join("sign-state");
        if sign_state.is_some() && outdated.exists() {
            return Err(ConsensusFilesError::Outdated(outdated));
        }
        let (log, records) = ConsensusLog::open(&log_path(datadir)).map_err(|error| match error {
            StorageError::Corrupt { .. } => ConsensusFilesError::Damaged(error),
            other => ConsensusFilesError::Log(other),
        })?;
        let record = sign_state.as_ref().map(|store| alloy_rlp::encode(store.record()));
        let is_forgetful = sign_state.as_ref().is_some_and(SignStateStore::is_new);
        Ok((Self { log, sign_state }, Recovered { records, sign_state: record, is_forgetful }))
    }
}

fn log_path(datadir: &Path) -> PathBuf {
    datadir.join("consensus.log")
}

impl DurableLog for ConsensusFiles {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.log.append(record).map_err(io::Error::other)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log.sync().map_err(io::Error::other)
    }

    fn replace_sign_state(&mut self, state: &[u8]) -> io::Result<()> {
        let store = self.sign_state.as_mut().ok_or_else(|| io::Error::other("a node without a key signed"))?;
        store.replace(state).map_err(io::Error::other)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.log.reset().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests;
