//! Consensus writes its two files through storage.

use heddle_consensus::{DurableLog, Recovered};
use heddle_storage::{ConsensusLog, SignStateFile, StorageError};
use std::io;
use std::path::Path;

/// The consensus log and the sign state of one data directory.
pub struct ConsensusFiles {
    log: ConsensusLog,
    sign_state: SignStateFile,
}

impl ConsensusFiles {
    /// Opens both files in `dir` and returns what they hold.
    ///
    /// # Errors
    /// When a file cannot be read, or is corrupt anywhere but in a torn last record.
    pub fn open(dir: &Path) -> Result<(Self, Recovered), StorageError> {
        let (log, records) = ConsensusLog::open(&dir.join("consensus.log"))?;
        let (sign_state, state) = SignStateFile::open(&dir.join("sign-state"))?;
        Ok((Self { log, sign_state }, Recovered { records, sign_state: state }))
    }
}

impl DurableLog for ConsensusFiles {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.log.append(record).map_err(io::Error::other)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.log.sync().map_err(io::Error::other)
    }

    fn replace_sign_state(&mut self, state: &[u8]) -> io::Result<()> {
        self.sign_state.replace(state).map_err(io::Error::other)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.log.reset().map_err(io::Error::other)
    }
}
