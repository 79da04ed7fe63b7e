//! Committing many blocks in a row: one is written while the next is executed.
//!
//! ```text
//! caller's thread   execute N, rows of N | execute N+1, rows of N+1 | ...
//! writing thread                         | write N, head N, event N | write N+1, ...
//! ```
//!
//! The next block runs on the rows that are still being written, through a view that nobody else is shown. Readers and
//! subscribers see a block only when it is written, and a crash leaves what it would leave without this.

use crate::commit::Prepared;
use crate::execution::Execution;
use crate::verify::{RecoveredTransactions, check_bound, recover};
use crate::{BlockError, Chain, ChainError, Head, RecoveredBlock};
use heddle_primitives::{CertifiedBlock, CommitCertificate, Header, Height, ValidatorSet};
use parking_lot::MutexGuard;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Holds the commit door as long as it lives, and commits blocks with at most one of them in flight. After an error
/// that is not about a block, it is of no more use.
pub struct Importer<'a> {
    chain: &'a Chain,
    /// What the next block follows: the head, or the block in flight.
    tip: Arc<Head>,
    in_flight: bool,
    writer: Writer,
    /// Released last.
    _door: MutexGuard<'a, ()>,
}

/// A certified block that came with what its header binds, and whose senders have been recovered: all that needs neither
/// parent nor state, so that it can run ahead of [`Importer::commit_recovered`].
#[derive(Debug)]
pub struct RecoveredCertifiedBlock {
    certified: CertifiedBlock,
    /// A certified block with a transaction that nobody signed is for the commit to judge: whoever sent it is right.
    transactions: RecoveredTransactions,
}

impl RecoveredCertifiedBlock {
    /// The block.
    pub fn certified(&self) -> &CertifiedBlock {
        &self.certified
    }
}

impl Chain {
    /// Checks that body, parent certificate and evidence are those that a certified header binds, and recovers the senders
    /// of all transactions on all cores.
    ///
    /// # Errors
    /// What is not the header's: the fault of whoever sent the block.
    pub fn recover_ahead(&self, certified: CertifiedBlock) -> Result<RecoveredCertifiedBlock, BlockError> {
        let (rules, proposed) = (&self.inner.rules, certified.proposed());
        let (bound, transactions) =
            rayon::join(|| check_bound(rules, proposed), || recover(rules, &proposed.block, &|_| None));
        bound?;
        Ok(RecoveredCertifiedBlock { certified, transactions })
    }

    /// Starts committing many blocks; every other commit waits until that is done.
    ///
    /// # Errors
    /// [`ChainError::Writer`] when the system gives no thread.
    pub fn importer(&self) -> Result<Importer<'_>, ChainError> {
        let door = self.inner.commit_door.lock();
        let chain = self.clone();
        let writer = Writer::start(move |prepared| chain.write_prepared(prepared).map(drop))?;
        Ok(Importer { chain: self, tip: self.head(), in_flight: false, writer, _door: door })
    }
}

impl Importer<'_> {
    /// As [`Chain::import`], but returns when the block is valid and on its way to the disk. An error may be about the
    /// writing of the block before.
    ///
    /// # Errors
    /// As [`Chain::import`]. After [`ChainError::InvalidBlock`] other blocks may follow.
    pub fn import(&mut self, block: &RecoveredBlock) -> Result<(), ChainError> {
        self.settle_unless_next(&block.block().header)?;
        let execution = self.chain.execute_recovered(&self.tip, block)?;
        execution.map_or(Ok(()), |execution| self.hand_over(execution, None))
    }

    /// As [`Chain::commit`], but returns when the block is valid and on its way to the disk. An error may be about the
    /// writing of the block before.
    ///
    /// # Errors
    /// As [`Chain::commit`].
    pub fn commit(&mut self, certified: &CertifiedBlock) -> Result<(), ChainError> {
        self.commit_certified(certified, None)
    }

    /// As [`Self::commit`], for a block of which all that needs no parent was done ahead.
    ///
    /// # Errors
    /// As [`Chain::commit`].
    pub fn commit_recovered(&mut self, block: RecoveredCertifiedBlock) -> Result<(), ChainError> {
        let RecoveredCertifiedBlock { certified, transactions } = block;
        self.commit_certified(&certified, Some(transactions))
    }

    fn commit_certified(
        &mut self,
        certified: &CertifiedBlock,
        transactions: Option<RecoveredTransactions>,
    ) -> Result<(), ChainError> {
        self.settle_unless_next(&certified.proposed().block.header)?;
        let execution = self.chain.execute_certified(&self.tip, certified, transactions)?;
        execution.map_or(Ok(()), |execution| self.hand_over(execution, Some(certified.certificate())))
    }

    /// As [`Chain::validators`], as if the block that is still being written were the head.
    ///
    /// # Errors
    /// As [`Chain::validators`].
    pub fn validators(&self, height: Height) -> Result<Arc<ValidatorSet>, ChainError> {
        self.chain.validators_on(&self.tip, height)
    }

    /// Waits until nothing is in flight, and opens the door again. Without this the last block is written too, but nobody
    /// learns whether that failed.
    ///
    /// # Errors
    /// Those of the writing.
    pub fn finish(mut self) -> Result<Arc<Head>, ChainError> {
        self.settle()?;
        Ok(self.chain.head())
    }

    /// What is not the block after the tip is judged by what is committed, once nothing is in flight.
    fn settle_unless_next(&mut self, header: &Header) -> Result<(), ChainError> {
        let is_next = header.parent_hash == self.tip.hash() && header.number == self.tip.height().next().as_u64();
        if is_next { Ok(()) } else { self.settle() }
    }

    fn settle(&mut self) -> Result<(), ChainError> {
        if std::mem::take(&mut self.in_flight) {
            self.writer.wait()?;
        }
        Ok(())
    }

    fn hand_over(&mut self, execution: Execution, certificate: Option<&CommitCertificate>) -> Result<(), ChainError> {
        // What the end of an epoch adds is proven from the state that is on disk.
        if self.chain.epoch_ended_by(execution.header.number).is_some() {
            self.settle()?;
        }
        let (prepared, state) = self.chain.prepare(&self.tip, execution, certificate)?;
        self.settle()?;
        let inner = &self.chain.inner;
        inner.states.committed(state);
        let state = inner.states.view_with(prepared.batch.clone())?;
        let (header, validators) = (prepared.event.header.clone(), prepared.validators.clone());
        let difficulty = prepared.total_difficulty;
        self.tip = Arc::new(Head::new(&inner.rules, header, certificate.cloned(), difficulty, validators, state));
        self.in_flight = true;
        self.writer.write(prepared)
    }
}

/// The thread that writes.
struct Writer {
    /// `None` only while it ends.
    blocks: Option<SyncSender<Prepared>>,
    results: Receiver<Result<(), ChainError>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(mut write: impl FnMut(Prepared) -> Result<(), ChainError> + Send + 'static) -> Result<Self, ChainError> {
        let (blocks, to_write) = sync_channel::<Prepared>(1);
        let (written, results) = sync_channel(1);
        let run = move || {
            for prepared in to_write {
                let result = write(prepared);
                // Nothing may be written behind a block that was not.
                let is_last = result.is_err();
                if written.send(result).is_err() || is_last {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("commit".to_owned()).spawn(run);
        let thread = thread.map_err(|error| ChainError::Writer(error.to_string()))?;
        Ok(Self { blocks: Some(blocks), results, thread: Some(thread) })
    }

    fn write(&self, prepared: Prepared) -> Result<(), ChainError> {
        let is_sent = self.blocks.as_ref().is_some_and(|blocks| blocks.send(prepared).is_ok());
        if is_sent { Ok(()) } else { Err(ended()) }
    }

    /// What became of the block that was given last.
    fn wait(&self) -> Result<(), ChainError> {
        self.results.recv().unwrap_or_else(|_| Err(ended()))
    }
}

impl Drop for Writer {
    /// Waits until a block in flight is written, so that whoever holds the door next finds the head where it stays.
    fn drop(&mut self) {
        self.blocks = None;
        if let Some(thread) = self.thread.take() {
            // It has ended with an error or a panic already, of which it told.
            let _ = thread.join();
        }
    }
}

fn ended() -> ChainError {
    ChainError::Writer("it ended before".to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    impl<'a> Importer<'a> {
        /// One that writes in another way.
        pub(crate) fn writing(
            chain: &'a Chain,
            write: impl FnMut(Prepared) -> Result<(), ChainError> + Send + 'static,
        ) -> Self {
            let door = chain.inner.commit_door.lock();
            let writer = Writer::start(write).unwrap();
            Importer { chain, tip: chain.head(), in_flight: false, writer, _door: door }
        }
    }
}
