//! What an operator sees of catching up.

use crate::{PeerFault, SyncStatus};
use heddle_primitives::{Height, RequestKind};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;
use std::fmt::{self, Write};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Outcome {
    Answered,
    Refused,
    Failed,
    TimedOut,
}

/// A kind of request as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind(pub(crate) RequestKind);

impl EncodeLabelValue for Kind {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        write!(encoder, "{:?}", self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RequestLabels {
    pub(crate) kind: Kind,
    pub(crate) outcome: Outcome,
}

/// What peers do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Fault {
    WrongAnswer,
    BrokenPromise,
    InvalidHeader,
    InvalidBlock,
    WrongAccessList,
    State,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::WrongAnswer,
        Self::BrokenPromise,
        Self::InvalidHeader,
        Self::InvalidBlock,
        Self::WrongAccessList,
        Self::State,
    ];
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FaultLabels {
    fault: Fault,
}

/// How far something has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Stage {
    Announced,
    Common,
    Headers,
    Blocks,
    Committed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StageLabels {
    stage: Stage,
}

/// Counters of one sync loop; clones share them.
#[derive(Clone, Debug, Default)]
pub struct SyncMetrics {
    pub(crate) requests: Family<RequestLabels, Counter>,
    pub(crate) headers_verified: Counter,
    pub(crate) blocks_committed: Counter,
    pub(crate) block_bytes: Counter,
    peer_faults: Family<FaultLabels, Counter>,
    heights: Family<StageLabels, Gauge>,
    seconds_left: Gauge,
}

impl SyncMetrics {
    /// Puts the metrics into a registry, under `sync_`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("sync");
        r.register("requests", "Requests to peers, by kind and outcome", self.requests.clone());
        r.register(
            "headers_verified",
            "Headers fetched from peers and found to be final",
            self.headers_verified.clone(),
        );
        r.register("blocks_committed", "Blocks fetched from peers and committed", self.blocks_committed.clone());
        r.register("block_bytes", "Bytes of blocks fetched from peers", self.block_bytes.clone());
        r.register("peer_faults", "Answers that an honest peer does not give, by fault", self.peer_faults.clone());
        r.register("height", "How far catching up has come, by stage", self.heights.clone());
        r.register("remaining_seconds", "Estimated time until the head is reached", self.seconds_left.clone());
        // What has not happened yet is counted as 0 times, so that a query of it has an answer.
        for fault in Fault::ALL {
            drop(self.peer_faults.get_or_create(&FaultLabels { fault }));
        }
    }

    pub(crate) fn blame(&self, fault: &PeerFault) {
        let fault = match fault {
            PeerFault::WrongAnswer => Fault::WrongAnswer,
            PeerFault::BrokenPromise => Fault::BrokenPromise,
            PeerFault::InvalidHeader(_) => Fault::InvalidHeader,
            PeerFault::InvalidBlock(_) => Fault::InvalidBlock,
            PeerFault::WrongAccessList(..) => Fault::WrongAccessList,
            PeerFault::State(_) => Fault::State,
        };
        self.peer_faults.get_or_create(&FaultLabels { fault }).inc();
    }

    pub(crate) fn show(&self, status: &SyncStatus, fetched: Height) {
        let stages = [
            (Stage::Announced, status.announced),
            (Stage::Common, status.common),
            (Stage::Headers, status.highest),
            (Stage::Blocks, fetched),
            (Stage::Committed, status.current),
        ];
        for (stage, height) in stages {
            self.heights.get_or_create(&StageLabels { stage }).set(gauge(height.as_u64()));
        }
        self.seconds_left.set(gauge(status.seconds_left.unwrap_or_default()));
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
