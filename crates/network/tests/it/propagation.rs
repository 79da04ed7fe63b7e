//! Blocks between real swarms: how often peers are asked, and what each of them serves.

use crate::support::{GENESIS, Pool, within};
use alloy_consensus::{BlockBody, Signed, TxLegacy, constants::EMPTY_WITHDRAWALS, proofs::calculate_transaction_root};
use alloy_primitives::{Bytes, Signature};
use async_trait::async_trait;
use heddle_network::{
    BlockRelay, BlockShelf, GossipValidator, Network, NetworkConfig, NetworkHandle, NodeKey, PeerId,
    PropagationMetrics, RequestServer, Topic, TransactionSource, Verdict,
};
use heddle_primitives::{
    Block, BlockTransactionsRequest, CompactBlock, CompactTransactions, Header, IndexSet, PieceCommitment,
    ProposedBlock, Refusal, Request, Response, ShortId, ShortIdKey, Transaction, consensus_root,
};
use prometheus_client::registry::Registry;
use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};
use tokio::task::JoinHandle;

struct Nothing;

#[async_trait]
impl GossipValidator for Nothing {
    async fn validate(&self, _: PeerId, _: Topic, _: Bytes) -> Verdict {
        Verdict::Ignore
    }
}

/// What a node was asked for, and what it lies about.
#[derive(Default)]
struct Server {
    shelf: BlockShelf,
    asked: Mutex<Vec<Request>>,
    /// Served in place of every transaction that is asked for.
    lie: Option<Transaction>,
}

#[async_trait]
impl RequestServer for Server {
    async fn serve(&self, _: PeerId, request: Request) -> Option<Response> {
        self.asked.lock().unwrap().push(request.clone());
        match (self.shelf.serve(&request).await, &self.lie) {
            (Response::BlockTransactions(right), Some(lie)) => {
                Some(Response::BlockTransactions(right.iter().map(|_| lie.clone()).collect()))
            }
            (response, _) => Some(response),
        }
    }
}

/// Transactions that wait for a block.
struct Waiting(Vec<Transaction>);

impl TransactionSource for Waiting {
    fn find(&self, key: &ShortIdKey, ids: &[ShortId]) -> Vec<Option<Transaction>> {
        let find = |id: &ShortId| self.0.iter().find(|transaction| key.short_id(transaction.tx_hash()) == *id).cloned();
        ids.iter().map(find).collect()
    }
}

struct Node {
    handle: NetworkHandle,
    server: Arc<Server>,
    relay: BlockRelay,
    task: JoinHandle<Result<(), heddle_network::NetworkError>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    async fn start(bootnodes: &[&Node], pool: Vec<Transaction>, lie: Option<Transaction>) -> Self {
        let config = NetworkConfig {
            listen: NetworkConfig::listen_on(Ipv4Addr::LOCALHOST.into(), 0),
            bootnodes: bootnodes.iter().flat_map(|node| node.handle.listen_addresses()).collect(),
            ..NetworkConfig::default()
        };
        let server = Arc::new(Server { lie, ..Server::default() });
        let (handle, service) = Network::start(
            config,
            NodeKey::generate(),
            GENESIS,
            Arc::new(Nothing),
            server.clone(),
            Arc::new(Pool::default()),
            &mut Registry::default(),
        )
        .await
        .unwrap();
        let (shelf, metrics) = (server.shelf.clone(), PropagationMetrics::default());
        let relay = BlockRelay::new(shelf, handle.clone(), Arc::new(Waiting(pool)), metrics);
        Self { handle, server, relay, task: tokio::spawn(service.run()) }
    }

    fn id(&self) -> PeerId {
        self.handle.local_peer_id()
    }

    async fn until_peers(&self, count: usize) {
        let mut peers = self.handle.watch_peers();
        within("peers", peers.wait_for(|peers| peers.len() >= count)).await.unwrap();
    }

    fn asked(&self) -> Vec<Request> {
        self.server.asked.lock().unwrap().clone()
    }

    /// How many pieces it was asked for.
    fn pieces(&self) -> usize {
        let count = |request: &Request| match request {
            Request::BlockPieces(request) => request.indices.len(),
            _ => 0,
        };
        self.asked().iter().map(count).sum()
    }
}

fn transaction(nonce: u64, bytes: usize) -> Transaction {
    let transaction = TxLegacy { nonce, input: Bytes::from(vec![nonce as u8; bytes]), ..TxLegacy::default() };
    Transaction::Legacy(Signed::new_unhashed(transaction, Signature::test_signature()))
}

fn block(count: u64, bytes: usize) -> Arc<ProposedBlock> {
    let transactions: Vec<_> = (0..count).map(|nonce| transaction(nonce, bytes)).collect();
    let header = Header {
        number: 1,
        transactions_root: calculate_transaction_root(&transactions),
        base_fee_per_gas: Some(7),
        withdrawals_root: Some(EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(consensus_root(None, &[])),
        ..Header::default()
    };
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Default::default()) };
    Arc::new(ProposedBlock::new(Arc::new(Block { header, body }), None))
}

fn commitment(compact: &CompactBlock) -> PieceCommitment {
    match &compact.transactions {
        CompactTransactions::Ids(ids) => ids.pieces.unwrap(),
        CompactTransactions::Whole(_) => panic!("not named"),
    }
}

/// Servers that have the block, and one node that is connected with all of them.
async fn servers(block: &Arc<ProposedBlock>, count: usize, pool: Vec<Transaction>) -> (Vec<Node>, Node, CompactBlock) {
    let mut nodes: Vec<Node> = Vec::new();
    for _ in 0..count {
        let others: Vec<_> = nodes.iter().collect();
        nodes.push(Node::start(&others, Vec::new(), None).await);
    }
    let mut compact = None;
    for node in &nodes {
        compact = Some(node.server.shelf.compact(block.clone(), 0).await);
    }
    let receiver = Node::start(&nodes.iter().collect::<Vec<_>>(), pool, None).await;
    receiver.until_peers(count).await;
    (nodes, receiver, compact.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_pool_asks_nobody() {
    let block = block(100, 50);
    let (nodes, receiver, compact) = servers(&block, 2, block.block.body.transactions.clone()).await;
    let assembled = within("the block", receiver.relay.assemble(nodes[0].id(), compact)).await.unwrap();
    assert_eq!(assembled, block);
    assert!(nodes.iter().all(|node| node.asked().is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cold_pool_asks_the_announcer_once() {
    let block = block(100, 50);
    for pool in [Vec::new(), block.block.body.transactions[..90].to_vec()] {
        let (nodes, receiver, compact) = servers(&block, 2, pool).await;
        let assembled = within("the block", receiver.relay.assemble(nodes[1].id(), compact)).await.unwrap();
        assert_eq!(assembled, block);
        // The announcement is the first round trip, this the second. A slow machine may ask somebody else beside it.
        assert!(matches!(nodes[1].asked()[..], [Request::BlockTransactions(_)]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_block_comes_from_several_and_nobody_serves_it_all() {
    let block = block(210, 10_000);
    let (nodes, receiver, compact) = servers(&block, 4, Vec::new()).await;
    let data = commitment(&compact).layout().data;
    let assembled = within("the block", receiver.relay.assemble(nodes[0].id(), compact)).await.unwrap();
    assert_eq!(assembled, block);
    let pieces: Vec<_> = nodes.iter().map(Node::pieces).collect();
    assert!(pieces.iter().all(|pieces| (1..data).contains(pieces)), "{pieces:?} of {data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_calls_for_one_block_share_the_work() {
    let block = block(100, 50);
    let (nodes, receiver, compact) = servers(&block, 2, Vec::new()).await;
    let calls = nodes.iter().map(|node| receiver.relay.assemble(node.id(), compact.clone()));
    for assembled in within("the block", futures::future::join_all(calls)).await {
        assert_eq!(assembled, Ok(block.clone()));
    }
    let asked: usize = nodes.iter().map(|node| node.asked().len()).sum();
    assert!(asked <= nodes.len(), "no peer is asked twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_all_cold_help_each_other() {
    let block = block(210, 10_000);
    let proposer = Node::start(&[], Vec::new(), None).await;
    let compact = proposer.server.shelf.compact(block.clone(), 0).await;
    let mut cold: Vec<Node> = Vec::new();
    for _ in 0..3 {
        let others: Vec<_> = cold.iter().chain([&proposer]).collect();
        cold.push(Node::start(&others, Vec::new(), None).await);
    }
    for node in &cold {
        node.until_peers(3).await;
    }
    let calls = cold.iter().map(|node| node.relay.assemble(proposer.id(), compact.clone()));
    for assembled in within("the block", futures::future::join_all(calls)).await {
        assert_eq!(assembled, Ok(block.clone()));
    }
    assert!(cold.iter().any(|node| node.pieces() > 0), "they ask each other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_liar_is_found_out_and_the_block_comes_from_another() {
    let block = block(20, 50);
    let liar = Node::start(&[], Vec::new(), Some(transaction(999, 10))).await;
    let honest = Node::start(&[&liar], Vec::new(), None).await;
    let compact = liar.server.shelf.compact(block.clone(), 0).await;
    honest.server.shelf.offer(block.clone());
    let receiver = Node::start(&[&liar, &honest], Vec::new(), None).await;
    receiver.until_peers(2).await;
    let assembled = within("the block", receiver.relay.assemble(liar.id(), compact)).await.unwrap();
    assert_eq!(assembled, block);
    let mut peers = receiver.handle.watch_peers();
    let costs = |peers: &Arc<[heddle_network::PeerInfo]>| {
        peers.iter().all(|peer| peer.peer_id != liar.id() || peer.score < 0.0)
    };
    within("the liar's score", peers.wait_for(costs)).await.unwrap();
}

/// The names of a block with one that no transaction has.
fn with_a_lie(compact: &CompactBlock) -> CompactBlock {
    let mut compact = compact.clone();
    let CompactTransactions::Ids(ids) = &mut compact.transactions else { panic!("not named") };
    ids.ids[3] = ShortId::new([9; 6]);
    compact
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lie_do_not_keep_out_those_that_do_not() {
    let block = block(20, 50);
    let node = Node::start(&[], Vec::new(), None).await;
    let right = BlockShelf::default().compact(block.clone(), 0).await;
    let (lie, whole) = (with_a_lie(&right), BlockShelf::default().compact(block.clone(), usize::MAX).await);
    for form in [right, whole] {
        let nobody = PeerId::random();
        let relay = BlockRelay::new(
            BlockShelf::default(),
            node.handle.clone(),
            Arc::new(Waiting(block.block.body.transactions.clone())),
            PropagationMetrics::default(),
        );
        let both = async { tokio::join!(relay.assemble(nobody, lie.clone()), relay.assemble(nobody, form)) };
        assert_eq!(within("the block", both).await, (Ok(block.clone()), Ok(block.clone())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assembly_that_was_displaced_ends_no_newer_one() {
    let node = Node::start(&[], Vec::new(), None).await;
    let wanted = block(20, 50);
    let compact = BlockShelf::default().compact(wanted.clone(), 0).await;
    let mut first = Box::pin(node.relay.assemble(PeerId::random(), compact.clone()));
    assert!(futures::poll!(&mut first).is_pending());
    let mut others = Vec::new();
    for count in 21..37 {
        let other = BlockShelf::default().compact(block(count, 50), 0).await;
        let mut other = Box::pin(node.relay.assemble(PeerId::random(), other));
        assert!(futures::poll!(&mut other).is_pending());
        others.push(other);
    }
    let mut second = Box::pin(node.relay.assemble(PeerId::random(), compact));
    assert!(futures::poll!(&mut second).is_pending());
    drop(first);
    let question = Request::BlockTransactions(BlockTransactionsRequest {
        block_hash: wanted.hash(),
        indices: IndexSet::default(),
    });
    let answer = node.server.shelf.serve(&question).await;
    assert_eq!(answer, Response::Refused(Refusal::Busy), "it is still on its way");
}
