//! Writes the log and the sign state, off the async threads.

use crate::{ConsensusError, ConsensusMetrics, DurableLog};
use std::io;
use tokio::time::Instant;

/// The durable log and what still has to be written to it.
pub(crate) struct Disk {
    /// Absent only while a write runs.
    log: Option<Box<dyn DurableLog>>,
    records: Vec<Vec<u8>>,
    records_bytes: usize,
    sign_state: Option<Vec<u8>>,
    metrics: ConsensusMetrics,
}

impl Disk {
    /// Records that wait for a write are flushed above this size even when nothing is to be published.
    const WAITING_BYTES_MAX: usize = 1024 * 1024;

    pub(crate) fn new(log: Box<dyn DurableLog>, metrics: ConsensusMetrics) -> Self {
        Self { log: Some(log), records: Vec::new(), records_bytes: 0, sign_state: None, metrics }
    }

    /// Notes a record for the next flush.
    pub(crate) fn append(&mut self, record: Vec<u8>) {
        self.records_bytes += record.len();
        self.records.push(record);
    }

    /// Notes the sign state for the next flush.
    pub(crate) fn set_sign_state(&mut self, state: Vec<u8>) {
        self.sign_state = Some(state);
    }

    /// Whether so much waits that it should be flushed now.
    pub(crate) fn is_full(&self) -> bool {
        self.records_bytes > Self::WAITING_BYTES_MAX
    }

    /// Makes everything durable that was noted: first the log, then the sign state. A crash between the two leaves a
    /// record that the sign state does not know; the replay raises the sign state to it.
    ///
    /// # Errors
    /// Something may not be on disk: nothing that depends on it may be published.
    pub(crate) async fn flush(&mut self) -> Result<(), ConsensusError> {
        let records = std::mem::take(&mut self.records);
        let sign_state = self.sign_state.take();
        self.records_bytes = 0;
        if records.is_empty() && sign_state.is_none() {
            return Ok(());
        }
        self.write(move |log| {
            for record in &records {
                log.append(record)?;
            }
            log.sync()?;
            sign_state.map_or(Ok(()), |state| log.replace_sign_state(&state))
        })
        .await
    }

    /// Empties the log, and forgets the records that were to go there. The height they belong to is committed.
    ///
    /// # Errors
    /// Old records may still stand.
    pub(crate) async fn reset(&mut self) -> Result<(), ConsensusError> {
        self.records.clear();
        self.records_bytes = 0;
        self.flush().await?;
        self.write(|log| log.reset()).await
    }

    async fn write(
        &mut self,
        action: impl FnOnce(&mut dyn DurableLog) -> io::Result<()> + Send + 'static,
    ) -> Result<(), ConsensusError> {
        let gone = || ConsensusError::Log(io::Error::other("an earlier write did not return"));
        let mut log = self.log.take().ok_or_else(gone)?;
        let started = Instant::now();
        let (log, result) = tokio::task::spawn_blocking(move || {
            let result = action(&mut *log);
            (log, result)
        })
        .await?;
        self.log = Some(log);
        self.metrics.count_log_write(started.elapsed(), result.is_ok());
        result.map_err(ConsensusError::Log)
    }
}
