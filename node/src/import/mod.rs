//! Importing files of blocks: a thread reads, decodes and recovers senders ahead, this one executes and commits.
//!
//! ```text
//! file -> items -> decode, check signatures (all threads) -> bounded queue -> execute -> state root -> commit
//! ```
//!
//! Commits do not wait for the disk one by one: a crash loses the last seconds, whole blocks, and importing the same
//! file again skips what is there and goes on.

mod ahead;

use crate::progress::Progress;
use crate::shutdown::StopFlag;
use ahead::{Prepared, PreparedBatch};
use heddle_chain::{Chain, ChainError, CommittedBlock, Head, History, Timings};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// Batches of decoded blocks that wait for execution, at most.
const BATCHES_QUEUED_MAX: usize = 4;
/// Time after which what was committed is made durable.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Blocks between two rounds of pruning.
const PRUNE_INTERVAL_BLOCKS: u64 = 256;

/// What one import did.
#[derive(Clone, Copy, Debug, Default)]
pub struct ImportSummary {
    /// Blocks committed.
    pub blocks: u64,
    /// Blocks that were in the chain before.
    pub known: u64,
    /// Transactions in the committed blocks.
    pub transactions: u64,
    /// Gas that they used.
    pub gas_used: u64,
    /// Decoding and recovering, summed over the threads that ran ahead.
    pub recovery: Duration,
    /// Executing and committing, on one thread.
    pub timings: Timings,
    /// Waiting for blocks to execute.
    pub waiting: Duration,
    /// From start to end.
    pub elapsed: Duration,
}

impl ImportSummary {
    /// Gas a second, in millions.
    pub fn mgas_per_second(&self) -> f64 {
        self.gas_used as f64 / 1e6 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The result of the command: the head that the chain has now, and what was added to reach it.
    pub fn result(&self, head: &Head) -> Value {
        json!({
            "number": head.header.number,
            "hash": head.hash(),
            "stateRoot": head.header.state_root,
            "blocks": self.blocks,
            "txs": self.transactions,
            "gasUsed": self.gas_used,
            "seconds": (self.elapsed.as_secs_f64() * 1e3).round() / 1e3,
        })
    }

    /// Where the time went, for people.
    pub fn tell(&self) {
        let Self { blocks, known, transactions, gas_used, timings, .. } = self;
        let seconds = |duration: Duration| format!("{:.2} s", duration.as_secs_f64());
        tell!(
            "imported {blocks} blocks ({known} more were known), {transactions} transactions, {:.1} Mgas in {}: {:.1} Mgas/s",
            *gas_used as f64 / 1e6,
            seconds(self.elapsed),
            self.mgas_per_second()
        );
        tell!(
            "recovery {} (ahead, sum of all threads), execution {}, state root {}, commit {}, waiting for blocks {}",
            seconds(self.recovery),
            seconds(timings.execution),
            seconds(timings.state_root),
            seconds(timings.commit),
            seconds(self.waiting)
        );
    }

    fn count(&mut self, block: &CommittedBlock) {
        self.blocks += 1;
        self.transactions += block.block.body.transactions.len() as u64;
        self.gas_used += block.header.gas_used;
        self.timings += block.timings;
    }
}

/// Imports files one after the other into an open chain. Whatever happens, what was valid before is kept and durable,
/// and the summary tells of it.
pub fn import(
    chain: &Chain,
    files: &[PathBuf],
    history: History,
    stop: &StopFlag,
) -> (ImportSummary, Result<(), Box<dyn Error>>) {
    let started = Instant::now();
    let mut run = Run { chain, history, stop, events: chain.subscribe(), summary: ImportSummary::default() };
    let result = run.import(files);
    let finished = run.finish();
    let elapsed = started.elapsed();
    (ImportSummary { elapsed, ..run.summary }, result.and(finished))
}

struct Run<'a> {
    chain: &'a Chain,
    history: History,
    stop: &'a StopFlag,
    events: broadcast::Receiver<Arc<CommittedBlock>>,
    summary: ImportSummary,
}

impl Run<'_> {
    fn import(&mut self, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
        let chain = self.chain;
        let mut progress = Progress::new("import", ahead::total_bytes(files)?);
        std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(BATCHES_QUEUED_MAX);
            // It ends with its files, or when nobody receives any more.
            scope.spawn(move || ahead::run(chain, files, &sender));
            let mut synced = Instant::now();
            loop {
                let waiting = Instant::now();
                let Ok(batch) = batches.recv() else { return Ok(()) };
                self.summary.waiting += waiting.elapsed();
                self.commit_batch(batch?, &mut progress)?;
                if synced.elapsed() >= SYNC_INTERVAL {
                    chain.sync()?;
                    synced = Instant::now();
                }
            }
        })
    }

    fn commit_batch(&mut self, batch: PreparedBatch, progress: &mut Progress) -> Result<(), Box<dyn Error>> {
        self.summary.recovery += batch.recovery;
        for block in batch.blocks {
            if self.stop.is_raised() {
                let number = self.chain.head().header.number;
                return Err(format!("stopped by a signal after block {number}: run it again to go on").into());
            }
            self.commit(&block)?;
        }
        progress.at(batch.position, || {
            let mgas_per_second = self.summary.gas_used as f64 / self.summary.timings.total().as_secs_f64() / 1e6;
            format!("block {}  {mgas_per_second:.1} Mgas/s", self.chain.head().header.number)
        });
        Ok(())
    }

    fn commit(&mut self, block: &Prepared) -> Result<(), Box<dyn Error>> {
        let committed = match block {
            Prepared::Known => {
                self.summary.known += 1;
                return Ok(());
            }
            Prepared::Recovered(block) => self.chain.import(block),
            Prepared::Certified(block) => self.chain.commit(block),
        };
        let head = committed.map_err(|error| describe(block, error))?;
        // A block that stood in the file twice has no event.
        while let Ok(event) = self.events.try_recv() {
            self.summary.count(&event);
        }
        if head.header.number.is_multiple_of(PRUNE_INTERVAL_BLOCKS) {
            self.prune()?;
        }
        Ok(())
    }

    fn prune(&self) -> Result<(), ChainError> {
        while !self.chain.prune_history(self.history)?.is_done() {}
        Ok(())
    }

    fn finish(&self) -> Result<(), Box<dyn Error>> {
        self.prune()?;
        Ok(self.chain.sync()?)
    }
}

/// Names the block that was refused, where the error itself does not.
fn describe(block: &Prepared, error: ChainError) -> Box<dyn Error> {
    let (number, hash) = match block {
        Prepared::Known => return error.into(),
        Prepared::Recovered(block) => (block.block().header.number, block.hash()),
        Prepared::Certified(block) => (block.proposed().block.header.number, block.hash()),
    };
    match error {
        ChainError::InvalidBlock(error) => format!("block {number} ({hash}) is invalid: {error}").into(),
        error => error.into(),
    }
}
