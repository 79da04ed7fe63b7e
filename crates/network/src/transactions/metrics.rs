//! What the spread of transactions counts.

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

/// Counters of transactions by what became of them; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct TransactionMetrics {
    announced: Family<AnnouncedLabel, Counter>,
    fetched: Family<FetchedLabel, Counter>,
    pushed: Family<PushedLabel, Counter>,
    received_bytes: Family<ReceivedLabel, Counter>,
    pub(crate) wanted: Gauge,
}

/// What became of an announced hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Announced {
    /// Told to a peer.
    Sent,
    /// Forgotten, for its peer takes too little.
    Dropped,
    /// Told by a peer.
    Received,
    /// Told by a peer beyond what is remembered of one.
    Refused,
    /// Told by a peer that exceeds its rate.
    OverLimit,
}

/// What became of a hash in a fetch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Fetched {
    /// Asked of a peer.
    Asked,
    /// The peer no longer had it.
    Missing,
    /// No answer, or one that breaks the rules.
    Failed,
    /// Given to a peer.
    Served,
    /// Asked by a peer and not held, or not now.
    Unserved,
    /// Asked by a peer that exceeds its rate.
    OverLimit,
}

/// What became of a pushed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Pushed {
    /// Sent to a peer.
    Sent,
    /// Sent by a peer.
    Received,
    /// Sent by a peer that exceeds its rate, or too many of whose transactions wait to be judged.
    OverLimit,
}

/// Whether bytes of a transaction were of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(crate) enum Use {
    /// They came for the first time.
    New,
    /// They had come before.
    Duplicate,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnnouncedLabel {
    outcome: Announced,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FetchedLabel {
    outcome: Fetched,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PushedLabel {
    outcome: Pushed,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReceivedLabel {
    outcome: Use,
}

impl TransactionMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let r = registry.sub_registry_with_prefix("transactions");
        r.register("announced", "Hashes announced, by outcome", self.announced.clone());
        r.register("fetched", "Hashes in fetches, by outcome", self.fetched.clone());
        r.register("pushed", "Transactions pushed, by outcome", self.pushed.clone());
        r.register(
            "received_bytes",
            "Bytes of transactions received, by whether they were new",
            self.received_bytes.clone(),
        );
        r.register("wanted", "Announced transactions that are still to come", self.wanted.clone());
    }

    pub(crate) fn announced(&self, outcome: Announced, count: usize) {
        self.announced.get_or_create(&AnnouncedLabel { outcome }).inc_by(count as u64);
    }

    pub(crate) fn fetched(&self, outcome: Fetched, count: usize) {
        self.fetched.get_or_create(&FetchedLabel { outcome }).inc_by(count as u64);
    }

    pub(crate) fn pushed(&self, outcome: Pushed, count: usize) {
        self.pushed.get_or_create(&PushedLabel { outcome }).inc_by(count as u64);
    }

    pub(crate) fn received(&self, outcome: Use, bytes: usize) {
        self.received_bytes.get_or_create(&ReceivedLabel { outcome }).inc_by(bytes as u64);
    }
}
