//! A peer that has a validator's key and speaks the protocol.
#![allow(dead_code, reason = "each test binary uses some of it")]

use alloy_primitives::{B256, Bytes};
use heddle_chain::Chain;
use heddle_e2e::Network;
use heddle_network::{
    GossipValidator, Judgement, Network as P2p, NetworkConfig, NetworkHandle, NodeKey, PeerId, RequestServer, Topic,
    TransactionPool, Verdict,
};
use heddle_primitives::{
    BlocksRequest, CertifiedBlock, CompactBlock, CompactProposal, ConsensusKey, Genesis, Height, Proposal,
    ProposedBlock, Request, Response, Round, SignedProposal, SignedVote, TransactionAnnouncement, Validator, Vote,
    VoteKind,
};
use prometheus_client::registry::Registry;
use std::sync::{Arc, OnceLock};
use tokio::task::JoinHandle;

/// The validator whose key the hostile peer has; the network runs without it.
pub const STOLEN: usize = 3;

/// Takes everything from its peers and serves nothing.
struct Silent;

#[async_trait::async_trait]
impl GossipValidator for Silent {
    async fn validate(&self, _: PeerId, _: Topic, _: Bytes) -> Verdict {
        Verdict::Ignore
    }
}

#[async_trait::async_trait]
impl RequestServer for Silent {
    async fn serve(&self, _: PeerId, _: Request) -> Option<Response> {
        None
    }
}

#[async_trait::async_trait]
impl TransactionPool for Silent {
    async fn lacking(&self, _: Vec<TransactionAnnouncement>) -> Vec<TransactionAnnouncement> {
        Vec::new()
    }

    async fn encoded(&self, _: Vec<B256>, _: usize) -> Vec<Bytes> {
        Vec::new()
    }

    async fn pending(&self, _: usize) -> Vec<TransactionAnnouncement> {
        Vec::new()
    }

    async fn receive(&self, _: PeerId, _: Vec<Bytes>) -> Judgement {
        Judgement::default()
    }
}

/// A connected peer with a validator's key and a chain of its own.
pub struct Hostile {
    handle: NetworkHandle,
    swarm: JoinHandle<()>,
    pub genesis: Genesis,
    key: ConsensusKey,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Hostile {
    /// Connects to the validators of a network, under a new identity each time.
    pub async fn connect(network: &Network) -> Self {
        let genesis = Genesis::read(&network.genesis()).unwrap();
        let key = std::fs::read_to_string(network.node_dir(STOLEN).join("validator.key")).unwrap();
        let addresses = network.addresses();
        let config = NetworkConfig {
            listen: NetworkConfig::listen_on([127, 0, 0, 1].into(), 0),
            bootnodes: addresses.iter().map(|address| address.as_str().unwrap().parse().unwrap()).collect(),
            ..NetworkConfig::default()
        };
        let (silent, registry) = (Arc::new(Silent), &mut Registry::default());
        let (handle, service) =
            P2p::start(config, NodeKey::generate(), genesis.hash(), silent.clone(), silent.clone(), silent, registry)
                .await
                .unwrap();
        let swarm = tokio::spawn(async move { _ = service.run().await });
        let mut peers = handle.watch_peers();
        peers.wait_for(|peers| peers.len() >= STOLEN).await.unwrap();
        drop(peers);
        Self { handle, swarm, genesis, key: ConsensusKey::from_hex(&key).unwrap() }
    }

    /// The validator whose key it has.
    pub fn validator(&self) -> Validator {
        let validators = self.genesis.heddle().unwrap().validators.validators();
        validators.iter().find(|v| v.public_key == self.key.public_key()).unwrap().clone()
    }

    /// Its prevote in the first round of a height.
    pub fn prevote(&self, height: u64, block_hash: Option<B256>) -> SignedVote {
        let vote = Vote {
            height: Height::new(height),
            round: Round::ZERO,
            kind: VoteKind::Prevote,
            block_hash,
            validator: self.validator().address,
        };
        SignedVote::sign(vote, &self.key, &self.genesis.signing_context())
    }

    /// Its proposal of a block.
    pub fn propose(&self, round: Round, body: &ProposedBlock) -> CompactProposal {
        let proposal = Proposal {
            height: Height::new(body.block.header.number),
            round,
            block_hash: body.hash(),
            pol_round: None,
            validator: self.validator().address,
        };
        let proposal = SignedProposal::sign(proposal, &self.key, &self.genesis.signing_context());
        CompactProposal { proposal, block: CompactBlock::of(body, usize::MAX, None) }
    }

    /// Gossips a message.
    pub async fn publish(&self, topic: Topic, bytes: Vec<u8>) {
        // A ban may cut the connection while we send: that is what this test provokes.
        _ = self.handle.publish(topic, bytes.into()).await;
    }

    /// Brings `chain` to `height` with blocks that honest nodes serve.
    pub async fn follow(&self, chain: &Chain, height: u64) {
        let next = chain.head().height().next();
        let request = Request::Blocks(BlocksRequest { from: next, count: height - chain.head().header.number });
        let peer = self.handle.peers().first().unwrap().peer_id;
        let Ok(Response::Blocks(blocks)) = self.handle.request(peer, request).await else { return };
        for block in blocks {
            let validators = chain.validators(next).unwrap();
            let certified = CertifiedBlock::verify(block, &validators, &chain.signing_context()).unwrap();
            chain.commit(&certified).unwrap();
        }
    }
}

/// Serves what an honest node serves, changed by a lie.
struct Liar {
    lie: fn(&mut Response),
    honest: OnceLock<(NetworkHandle, PeerId)>,
}

#[async_trait::async_trait]
impl RequestServer for Liar {
    async fn serve(&self, _: PeerId, request: Request) -> Option<Response> {
        let (handle, honest) = self.honest.get()?;
        let mut response = handle.request(*honest, request).await.ok()?;
        (self.lie)(&mut response);
        Some(response)
    }
}

/// A connected peer without a chain that passes on what others ask it, and changes the answers.
pub struct Relay {
    handle: NetworkHandle,
    swarm: JoinHandle<()>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Relay {
    /// Connects to a validator of a network, which it asks; `lie` changes every answer.
    pub async fn connect(network: &Network, lie: fn(&mut Response)) -> Self {
        let genesis = Genesis::read(&network.genesis()).unwrap();
        let config = NetworkConfig {
            listen: NetworkConfig::listen_on([127, 0, 0, 1].into(), 0),
            bootnodes: vec![network.addresses()[0].as_str().unwrap().parse().unwrap()],
            ..NetworkConfig::default()
        };
        let server = Arc::new(Liar { lie, honest: OnceLock::new() });
        let (key, silent, registry) = (NodeKey::generate(), Arc::new(Silent), &mut Registry::default());
        let (handle, service) =
            P2p::start(config, key, genesis.hash(), silent.clone(), server.clone(), silent, registry).await.unwrap();
        let swarm = tokio::spawn(async move { _ = service.run().await });
        let mut peers = handle.watch_peers();
        let honest = peers.wait_for(|peers| !peers.is_empty()).await.unwrap()[0].peer_id;
        assert!(server.honest.set((handle.clone(), honest)).is_ok());
        Self { handle, swarm }
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.handle.listen_addresses().first().unwrap().to_string()
    }

    /// How it is named.
    pub fn peer_id(&self) -> PeerId {
        self.handle.local_peer_id()
    }
}
