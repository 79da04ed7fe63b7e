//! A node's disk: what is synced survives a crash, what is not may be lost, kept in part, or torn.

use heddle_primitives::{Bug, planted};
use heddle_storage::{LogDamage, frames};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// The consensus log and the sign-state file, as bytes.
#[derive(Clone, Debug)]
pub struct Disk {
    log: Vec<u8>,
    /// Bytes of the log that the system has, and the disk may not.
    unsynced: Vec<u8>,
    /// Content of the sign-state file; replaced whole.
    pub sign_state: Option<Vec<u8>>,
}

impl Default for Disk {
    fn default() -> Self {
        Self { log: frames::MAGIC.to_vec(), unsynced: Vec::new(), sign_state: None }
    }
}

impl Disk {
    /// Hands records to the system as one frame.
    pub fn write(&mut self, records: &[Vec<u8>]) {
        let mut payload = Vec::new();
        records.iter().for_each(|record| frames::push(&mut payload, record));
        self.unsynced.extend(frames::encode(&payload));
    }

    /// Makes what was written durable.
    pub fn sync(&mut self) {
        self.log.append(&mut self.unsynced);
    }

    /// Replaces the log with an empty one.
    pub fn reset(&mut self) {
        self.unsynced.clear();
        self.log = frames::MAGIC.to_vec();
    }

    /// Loses power: of the unsynced bytes none, a part, all, or a part followed by garbage is there afterwards.
    pub fn crash(&mut self, rng: &mut ChaCha8Rng) {
        let mut torn = std::mem::take(&mut self.unsynced);
        if torn.is_empty() {
            return;
        }
        let kept = rng.random_range(0..=torn.len());
        match rng.random_range(0..4) {
            0 => torn.clear(),
            1 => torn.truncate(kept),
            2 => rng.fill(&mut torn[kept..]),
            _ => {}
        }
        self.log.append(&mut torn);
    }

    /// Loses the log and keeps the sign state, as when an operator removes a damaged file.
    pub fn lose_log(&mut self) {
        self.reset();
    }

    /// The records of the log, whose torn end is cut off.
    ///
    /// # Errors
    /// Damage that no crash explains.
    pub fn open(&mut self) -> Result<Vec<Vec<u8>>, LogDamage> {
        let (records, length) = frames::decode(&self.log)?;
        if planted(Bug::TornLogRefused) && length < self.log.len() as u64 {
            return Err(LogDamage { offset: length, reason: "torn" });
        }
        self.log.truncate(length as usize);
        Ok(records)
    }
}
