//! Follows transactions from node to node: each stage that one passes becomes a span of its trace, for OpenTelemetry.
//!
//! ```text
//!   adapters --begin, end--> TransactionTraces --few bytes of the hash--> sampled? --> span --bounded queue--> Exporter
//! ```
//!
//! Nothing about traces is on the wire, where hostile peers could invent it: the trace, its first span and whether a
//! transaction is traced at all follow from the transaction's hash, so that all nodes agree without a word.

mod client;
mod exporter;
mod options;
mod sampling;
mod span;
#[cfg(test)]
mod tests;

pub use exporter::TracesError;
pub use options::{TracesConfig, parse_endpoint};
pub use sampling::Sampling;
pub use span::{BlockFacts, Event};

use alloy_primitives::TxHash;
use exporter::{Exporter, SpanSink};
use heddle_chain::CommittedBlock;
use heddle_network::PeerId;
use heddle_primitives::Block;
use prometheus_client::registry::Registry;
use std::sync::Arc;
use std::time::SystemTime;

/// Who the spans are from.
#[derive(Clone, Copy, Debug)]
pub struct TracedNode {
    /// Its identity among peers.
    pub peer_id: PeerId,
    /// Its chain.
    pub chain_id: u64,
    /// Whether it has a validator's key.
    pub is_validator: bool,
}

/// Records the stages of transactions; one that was not started does nothing. Clones share it.
#[derive(Clone, Default)]
pub struct TransactionTraces(Option<Arc<Recorder>>);

struct Recorder {
    sampling: Sampling,
    spans: SpanSink,
}

impl TransactionTraces {
    /// Starts to export what is recorded, until all clones are dropped.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub fn start(config: &TracesConfig, node: TracedNode, registry: &mut Registry) -> Result<Self, TracesError> {
        let spans = Exporter::start(config, node, registry)?;
        Ok(Self(Some(Arc::new(Recorder { sampling: config.sampling, spans }))))
    }

    /// A stage begins now.
    pub fn begin(&self) -> Stage {
        self.begun(SystemTime::now)
    }

    /// A stage began at that time.
    pub fn begin_at(&self, start: SystemTime) -> Stage {
        self.begun(|| start)
    }

    fn begun(&self, start: impl FnOnce() -> SystemTime) -> Stage {
        Stage(self.0.clone().map(|recorder| (recorder, start())))
    }

    /// A block was committed just now, whoever brought it.
    pub fn committed(&self, committed: &CommittedBlock) {
        let Some(recorder) = &self.0 else { return };
        let (end, writing) = (SystemTime::now(), committed.timings.rows + committed.timings.commit);
        let start = end.checked_sub(writing).unwrap_or(end);
        let block = BlockFacts { number: committed.header.number, hash: committed.header.seal() };
        let round = committed.round();
        let hashes = committed.block.body.transactions.iter().map(|transaction| transaction.tx_hash());
        recorder.record((start, end), hashes, |index| {
            let succeeded = committed.receipts.get(index).is_some_and(|receipt| receipt.status());
            Event::Committed { block, round, succeeded }
        });
    }
}

/// A stage that has begun. One that is dropped leaves nothing.
#[must_use]
pub struct Stage(Option<(Arc<Recorder>, SystemTime)>);

impl Stage {
    /// It ended now, for these transactions; `event` says what it was for the one at an index, and is asked for the
    /// sampled ones alone.
    pub fn end<'a, 'e>(self, transactions: impl IntoIterator<Item = &'a TxHash>, event: impl Fn(usize) -> Event<'e>) {
        let Some((recorder, start)) = self.0 else { return };
        recorder.record((start, SystemTime::now()), transactions, event);
    }

    /// It ended now, for the transactions of a block.
    pub fn end_block<'e>(self, block: &Block, event: impl Fn(BlockFacts) -> Event<'e>) {
        if self.0.is_none() {
            return;
        }
        let facts = BlockFacts { number: block.header.number, hash: block.header.hash_slow() };
        self.end(block.body.transactions.iter().map(|transaction| transaction.tx_hash()), |_| event(facts));
    }
}

impl Recorder {
    fn record<'a, 'e>(
        &self,
        (start, end): (SystemTime, SystemTime),
        transactions: impl IntoIterator<Item = &'a TxHash>,
        event: impl Fn(usize) -> Event<'e>,
    ) {
        for (index, hash) in transactions.into_iter().enumerate() {
            if self.sampling.takes(hash) {
                self.spans.send(span::span(hash, &event(index), start, end));
            }
        }
    }
}
