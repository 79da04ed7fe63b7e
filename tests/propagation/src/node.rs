//! A node without a chain: it takes proposals from the network, fills them, and says when it holds the block.

use crate::chain::{Chain, GENESIS_HASH};
use crate::pool::Pool;
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use heddle_network::{
    BlockRelay, BlockShelf, GossipValidator, Multiaddr, Network, NetworkConfig, NetworkHandle, NodeKey, PeerId,
    PropagationMetrics, RequestServer, Topic, Verdict,
};
use heddle_primitives::{
    CompactProposal, MAX_COMPACT_BLOCK_BYTES, ProposalMessage, Request, Response, ValidatorSet, decode_exact,
};
use prometheus_client::registry::Registry;
use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A node holds a block now.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// The block.
    pub block_hash: B256,
    /// Since when.
    pub at: Instant,
}

/// What the network asks a node.
struct Member {
    validators: Arc<ValidatorSet>,
    shelf: BlockShelf,
    /// Set once the network is there, which has to be started with this.
    relay: OnceLock<BlockRelay>,
    held: mpsc::UnboundedSender<Held>,
}

impl Member {
    /// Forwards whatever its proposer signed, and fills it meanwhile: what a validator does.
    fn on_proposal(&self, peer: PeerId, message: &[u8]) -> Option<()> {
        let CompactProposal { proposal, block } = decode_exact(message, MAX_COMPACT_BLOCK_BYTES).ok()?;
        let signed = &proposal.proposal;
        let proposer = self.validators.proposer(signed.height, signed.round.as_u32());
        let is_signed = block.hash() == signed.block_hash && proposal.verify(&proposer.public_key, &Chain::context());
        block.check().ok().filter(|()| is_signed)?;
        let (relay, held) = (self.relay.get()?.clone(), self.held.clone());
        tokio::spawn(async move {
            if let Ok(block) = relay.assemble(peer, block).await {
                // The run may be over.
                let _ = held.send(Held { block_hash: block.hash(), at: Instant::now() });
            }
        });
        Some(())
    }
}

#[async_trait]
impl GossipValidator for Member {
    async fn validate(&self, peer: PeerId, topic: Topic, message: Bytes) -> Verdict {
        match topic {
            Topic::Proposals => self.on_proposal(peer, &message).map_or(Verdict::Reject, |()| Verdict::Accept),
            _ => Verdict::Ignore,
        }
    }
}

#[async_trait]
impl RequestServer for Member {
    async fn serve(&self, _: PeerId, request: Request) -> Option<Response> {
        Some(self.shelf.serve(&request).await)
    }
}

/// A running node; stops when dropped.
pub struct Node {
    /// Its network.
    pub network: NetworkHandle,
    /// What it knows.
    pub pool: Pool,
    /// What it counts.
    pub registry: Registry,
    /// The blocks that it comes to hold.
    pub held: mpsc::UnboundedReceiver<Held>,
    shelf: BlockShelf,
    task: JoinHandle<()>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Starts a node on loopback that knows where `others` are.
    ///
    /// # Errors
    /// When the system gives no port.
    pub async fn start(validators: Arc<ValidatorSet>, others: Vec<Multiaddr>) -> Result<Self, Box<dyn Error>> {
        let config = NetworkConfig {
            listen: NetworkConfig::listen_on(Ipv4Addr::LOCALHOST.into(), 0),
            bootnodes: others,
            ..NetworkConfig::default()
        };
        let (sender, held) = mpsc::unbounded_channel();
        let (shelf, pool) = (BlockShelf::default(), Pool::default());
        let member = Arc::new(Member { validators, shelf: shelf.clone(), relay: OnceLock::new(), held: sender });
        let mut registry = Registry::default();
        let (source, key) = (Arc::new(pool.clone()), NodeKey::generate());
        let (validator, server) = (member.clone(), member.clone());
        let (network, service) =
            Network::start(config, key, GENESIS_HASH, validator, server, source.clone(), &mut registry).await?;
        pool.connect(network.clone());
        let relay = BlockRelay::new(shelf.clone(), network.clone(), source, PropagationMetrics::new(&mut registry));
        // Nothing has been validated yet: the loop has not run.
        let _ = member.relay.set(relay);
        let task = tokio::spawn(async move {
            if let Err(error) = service.run().await {
                eprintln!("a node stopped: {error}");
            }
        });
        Ok(Self { network, pool, registry, held, shelf, task })
    }

    /// Proposes a block, with its transactions where these are at most `whole_bytes_max`; returns when the network has it.
    ///
    /// # Errors
    /// When the network has stopped.
    pub async fn propose(&self, message: ProposalMessage, whole_bytes_max: usize) -> Result<(), Box<dyn Error>> {
        let block = self.shelf.compact(Arc::new(message.body), whole_bytes_max).await;
        let proposal = CompactProposal { proposal: message.proposal, block };
        self.network.publish(Topic::Proposals, alloy_rlp::encode(&proposal).into()).await?;
        Ok(())
    }
}
