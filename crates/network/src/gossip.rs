//! Gossipsub's parameters: sizes, mesh, message ids, scores.

use crate::{NetworkError, Topic, protocol::Protocols};
use libp2p::{
    gossipsub::{
        Behaviour, Config, ConfigBuilder, IdentityTransform, Message, MessageAuthenticity, MessageId, PeerScoreParams,
        PeerScoreThresholds, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter, score_parameter_decay,
    },
    identity::Keypair,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Gossipsub that accepts our topics only.
pub(crate) type Gossip = Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// Author, signature, sequence number and topic around a payload, with what a reader holds beyond the message.
const ENVELOPE_BYTES: usize = 64 * 1024;
/// Messages that may wait for one connection; a topic's largest message bounds their bytes.
const QUEUE_MESSAGES: usize = 256;
/// Room for the ids of every message that one heartbeat may announce (5000 of 34 bytes).
const CONTROL_BYTES: usize = 256 * 1024;

/// Below this score gossipsub no longer listens to a peer, and we disconnect it.
pub(crate) const SCORE_MIN: f64 = -80.0;

/// Builds the behaviour and subscribes to every topic.
pub(crate) fn behaviour(key: &Keypair, protocols: &Protocols) -> Result<Gossip, NetworkError> {
    let setup = |reason: String| NetworkError::setup("gossipsub", reason);
    let config = config(protocols).map_err(|error| setup(error.to_string()))?;
    let filter = WhitelistSubscriptionFilter(Topic::ALL.map(|topic| protocols.topic_hash(topic)).into());
    let author = MessageAuthenticity::Signed(key.clone());
    let mut gossip =
        Gossip::new_with_subscription_filter(author, config, filter).map_err(|error| setup(error.into()))?;
    gossip.with_peer_score(score(protocols), thresholds()).map_err(setup)?;
    for topic in Topic::ALL {
        gossip.subscribe(protocols.ident_topic(topic)).map_err(|error| setup(error.to_string()))?;
    }
    Ok(gossip)
}

fn config(protocols: &Protocols) -> Result<Config, libp2p::gossipsub::ConfigBuilderError> {
    let mut config = ConfigBuilder::default();
    config
        .protocol_id_prefix(protocols.gossip_prefix())
        .validation_mode(ValidationMode::Strict)
        .validate_messages()
        .message_id_fn(message_id(protocols))
        // After a restart our own messages may come back; that is no fault of the peer that forwards them.
        .allow_self_origin(true)
        .flood_publish(true)
        // Up to seven nodes are always fully meshed: every peer is grafted while there are fewer than `mesh_n_low`.
        .mesh_n(8)
        .mesh_n_low(6)
        .mesh_n_high(12)
        .mesh_outbound_min(2)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_millis(500))
        // A message must still be cached when its validation ends: 20 heartbeats, 10 s.
        .history_length(20)
        .history_gossip(3)
        .prune_backoff(Duration::from_secs(10))
        .unsubscribe_backoff(Duration::from_secs(1))
        .graft_flood_threshold(Duration::from_secs(1))
        .connection_handler_queue_len(QUEUE_MESSAGES)
        .publish_queue_duration(Duration::from_secs(5))
        .forward_queue_duration(Duration::from_secs(3))
        .max_control_message_size(CONTROL_BYTES)
        .max_transmit_size(Topic::Consensus.bytes_max() + 2 * ENVELOPE_BYTES);
    for topic in Topic::ALL {
        let hash = protocols.topic_hash(topic);
        config
            .max_transmit_size_for_topic(topic.bytes_max() + ENVELOPE_BYTES, hash.clone())
            .mesh_n_for_topic(8, hash.clone())
            .mesh_n_low_for_topic(6, hash.clone());
    }
    config.build()
}

/// SHA-256 over topic and payload, so that the same transactions from two authors travel once. On the consensus topic
/// also over author and sequence number: a node of a halted chain repeats its votes for peers that come back, and
/// gossipsub would drop a repeated id.
fn message_id(protocols: &Protocols) -> impl Fn(&Message) -> MessageId + Send + Sync + 'static {
    let consensus = protocols.topic_hash(Topic::Consensus);
    move |message| {
        let mut hasher = Sha256::new();
        hasher.update(message.topic.as_str());
        hasher.update([0]);
        if message.topic == consensus {
            hasher.update(message.source.map(|author| author.to_bytes()).unwrap_or_default());
            hasher.update(message.sequence_number.unwrap_or_default().to_be_bytes());
        }
        hasher.update(&message.data);
        MessageId::new(&hasher.finalize())
    }
}

/// Mild: a useful peer earns up to 10 a topic, a rejected message costs about as much until it decays, and only
/// several within a minute reach [`SCORE_MIN`].
fn score(protocols: &Protocols) -> PeerScoreParams {
    let topics = Topic::ALL.map(|topic| (protocols.topic_hash(topic), topic_score()));
    PeerScoreParams {
        topics: topics.into(),
        topic_score_cap: 20.0,
        // The application's score is the negated penalty of the peer book.
        app_specific_weight: 1.0,
        // Many nodes may run behind one address, and to be slow is no fault; limits deal with both.
        ip_colocation_factor_weight: 0.0,
        slow_peer_weight: 0.0,
        behaviour_penalty_weight: -0.1,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: score_parameter_decay(Duration::from_secs(60)),
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

fn topic_score() -> TopicScoreParams {
    TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.05,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 100.0,
        first_message_deliveries_weight: 0.1,
        first_message_deliveries_decay: score_parameter_decay(Duration::from_secs(600)),
        first_message_deliveries_cap: 50.0,
        // No penalty for delivering little: the transactions topic may be silent for hours.
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -1.0,
        invalid_message_deliveries_decay: score_parameter_decay(Duration::from_secs(60)),
        ..TopicScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -40.0,
        publish_threshold: -60.0,
        graylist_threshold: SCORE_MIN,
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use libp2p::PeerId;

    fn id(topic: Topic, author: PeerId, sequence_number: u64) -> MessageId {
        let protocols = Protocols::new(B256::ZERO);
        let topic = protocols.topic_hash(topic);
        let message =
            Message { source: Some(author), data: vec![1, 2, 3], sequence_number: Some(sequence_number), topic };
        message_id(&protocols)(&message)
    }

    #[test]
    fn transactions_travel_once_and_consensus_messages_may_be_repeated() {
        let (a, b) = (PeerId::random(), PeerId::random());
        assert_eq!(id(Topic::Transactions, a, 1), id(Topic::Transactions, b, 2));
        assert_eq!(id(Topic::Consensus, a, 1), id(Topic::Consensus, a, 1));
        assert_ne!(id(Topic::Consensus, a, 1), id(Topic::Consensus, a, 2));
        assert_ne!(id(Topic::Consensus, a, 1), id(Topic::Transactions, a, 1));
    }

    #[test]
    fn parameters_are_valid() {
        behaviour(&Keypair::generate_ed25519(), &Protocols::new(B256::ZERO)).unwrap();
    }
}
