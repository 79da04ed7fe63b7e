//! A peer that speaks the protocol and lies: what it sends is named in the log, and the nodes still serve.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod hostile;

use alloy_primitives::B256;
use heddle_chain::{BuildRequest, Chain, ChainConfig};
use heddle_e2e::{Network, eventually, turn};
use heddle_network::Topic;
use heddle_primitives::{ConsensusMessage, ConsensusSignature, Height, ProposedBlock, Round};
use heddle_storage::{Database, DatabaseConfig};
use hostile::{Hostile, STOLEN};
use std::sync::Arc;

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
async fn is_named(network: &mut Network, words: &str, topic: Topic, lie: impl Fn(&Hostile, u64) -> Vec<u8>) {
    let named = network.process(0).log().matches(words).count();
    let peer = Hostile::connect(network).await;
    eventually(words, async || {
        // Judged at the height being decided: it may have moved on, then the next one hits.
        peer.publish(topic, lie(&peer, network.rpc(0).height().await + 1)).await;
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

    is_named(&mut network, "undecodable message", Topic::Consensus, |peer, next| {
        let mut truncated = encoded(peer.prevote(next, None));
        truncated.pop();
        truncated
    })
    .await;
    is_named(&mut network, "does not verify", Topic::Consensus, |peer, next| {
        let mut forged = peer.prevote(next, None);
        forged.signature = ConsensusSignature::from_bytes([7; 64]);
        encoded(forged)
    })
    .await;
    is_named(&mut network, "is not a validator", Topic::Consensus, |peer, next| {
        let mut stranger = peer.prevote(next, None);
        stranger.vote.validator = Default::default();
        encoded(stranger)
    })
    .await;
    is_named(&mut network, "whose proposer is", Topic::Proposals, |peer, next| {
        let mut header = heddle_primitives::Header { number: next, ..Default::default() };
        header.transactions_root = alloy_trie::EMPTY_ROOT_HASH;
        let block = heddle_primitives::Block { header, body: Default::default() };
        let validators = &peer.genesis.heddle().unwrap().validators;
        let turn_of = |round: &u32| validators.proposer(Height::new(next), *round).address;
        let others = (0..4).find(|round| turn_of(round) != peer.validator().address).unwrap();
        let body = ProposedBlock::new(Arc::new(block), None);
        alloy_rlp::encode(peer.propose(Round::new(others), &body))
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
    peer.publish(Topic::Proposals, alloy_rlp::encode(peer.propose(Round::ZERO, &lie))).await;

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
