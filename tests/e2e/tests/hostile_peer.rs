//! A peer that speaks the protocol and lies: what it sends is named in the log, and the nodes still serve.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use alloy_primitives::{B256, Bytes};
use heddle_chain::{BuildRequest, Chain, ChainConfig};
use heddle_e2e::{Network, eventually, turn};
use heddle_network::{
    GossipValidator, Network as P2p, NetworkConfig, NetworkHandle, NetworkMetrics, NodeKey, PeerId, RequestServer,
    Topic, Verdict,
};
use heddle_primitives::{
    BlocksRequest, CertifiedBlock, ConsensusKey, ConsensusMessage, ConsensusSignature, Genesis, Height, Proposal,
    ProposalMessage, ProposedBlock, Request, Response, Round, SignedProposal, SignedVote, Validator, Vote, VoteKind,
};
use heddle_storage::{Database, DatabaseConfig};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The validator whose key the hostile peer has; the network runs without it.
const STOLEN: usize = 3;

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

/// A connected peer with a validator's key and a chain of its own.
struct Hostile {
    handle: NetworkHandle,
    swarm: JoinHandle<()>,
    genesis: Genesis,
    key: ConsensusKey,
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Hostile {
    /// Connects to the validators of a network, under a new identity each time.
    async fn connect(network: &Network) -> Self {
        let genesis = Genesis::read(&network.genesis()).unwrap();
        let key = std::fs::read_to_string(network.node_dir(STOLEN).join("validator.key")).unwrap();
        let addresses = network.addresses();
        let config = NetworkConfig {
            listen: NetworkConfig::listen_on([127, 0, 0, 1].into(), 0),
            bootnodes: addresses.iter().map(|address| address.as_str().unwrap().parse().unwrap()).collect(),
            ..NetworkConfig::default()
        };
        let (validator, server) = (Arc::new(Silent), Arc::new(Silent));
        let (handle, service) =
            P2p::start(config, NodeKey::generate(), genesis.hash(), validator, server, NetworkMetrics::default())
                .await
                .unwrap();
        let swarm = tokio::spawn(async move { _ = service.run().await });
        let mut peers = handle.watch_peers();
        peers.wait_for(|peers| peers.len() >= STOLEN).await.unwrap();
        drop(peers);
        Self { handle, swarm, genesis, key: ConsensusKey::from_hex(&key).unwrap() }
    }

    fn validator(&self) -> Validator {
        let validators = self.genesis.heddle().unwrap().validators.validators();
        validators.iter().find(|v| v.public_key == self.key.public_key()).unwrap().clone()
    }

    fn prevote(&self, height: u64) -> SignedVote {
        let vote = Vote {
            height: Height::new(height),
            round: Round::ZERO,
            kind: VoteKind::Prevote,
            block_hash: None,
            validator: self.validator().address,
        };
        SignedVote::sign(vote, &self.key, &self.genesis.signing_context())
    }

    fn propose(&self, round: Round, body: ProposedBlock) -> ConsensusMessage {
        let proposal = Proposal {
            height: Height::new(body.block.header.number),
            round,
            block_hash: body.hash(),
            pol_round: None,
            validator: self.validator().address,
        };
        let proposal = SignedProposal::sign(proposal, &self.key, &self.genesis.signing_context());
        ConsensusMessage::Proposal(Box::new(ProposalMessage { proposal, body }))
    }

    async fn publish(&self, bytes: Vec<u8>) {
        // A ban may cut the connection while we send: that is what this test provokes.
        _ = self.handle.publish_consensus(bytes.into()).await;
    }

    /// Brings `chain` to `height` with blocks that honest nodes serve.
    async fn follow(&self, chain: &Chain, height: u64) {
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

/// A network whose fourth validator is the hostile peer; its logs say what was refused.
async fn network() -> Network {
    let mut network = Network::create(4).await;
    for node in 0..STOLEN {
        network.configure(node, |toml| {
            toml.insert("log.level".into(), "info,heddle=debug,heddle_consensus=debug".into());
        });
        network.start(node).await;
    }
    network.wait_heights(0..STOLEN, 2).await;
    network
}

/// Repeats a lie, each kind under a new identity, until node 0 names it in its log; then the chain must go on.
async fn is_named(network: &mut Network, words: &str, lie: impl Fn(&Hostile, u64) -> Vec<u8>) {
    let named = network.process(0).log().matches(words).count();
    let peer = Hostile::connect(network).await;
    eventually(words, async || {
        // Judged at the height being decided: it may have moved on, then the next one hits.
        peer.publish(lie(&peer, network.rpc(0).height().await + 1)).await;
        (network.process(0).log().matches(words).count() > named).then_some(())
    })
    .await;
    let height = network.wait_blocks(0, 2).await;
    network.wait_heights(0..STOLEN, height).await;
}

#[tokio::test]
async fn malformed_and_forged_messages_are_refused_and_the_nodes_still_serve() {
    let _turn = turn().await;
    let mut network = network().await;
    let encoded = |vote| alloy_rlp::encode(ConsensusMessage::Vote(vote));

    is_named(&mut network, "undecodable consensus message", |peer, next| {
        let mut truncated = encoded(peer.prevote(next));
        truncated.pop();
        truncated
    })
    .await;
    is_named(&mut network, "does not verify", |peer, next| {
        let mut forged = peer.prevote(next);
        forged.signature = ConsensusSignature::from_bytes([7; 64]);
        encoded(forged)
    })
    .await;
    is_named(&mut network, "is not a validator", |peer, next| {
        let mut stranger = peer.prevote(next);
        stranger.vote.validator = Default::default();
        encoded(stranger)
    })
    .await;
    is_named(&mut network, "whose proposer is", |peer, next| {
        let mut header = heddle_primitives::Header { number: next, ..Default::default() };
        header.transactions_root = alloy_trie::EMPTY_ROOT_HASH;
        let block = heddle_primitives::Block { header, body: Default::default() };
        let validators = &peer.genesis.heddle().unwrap().validators;
        let turn_of = |round: &u32| validators.proposer(Height::new(next), *round).address;
        let others = (0..4).find(|round| turn_of(round) != peer.validator().address).unwrap();
        let body = ProposedBlock::new(Arc::new(block), None);
        alloy_rlp::encode(peer.propose(Round::new(others), body))
    })
    .await;
    network.check_agreement(0..STOLEN, network.rpc(0).height().await).await;
}

#[tokio::test]
async fn a_block_with_a_wrong_state_root_is_not_voted_for_and_the_chain_goes_on() {
    let _turn = turn().await;
    let mut network = network().await;
    let peer = Hostile::connect(&network).await;
    let database = Database::open(&network.scratch().join("hostile"), &DatabaseConfig::default()).unwrap();
    let chain = Chain::open(peer.genesis.clone(), database, ChainConfig::default()).unwrap();
    let validators = peer.genesis.heddle().unwrap().validators.clone();

    let lie = eventually("our turn to propose", async || {
        let height = network.rpc(0).height().await;
        peer.follow(&chain, height).await;
        let next = chain.head().height().next();
        let ours =
            chain.head().header.number == height && validators.proposer(next, 0).address == peer.validator().address;
        ours.then(|| wrong_state_root(&chain, peer.validator().fee_recipient))
    })
    .await;
    let (number, hash) = (lie.block.header.number, lie.hash());
    peer.publish(alloy_rlp::encode(peer.propose(Round::ZERO, lie))).await;

    let line = network.process(0).line("proposed block is invalid").await;
    assert!(line.contains("state root"), "{line}");
    let height = network.wait_blocks(0, 3).await;
    network.wait_heights(0..STOLEN, height).await;
    network.check_agreement(0..STOLEN, height).await;
    assert_ne!(network.rpc(0).hash(number).await, hash);
}

/// A block that is right in everything but its state root.
fn wrong_state_root(chain: &Chain, fee_recipient: alloy_primitives::Address) -> ProposedBlock {
    let built = chain
        .build(BuildRequest {
            timestamp: chain.head().header.timestamp,
            fee_recipient,
            candidates: Box::new(std::iter::empty()),
            deadline: &|| false,
        })
        .unwrap();
    let mut block = Arc::unwrap_or_clone(built.proposed.block);
    block.header.state_root = B256::repeat_byte(0x66);
    ProposedBlock::new(Arc::new(block), built.proposed.parent_certificate)
}
