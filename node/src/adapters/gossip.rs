//! Gossip: bytes of the network become messages of consensus, and back.

use alloy_primitives::Bytes;
use async_trait::async_trait;
use heddle_consensus::{ConsensusHandle, Outbound};
use heddle_network::{GossipValidator, NetworkHandle, PeerId, Topic, Verdict};
use heddle_primitives::{ConsensusMessage, decode_exact};
use std::sync::OnceLock;
use tracing::debug;

/// Judges what peers gossip, before it is forwarded.
#[derive(Default)]
pub struct Inbound {
    /// Set once consensus exists; gossip that comes before is not judged.
    consensus: OnceLock<ConsensusHandle>,
}

impl Inbound {
    /// Lets consensus messages in.
    pub fn connect(&self, consensus: ConsensusHandle) {
        // A second call would change nothing; there is one consensus a node.
        let _ = self.consensus.set(consensus);
    }

    async fn consensus(&self, peer: PeerId, topic: Topic, bytes: &[u8]) -> Verdict {
        let Some(consensus) = self.consensus.get() else { return Verdict::Ignore };
        match decode_exact::<ConsensusMessage>(bytes, topic.bytes_max()) {
            Ok(message) if topic_of(&message) != topic => {
                debug!(%peer, ?topic, "consensus message on another's topic");
                Verdict::Reject
            }
            Ok(message) => match consensus.deliver(message).await {
                heddle_consensus::Verdict::Accept => Verdict::Accept,
                heddle_consensus::Verdict::Ignore => Verdict::Ignore,
                heddle_consensus::Verdict::Reject => Verdict::Reject,
            },
            Err(error) => {
                debug!(%peer, %error, "undecodable consensus message");
                Verdict::Reject
            }
        }
    }
}

#[async_trait]
impl GossipValidator for Inbound {
    async fn validate(&self, peer: PeerId, topic: Topic, message: Bytes) -> Verdict {
        match topic {
            Topic::Consensus | Topic::Proposals => self.consensus(peer, topic, &message).await,
            // No node publishes blocks yet.
            Topic::Blocks => Verdict::Reject,
        }
    }
}

/// Where a consensus message travels.
fn topic_of(message: &ConsensusMessage) -> Topic {
    match message {
        ConsensusMessage::Proposal(_) => Topic::Proposals,
        _ => Topic::Consensus,
    }
}

/// Sends consensus messages to peers.
pub struct NetworkOutbound(pub NetworkHandle);

#[async_trait]
impl Outbound for NetworkOutbound {
    async fn publish(&self, message: ConsensusMessage) {
        let bytes = alloy_rlp::encode(&message).into();
        if let Err(error) = self.0.publish(topic_of(&message), bytes).await {
            // Consensus repeats itself until it is heard; a stopped network ends the node by its own task.
            debug!(%error, "consensus message not published");
        }
    }
}
