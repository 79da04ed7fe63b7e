//! Gossipsub's parameters: sizes, mesh, message ids. Scores have their own file.
//!
//! Messages carry neither author nor signature: what is gossiped is signed by validators, or it is worthless. An id is
//! the SHA-256 of the payload.
//!
//! The protocol has libp2p's own name: under another one, gossipsub 0.50 leaves out IDONTWANT. Topics carry the genesis
//! hash, and a peer of another chain is disconnected when it identifies itself.

use crate::{ChainPace, NetworkError, Topic, protocol::Protocols, repeats, score};
use libp2p::gossipsub::{
    Behaviour, Config, ConfigBuilder, IdentityTransform, Message, MessageAuthenticity, MessageId, ValidationMode,
    WhitelistSubscriptionFilter,
};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Gossipsub that accepts our topics only.
pub(crate) type Gossip = Behaviour<IdentityTransform, WhitelistSubscriptionFilter>;

/// The topic and framing around a payload, with what a reader holds beyond the message.
const ENVELOPE_BYTES: usize = 64 * 1024;
/// Messages larger than this are announced before they are sent, to peers that may hold them or send them too. Every vote
/// is smaller.
const IDONTWANT_BYTES: usize = 1024;
/// Messages that may wait for one connection; a topic's largest message bounds their bytes.
const QUEUE_MESSAGES: usize = 256;
/// Most ids that one heartbeat may announce, or ask of one peer; several times what a block's votes are.
const CONTROL_IDS: usize = 1500;
/// Room for as many ids, of 34 bytes each.
const CONTROL_BYTES: usize = 64 * 1024;

/// Builds the behaviour and subscribes to every topic. Gossipsub's own metrics are left out: what of them tells an operator
/// something, ours say by names that fit.
pub(crate) fn behaviour(protocols: &Protocols, pace: &ChainPace) -> Result<Gossip, NetworkError> {
    let setup = |reason: String| NetworkError::setup("gossipsub", reason);
    let config = config(protocols).map_err(|error| setup(error.to_string()))?;
    let filter = WhitelistSubscriptionFilter(Topic::ALL.map(|topic| protocols.topic_hash(topic)).into());
    let mut gossip = Gossip::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|error| setup(error.into()))?;
    gossip.with_peer_score(score::params(protocols, pace), score::thresholds()).map_err(setup)?;
    for topic in Topic::ALL {
        gossip.subscribe(protocols.ident_topic(topic)).map_err(|error| setup(error.to_string()))?;
    }
    Ok(gossip)
}

fn config(protocols: &Protocols) -> Result<Config, libp2p::gossipsub::ConfigBuilderError> {
    let mut config = ConfigBuilder::default();
    config
        .validation_mode(ValidationMode::Anonymous)
        .validate_messages()
        .message_id_fn(message_id)
        // A validator's own vote goes to every connected peer at once, by gossip to the others.
        .flood_publish(true)
        // Only what is larger than votes: peers are told not to send what was just received, or is being sent.
        .idontwant_message_size_threshold(IDONTWANT_BYTES)
        .idontwant_on_publish(true)
        .heartbeat_initial_delay(Duration::from_millis(100))
        .heartbeat_interval(Duration::from_millis(500))
        .duplicate_cache_time(repeats::MEMORY)
        // A message must still be cached when its validation ends: 20 heartbeats, 10 s.
        .history_length(20)
        .history_gossip(3)
        .prune_backoff(Duration::from_secs(10))
        .unsubscribe_backoff(Duration::from_secs(1))
        .graft_flood_threshold(Duration::from_secs(1))
        .connection_handler_queue_len(QUEUE_MESSAGES)
        .publish_queue_duration(Duration::from_secs(5))
        .forward_queue_duration(Duration::from_secs(3))
        .max_control_messages_sent(CONTROL_IDS)
        .max_control_message_size(CONTROL_BYTES)
        .max_transmit_size(Topic::Proposals.bytes_max() + 2 * ENVELOPE_BYTES);
    for topic in Topic::ALL {
        let (hash, mesh) = (protocols.topic_hash(topic), Mesh::of(topic));
        config
            .max_transmit_size_for_topic(topic.bytes_max() + ENVELOPE_BYTES, hash.clone())
            .mesh_n_for_topic(mesh.wanted, hash.clone())
            .mesh_n_low_for_topic(mesh.low, hash.clone())
            .mesh_n_high_for_topic(mesh.high, hash.clone())
            .mesh_outbound_min_for_topic(2, hash);
    }
    config.build()
}

/// How many peers get each message at once.
pub(crate) struct Mesh {
    low: usize,
    pub(crate) wanted: usize,
    high: usize,
}

impl Mesh {
    /// Votes are small and urgent, and up to seven nodes are always fully meshed for them: every peer is grafted while
    /// there are fewer than `low`. What carries a block is larger: fewer copies travel.
    pub(crate) const fn of(topic: Topic) -> Self {
        match topic {
            Topic::Consensus => Self { low: 6, wanted: 8, high: 12 },
            Topic::Proposals | Topic::Blocks => Self { low: 3, wanted: 4, high: 6 },
        }
    }
}

/// SHA-256 of the payload. What a node says again differs in its count of repeats.
fn message_id(message: &Message) -> MessageId {
    MessageId::new(&Sha256::digest(&message.data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use libp2p::PeerId;

    #[test]
    fn an_id_is_the_digest_of_the_payload_whoever_sends_it() {
        let topic = Protocols::new(B256::ZERO).topic_hash(Topic::Consensus);
        let message = |source| Message { source, data: b"abc".to_vec(), sequence_number: None, topic: topic.clone() };
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for source in [None, Some(PeerId::random())] {
            assert_eq!(hex::encode(message_id(&message(source)).0), digest);
        }
    }

    #[test]
    fn parameters_are_valid() {
        behaviour(&Protocols::new(B256::ZERO), &ChainPace::default()).unwrap();
    }
}
