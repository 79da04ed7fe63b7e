//! A stage of a transaction as a span of its trace.

use alloy_primitives::{B256, TxHash, U256};
use heddle_network::PeerId;
use heddle_primitives::Round;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SpanData};
use std::time::SystemTime;

/// Which block.
#[derive(Clone, Copy, Debug)]
pub struct BlockFacts {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
}

/// What happened to a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A caller sent it to this node, and the mempool took it. The trace begins here.
    Received,
    /// A peer sent it, and the mempool took it.
    Gossiped {
        /// The peer.
        peer: PeerId,
    },
    /// The mempool took it.
    Added,
    /// This validator built a block with it.
    Proposed {
        /// The block.
        block: BlockFacts,
        /// The round it is proposed in.
        round: Round,
    },
    /// This node executed a proposed block with it.
    Executed {
        /// The block.
        block: BlockFacts,
        /// Why the block is invalid, if it is.
        invalid: Option<&'a str>,
    },
    /// This node wrote a final block with it.
    Committed {
        /// The block.
        block: BlockFacts,
        /// The round it was decided in.
        round: Round,
        /// Whether the transaction did what it was to do; false when it was reverted.
        succeeded: bool,
    },
}

impl Event<'_> {
    fn name(&self) -> &'static str {
        match self {
            Self::Received => "rpc.receive",
            Self::Gossiped { .. } => "gossip.receive",
            Self::Added => "mempool.add",
            Self::Proposed { .. } => "block.propose",
            Self::Executed { .. } => "block.execute",
            Self::Committed { .. } => "block.commit",
        }
    }

    fn kind(&self) -> SpanKind {
        match self {
            Self::Received => SpanKind::Server,
            Self::Gossiped { .. } => SpanKind::Consumer,
            _ => SpanKind::Internal,
        }
    }

    fn status(&self) -> Status {
        match self {
            Self::Executed { invalid: Some(reason), .. } => Status::error(reason.to_string()),
            Self::Committed { succeeded: false, .. } => Status::error("the transaction failed"),
            _ => Status::Ok,
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        match *self {
            Self::Received | Self::Added => Vec::new(),
            Self::Gossiped { peer } => vec![KeyValue::new("heddle.peer", peer.to_string())],
            Self::Executed { block, .. } => block.attributes(),
            Self::Proposed { block, round } | Self::Committed { block, round, .. } => {
                [block.attributes(), vec![KeyValue::new("heddle.block.round", i64::from(round.as_u32()))]].concat()
            }
        }
    }
}

impl BlockFacts {
    fn attributes(self) -> Vec<KeyValue> {
        let number = i64::try_from(self.number).unwrap_or(i64::MAX);
        vec![KeyValue::new("heddle.block.number", number), KeyValue::new("heddle.block.hash", self.hash.to_string())]
    }
}

/// A trace's number, the first half of its transaction's hash, and that of its first span, the eight bytes after it.
fn ids(hash: &TxHash) -> (TraceId, SpanId) {
    let [_, third, second, first] = U256::from_be_bytes(hash.0).into_limbs();
    (TraceId::from(u128::from(first) << 64 | u128::from(second)), SpanId::from(third))
}

/// The span of an event.
pub(super) fn span(hash: &TxHash, event: &Event<'_>, start: SystemTime, end: SystemTime) -> SpanData {
    let (trace_id, root) = ids(hash);
    let is_root = matches!(event, Event::Received);
    let (span_id, parent_span_id) =
        if is_root { (root, SpanId::INVALID) } else { (RandomIdGenerator::default().new_span_id(), root) };
    let mut attributes = vec![KeyValue::new("heddle.transaction", hash.to_string())];
    attributes.extend(event.attributes());
    SpanData {
        span_context: SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id,
        // The first span is that of one node; for all others it is.
        parent_span_is_remote: !is_root,
        span_kind: event.kind(),
        name: event.name().into(),
        start_time: start,
        end_time: end,
        attributes,
        dropped_attributes_count: 0,
        events: Default::default(),
        links: Default::default(),
        status: event.status(),
        instrumentation_scope: InstrumentationScope::builder("heddle").with_version(env!("CARGO_PKG_VERSION")).build(),
    }
}
