//! What the network counts.

use crate::{Misbehaviour, RequestError, Topic, Verdict, failure::DialFailure, transactions::TransactionMetrics};
use heddle_primitives::RequestKind;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::{fmt, sync::atomic::AtomicU64};

/// The network's metrics; the default ones are counted and shown nowhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct NetworkMetrics {
    pub(crate) peers: Gauge,
    pub(crate) gossip: Family<GossipLabels, Counter>,
    pub(crate) gossip_bytes: Family<TopicLabel, Counter>,
    pub(crate) gossip_received: Family<TopicLabel, Counter>,
    pub(crate) gossip_dropped: Family<DroppedLabels, Counter>,
    pub(crate) mesh_peers: Family<TopicLabel, Gauge>,
    pub(crate) score_min: Gauge<f64, AtomicU64>,
    pub(crate) score_median: Gauge<f64, AtomicU64>,
    pub(crate) published: Family<TopicLabel, Counter>,
    pub(crate) publish_failed: Family<TopicLabel, Counter>,
    pub(crate) unsent: Counter,
    pub(crate) requests_served: Family<ServedLabels, Counter>,
    pub(crate) response_bytes_sent: Family<KindLabel, Counter>,
    pub(crate) requests_sent: Family<SentLabels, Counter>,
    pub(crate) response_bytes_received: Family<KindLabel, Counter>,
    pub(crate) misbehaviours: Family<MisbehaviourLabel, Counter>,
    pub(crate) bans: Counter,
    pub(crate) transactions: TransactionMetrics,
    pub(crate) dial_failures: Family<DialFailureLabel, Counter>,
}

impl NetworkMetrics {
    /// Registers every metric under the prefix `network`.
    pub(crate) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("network");
        registry.register("peers", "Peers that are ready", metrics.peers.clone());
        metrics.register_gossip(registry);
        metrics.register_requests(registry);
        registry.register("misbehaviours", "Misbehaviours of peers by kind", metrics.misbehaviours.clone());
        registry.register("bans", "Peers banned", metrics.bans.clone());
        metrics.transactions.register(registry);
        registry.register("dial_failures", "Dials that came to nothing by cause", metrics.dial_failures.clone());
        metrics.start_at_zero();
        metrics
    }

    /// What has not happened yet is counted as 0 times, so that a query of it has an answer.
    fn start_at_zero(&self) {
        for topic in Topic::ALL {
            for verdict in [Verdict::Accept, Verdict::Ignore, Verdict::Reject] {
                drop(self.gossip.get_or_create(&GossipLabels { topic, verdict }));
            }
            for reason in [Dropped::OverLimit, Dropped::Repeated, Dropped::Busy] {
                drop(self.gossip_dropped.get_or_create(&DroppedLabels { topic, reason }));
            }
            drop(self.published.get_or_create(&TopicLabel { topic }));
            drop(self.publish_failed.get_or_create(&TopicLabel { topic }));
        }
        for kind in Misbehaviour::ALL {
            drop(self.misbehaviours.get_or_create(&MisbehaviourLabel { kind }));
        }
        for cause in DialFailure::ALL {
            drop(self.dial_failures.get_or_create(&DialFailureLabel { cause }));
        }
    }

    fn register_gossip(&self, registry: &mut Registry) {
        registry.register("gossip", "Gossip messages judged, by topic and verdict", self.gossip.clone());
        registry.register(
            "gossip_received",
            "Gossip messages received, copies too, by topic",
            self.gossip_received.clone(),
        );
        registry.register(
            "gossip_received_bytes",
            "Bytes of gossip received, copies too, by topic",
            self.gossip_bytes.clone(),
        );
        registry.register(
            "gossip_dropped",
            "Gossip messages not judged, by topic and reason",
            self.gossip_dropped.clone(),
        );
        registry.register("published", "Messages of ours sent by topic", self.published.clone());
        registry.register("publish_failed", "Messages of ours dropped by topic", self.publish_failed.clone());
        registry.register(
            "unsent",
            "Copies of messages dropped because their peer reads too slowly",
            self.unsent.clone(),
        );
        registry.register("mesh_peers", "Peers in the mesh by topic", self.mesh_peers.clone());
        registry.register("peer_score_min", "Lowest score of a ready peer", self.score_min.clone());
        registry.register("peer_score_median", "Median score of ready peers", self.score_median.clone());
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register("requests_served", "Requests of peers by kind and outcome", self.requests_served.clone());
        let sent = self.response_bytes_sent.clone();
        registry.register("response_sent_bytes", "Bytes of answers to peers by kind", sent);
        registry.register("requests_sent", "Requests of ours by kind and outcome", self.requests_sent.clone());
        let received = self.response_bytes_received.clone();
        registry.register("response_received_bytes", "Bytes of answers from peers by kind", received);
    }

    /// Shows the scores of the ready peers; zeroes when there are none.
    pub(crate) fn show_scores(&self, mut scores: Vec<f64>) {
        scores.sort_by(f64::total_cmp);
        self.score_min.set(scores.first().copied().unwrap_or_default());
        self.score_median.set(scores.get(scores.len() / 2).copied().unwrap_or_default());
    }

    pub(crate) fn count_gossip(&self, topic: Topic, verdict: Verdict) {
        self.gossip.get_or_create(&GossipLabels { topic, verdict }).inc();
    }
}

/// Label of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct TopicLabel {
    pub(crate) topic: Topic,
}

/// Labels of a judged message.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct GossipLabels {
    topic: Topic,
    verdict: Verdict,
}

/// Labels of a peer's request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ServedLabels {
    kind: String,
    outcome: Served,
}

impl ServedLabels {
    pub(crate) fn new(kind: RequestKind, outcome: Served) -> Self {
        Self { kind: format!("{kind:?}"), outcome }
    }
}

/// Label of a kind of request.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabel {
    kind: String,
}

impl From<RequestKind> for KindLabel {
    fn from(kind: RequestKind) -> Self {
        Self { kind: format!("{kind:?}") }
    }
}

/// Labels of a request of ours.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SentLabels {
    kind: String,
    outcome: &'static str,
}

impl SentLabels {
    pub(crate) fn new(kind: RequestKind, error: Option<&RequestError>) -> Self {
        let outcome = match error {
            None => "Answered",
            Some(RequestError::NotConnected(_)) => "NotConnected",
            Some(RequestError::Timeout) => "Timeout",
            Some(RequestError::Unsupported) => "Unsupported",
            Some(RequestError::Refused) => "Refused",
            Some(RequestError::ConnectionClosed) => "ConnectionClosed",
            Some(RequestError::InvalidResponse(_)) => "InvalidResponse",
            Some(RequestError::Overloaded) => "Overloaded",
            Some(RequestError::Stopped) => "Stopped",
        };
        Self { kind: format!("{kind:?}"), outcome }
    }
}

/// Labels of gossip that was not judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DroppedLabels {
    pub(crate) topic: Topic,
    pub(crate) reason: Dropped,
}

/// Why gossip was not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dropped {
    /// More than its peer may send.
    OverLimit,
    /// Repeated too soon.
    Repeated,
    /// As many as allowed are being judged.
    Busy,
}

/// What became of a peer's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Served {
    /// The peer has read the answer.
    Answered,
    /// We have no answer.
    Refused,
    /// Too many requests wait.
    Busy,
    /// The peer asks too often.
    OverLimit,
    /// The peer went away, or did not read the answer.
    Failed,
}

/// Label of a misbehaviour.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MisbehaviourLabel {
    pub(crate) kind: Misbehaviour,
}

/// Label of a failed dial.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DialFailureLabel {
    pub(crate) cause: DialFailure,
}

/// A label value is the variant's name, as in the traces.
macro_rules! label_by_debug {
    ($($kind:ty),*) => {$(
        impl EncodeLabelValue for $kind {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                EncodeLabelValue::encode(&format!("{self:?}"), encoder)
            }
        }
    )*};
}

label_by_debug!(Topic, Verdict, Served, Dropped, Misbehaviour, DialFailure);
