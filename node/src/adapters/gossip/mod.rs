//! Gossip: bytes of the network become messages of consensus and final blocks, and back.

mod arrivals;
mod blocks;
mod filling;
mod proposals;

pub use arrivals::Arrivals;
pub use blocks::announce_commits;

use alloy_primitives::Bytes;
use alloy_rlp::Decodable;
use arrivals::{Arrival, BlockArrivals};
use async_trait::async_trait;
use blocks::FinalizedBlocks;
use heddle_chain::Chain;
use heddle_consensus::{ConsensusHandle, Outbound};
use heddle_network::{BlockShelf, GossipValidator, NetworkHandle, PeerId, Topic, Verdict};
use heddle_primitives::{
    CompactBlock, CompactProposal, ConsensusMessage, ProposalMessage, ProposedBlock, decode_exact,
};
use heddle_sync::SyncHandle;
use proposals::Proposals;
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc::{self, error::TrySendError};
use tracing::debug;

/// Blocks that have been judged and wait to be filled; one beyond is passed on, and left to the rounds or to sync.
const ARRIVALS_QUEUE: usize = 16;

/// What judging needs once the node can decide blocks.
#[derive(Clone)]
struct Deciding {
    consensus: ConsensusHandle,
    sync: SyncHandle,
}

/// Judges what peers gossip, before it is forwarded.
pub struct Inbound {
    /// Set once consensus exists; gossip that comes before is not judged.
    deciding: OnceLock<Deciding>,
    proposals: Proposals,
    finalized: FinalizedBlocks,
    arrivals: mpsc::Sender<Arrival>,
}

impl Inbound {
    /// Judges from [`Self::connect`] on. Blocks that are passed on come out at the other end, to be filled.
    pub fn new(chain: Chain) -> (Self, BlockArrivals) {
        let (arrivals, blocks) = mpsc::channel(ARRIVALS_QUEUE);
        let (proposals, finalized) = (Proposals::default(), FinalizedBlocks::new(chain));
        (Self { deciding: OnceLock::new(), proposals, finalized, arrivals }, BlockArrivals(blocks))
    }

    /// Lets consensus messages and blocks in.
    pub fn connect(&self, consensus: ConsensusHandle, sync: SyncHandle) {
        // A second call would change nothing; there is one consensus a node.
        let _ = self.deciding.set(Deciding { consensus, sync });
    }

    /// Consensus, once it has begun.
    pub fn consensus(&self) -> Option<&ConsensusHandle> {
        self.deciding.get().map(|deciding| &deciding.consensus)
    }

    /// Passes a block on to be filled, if there is room.
    fn arrived(&self, arrival: Arrival) {
        if let Err(TrySendError::Full(arrival) | TrySendError::Closed(arrival)) = self.arrivals.try_send(arrival) {
            debug!("too many blocks wait to be filled");
            arrival.give_up();
        }
    }
}

/// Judges votes, certificates and evidence. Proposals have their own topic, where their blocks are compact.
async fn consensus(deciding: &Deciding, peer: PeerId, bytes: &[u8]) -> Verdict {
    match decode(peer, Topic::Consensus, bytes) {
        Ok(ConsensusMessage::Proposal(_)) => Verdict::Reject,
        Ok(message) => verdict(deciding.consensus.deliver(message).await),
        Err(verdict) => verdict,
    }
}

fn verdict(verdict: heddle_consensus::Verdict) -> Verdict {
    match verdict {
        heddle_consensus::Verdict::Accept => Verdict::Accept,
        heddle_consensus::Verdict::Ignore => Verdict::Ignore,
        heddle_consensus::Verdict::Reject => Verdict::Reject,
    }
}

/// Decodes a message; one that does not decode is its forwarder's fault.
fn decode<T: Decodable>(peer: PeerId, topic: Topic, bytes: &[u8]) -> Result<T, Verdict> {
    decode_exact(bytes, topic.bytes_max()).map_err(|error| {
        debug!(%peer, ?topic, %error, "undecodable message");
        Verdict::Reject
    })
}

/// Checks a message off the async threads, and gives it back when it is sound; `Err` says why it is not.
async fn check_aside<T, E>(
    message: T,
    check: impl FnOnce(&T) -> Result<(), E> + Send + 'static,
) -> Result<Result<T, E>, Verdict>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let checked = tokio::task::spawn_blocking(move || check(&message).map(|()| message));
    match checked.await {
        Ok(checked) => Ok(checked),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(Verdict::Ignore),
    }
}

#[async_trait]
impl GossipValidator for Inbound {
    async fn validate(&self, peer: PeerId, topic: Topic, message: Bytes) -> Verdict {
        let Some(deciding) = self.deciding.get() else { return Verdict::Ignore };
        let judged = match topic {
            Topic::Proposals => self.proposals.judge(deciding, peer, &message).await,
            Topic::Blocks => self.finalized.judge(deciding, peer, &message).await,
            Topic::Consensus => return consensus(deciding, peer, &message).await,
        };
        match judged {
            Ok(arrival) => {
                arrival.into_iter().for_each(|arrival| self.arrived(arrival));
                Verdict::Accept
            }
            Err(verdict) => verdict,
        }
    }
}

/// Sends what consensus says to peers; proposals with their blocks in compact form.
#[derive(Clone)]
pub struct NetworkOutbound {
    /// The network.
    pub network: NetworkHandle,
    /// Serves what proposals only name.
    pub shelf: BlockShelf,
    /// As [`NetworkConfig::whole_block_bytes`](heddle_network::NetworkConfig::whole_block_bytes).
    pub whole_block_bytes: usize,
}

impl NetworkOutbound {
    /// The compact form of a block, which is served from now on.
    async fn compact(&self, block: Arc<ProposedBlock>) -> CompactBlock {
        self.shelf.compact(block, self.whole_block_bytes).await
    }
}

#[async_trait]
impl Outbound for NetworkOutbound {
    async fn publish(&self, message: ConsensusMessage) {
        let (topic, bytes) = match message {
            ConsensusMessage::Proposal(message) => {
                let ProposalMessage { proposal, body } = *message;
                let block = self.compact(Arc::new(body)).await;
                (Topic::Proposals, alloy_rlp::encode(CompactProposal { proposal, block }))
            }
            message => (Topic::Consensus, alloy_rlp::encode(&message)),
        };
        if let Err(error) = self.network.publish(topic, bytes.into()).await {
            // Consensus repeats itself until it is heard; a stopped network ends the node by its own task.
            debug!(%error, "consensus message not published");
        }
    }
}
