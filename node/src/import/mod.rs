//! Importing files of blocks: threads read, decode and recover senders ahead, this one executes, another one commits.
//!
//! ```text
//! file -> items -> decode, check signatures (all threads) -> bounded queue -> execute -> roots -> rows -> write
//! ```
//!
//! On one thread ([`rayon::current_num_threads`]) all of it happens in turn.
//!
//! Commits do not wait for the disk one by one: a crash loses the last seconds, whole blocks, and importing the same
//! file again skips what is there and goes on.

mod ahead;
mod threads;

use crate::progress::Progress;
use crate::shutdown::StopFlag;
pub use threads::ThreadTime;

use ahead::{AheadError, Prepared, PreparedBatch};
use heddle_chain::{Chain, ChainError, CommittedBlock, Head, History, Timings};
use heddle_primitives::{FinalizedBlock, Height};
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};
use threads::ThreadTimes;
use tokio::sync::broadcast;

/// Batches of decoded blocks that wait for execution, at most.
const BATCHES_QUEUED_MAX: usize = 4;
/// Time after which what was committed is made durable.
const SYNC_INTERVAL: Duration = Duration::from_secs(10);
/// Blocks between two rounds of pruning.
const PRUNE_INTERVAL_BLOCKS: u64 = 256;

/// What one import did.
#[derive(Clone, Debug, Default)]
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
    /// Executing and making rows, on one thread; writing, beside it.
    pub timings: Timings,
    /// Waiting for blocks to execute.
    pub waiting: Duration,
    /// What each thread did: `ahead-*` decode and recover, `commit` writes, `rocksdb:*` flush and compact, the others
    /// execute, compute roots and make rows. Empty where the system does not tell.
    pub threads: Vec<ThreadTime>,
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
            "recovery {} (ahead, sum of all threads), execution {}, roots {}, rows {}, writing {} (beside), waiting for blocks {}",
            seconds(self.recovery),
            seconds(timings.execution),
            seconds(timings.state_root),
            seconds(timings.rows),
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
    let (events, summary) = (chain.subscribe(), ImportSummary::default());
    let mut run = Run {
        chain,
        history,
        stop,
        events,
        summary,
        started,
        unpruned: 0,
        synced: started,
        threads: ThreadTimes::now(),
    };
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
    started: Instant,
    /// Blocks committed since old states were pruned last.
    unpruned: u64,
    /// When what was committed was made durable last.
    synced: Instant,
    /// What threads had done before.
    threads: ThreadTimes,
}

/// How a block enters the chain.
type Commit<'a> = &'a mut dyn FnMut(&Prepared) -> Result<(), AheadError>;

impl Run<'_> {
    fn import(&mut self, files: &[PathBuf]) -> Result<(), Box<dyn Error>> {
        let mut progress = Progress::new("import", ahead::total_bytes(files)?);
        match rayon::current_num_threads() {
            1 => self.import_in_turn(files, &mut progress),
            threads => self.import_overlapped(files, threads, &mut progress),
        }
    }

    fn import_in_turn(&mut self, files: &[PathBuf], progress: &mut Progress) -> Result<(), Box<dyn Error>> {
        let chain = self.chain;
        let mut result = Ok(());
        ahead::run(chain, files, |batch| {
            let commit = &mut |block: &Prepared| match block {
                Prepared::Known => Ok(()),
                Prepared::Recovered(block) => Ok(chain.import(block).map(drop)?),
                Prepared::Certified(block) => Ok(chain.commit(block).map(drop)?),
                Prepared::Finalized(block) => {
                    let validators = chain.validators(height_of(block))?;
                    Ok(chain.commit(&ahead::verify(chain, FinalizedBlock::clone(block), &validators)?).map(drop)?)
                }
            };
            result = batch.map_err(Box::from).and_then(|batch| self.commit_batch(batch, commit, progress));
            result.is_ok()
        });
        self.count_events();
        self.summary.threads = ThreadTimes::now().since(&self.threads);
        result
    }

    fn import_overlapped(
        &mut self,
        files: &[PathBuf],
        threads: usize,
        progress: &mut Progress,
    ) -> Result<(), Box<dyn Error>> {
        let chain = self.chain;
        let pool = ahead::threads(threads)?;
        let mut importer = chain.importer()?;
        let result = std::thread::scope(|scope| {
            let (sender, batches) = sync_channel(BATCHES_QUEUED_MAX);
            // It ends with its files, or when nobody receives any more.
            scope.spawn(|| pool.install(move || ahead::run(chain, files, |batch| sender.send(batch).is_ok())));
            let commit = &mut |block: &Prepared| match block {
                Prepared::Known => Ok(()),
                Prepared::Recovered(block) => Ok(importer.import(block)?),
                Prepared::Certified(block) => Ok(importer.commit(block)?),
                Prepared::Finalized(block) => {
                    let validators = importer.validators(height_of(block))?;
                    Ok(importer.commit(&ahead::verify(chain, FinalizedBlock::clone(block), &validators)?)?)
                }
            };
            loop {
                let waiting = Instant::now();
                let Ok(batch) = batches.recv() else { return Ok(()) };
                self.summary.waiting += waiting.elapsed();
                self.commit_batch(batch?, commit, progress)?;
            }
        });
        // As long as they live.
        self.summary.threads = ThreadTimes::now().since(&self.threads);
        let finished = importer.finish();
        self.count_events();
        finished?;
        result
    }

    fn commit_batch(
        &mut self,
        batch: PreparedBatch,
        commit: Commit<'_>,
        progress: &mut Progress,
    ) -> Result<(), Box<dyn Error>> {
        self.summary.recovery += batch.recovery;
        for block in batch.blocks {
            if self.stop.is_raised() {
                return Err("stopped by a signal: run it again to go on".into());
            }
            commit(&block).map_err(|error| describe(&block, error))?;
            self.after(&block)?;
        }
        progress.at(batch.position, || {
            let mgas_per_second = self.summary.gas_used as f64 / self.started.elapsed().as_secs_f64() / 1e6;
            format!("block {}  {mgas_per_second:.1} Mgas/s", self.chain.head().header.number)
        });
        Ok(())
    }

    /// What is due after a block, beside the commits.
    fn after(&mut self, block: &Prepared) -> Result<(), Box<dyn Error>> {
        self.count_events();
        if matches!(block, Prepared::Known) {
            self.summary.known += 1;
            return Ok(());
        }
        self.unpruned += 1;
        if self.unpruned >= PRUNE_INTERVAL_BLOCKS {
            self.prune()?;
            self.unpruned = 0;
        }
        if self.synced.elapsed() >= SYNC_INTERVAL {
            self.chain.sync()?;
            self.synced = Instant::now();
        }
        Ok(())
    }

    /// Counts what is committed; a block that stood in the files twice has no event.
    fn count_events(&mut self) {
        while let Ok(event) = self.events.try_recv() {
            self.summary.count(&event);
        }
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
fn describe(block: &Prepared, error: AheadError) -> Box<dyn Error> {
    let (number, hash) = match block {
        Prepared::Known => return error.into(),
        Prepared::Recovered(block) => (block.block().header.number, block.hash()),
        Prepared::Certified(block) => (block.proposed().block.header.number, block.hash()),
        Prepared::Finalized(block) => (height_of(block).as_u64(), block.proposed.hash()),
    };
    match error {
        AheadError::Chain(ChainError::InvalidBlock(error)) => {
            format!("block {number} ({hash}) is invalid: {error}").into()
        }
        error => error.into(),
    }
}

fn height_of(block: &FinalizedBlock) -> Height {
    Height::new(block.proposed.block.header.number)
}
