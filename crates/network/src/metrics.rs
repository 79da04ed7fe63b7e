//! What the network counts.

use crate::{Misbehaviour, Topic, Verdict, transactions::TransactionMetrics};
use heddle_primitives::RequestKind;
use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use std::fmt;

/// The network's metrics; the default ones are counted and shown nowhere.
#[derive(Clone, Debug, Default)]
pub struct NetworkMetrics {
    pub(crate) peers: Gauge,
    pub(crate) gossip: Family<GossipLabels, Counter>,
    pub(crate) gossip_bytes: Family<TopicLabel, Counter>,
    pub(crate) published: Family<TopicLabel, Counter>,
    pub(crate) publish_failed: Family<TopicLabel, Counter>,
    pub(crate) requests_served: Family<ServedLabels, Counter>,
    pub(crate) misbehaviours: Family<MisbehaviourLabel, Counter>,
    pub(crate) bans: Counter,
    pub(crate) transactions: TransactionMetrics,
}

impl NetworkMetrics {
    /// Registers every metric under the prefix `network`.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let registry = registry.sub_registry_with_prefix("network");
        registry.register("peers", "Peers that are ready", metrics.peers.clone());
        registry.register("gossip", "Gossip messages by topic and verdict", metrics.gossip.clone());
        registry.register("gossip_bytes", "Bytes of gossip received by topic", metrics.gossip_bytes.clone());
        registry.register("published", "Messages of ours sent by topic", metrics.published.clone());
        registry.register("publish_failed", "Messages of ours dropped by topic", metrics.publish_failed.clone());
        registry.register("requests_served", "Requests of peers by kind and outcome", metrics.requests_served.clone());
        registry.register("misbehaviours", "Misbehaviours of peers by kind", metrics.misbehaviours.clone());
        registry.register("bans", "Peers banned", metrics.bans.clone());
        metrics.transactions.register(registry);
        metrics
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

label_by_debug!(Topic, Verdict, Served, Misbehaviour);
