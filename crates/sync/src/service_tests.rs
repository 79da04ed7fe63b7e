//! The loop against a chain and peers of the test's own, with real certificates.

use super::*;
use crate::{BlockSource, RequestError, ServeError, SyncServer};
use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use heddle_primitives::{
    Block, BlocksRequest, CommitCertificate, CommitSignature, ConsensusKey, EncodedAccessList, Header,
    MAX_BLOCKS_PER_RESPONSE, MAX_RESPONSE_BYTES, ProposedBlock, Round, Status, Validator, ValidatorSet, Vote, VoteKind,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

const CONTEXT: SigningContext = SigningContext { genesis_hash: B256::repeat_byte(7) };

fn keys() -> Vec<ConsensusKey> {
    (1..=4).map(|n| ConsensusKey::from_bytes(&[n; 32])).collect()
}

fn validators() -> ValidatorSet {
    let members = keys().iter().map(|k| Validator::new(k.public_key(), 1, Address::ZERO)).collect();
    ValidatorSet::new(members).unwrap()
}

/// A block signed by the first `signers` keys.
fn block(number: u64, signers: usize, extra_data_bytes: usize) -> FinalizedBlock {
    let header = Header { number, extra_data: Bytes::from(vec![0; extra_data_bytes]), ..Header::default() };
    let proposed = ProposedBlock::new(Arc::new(Block { header, ..Block::default() }), None);
    let (height, round, block_hash) = (Height::new(number), Round::ZERO, proposed.hash());
    let sign = |key: &ConsensusKey| {
        let validator = Validator::new(key.public_key(), 1, Address::ZERO).address;
        let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash: Some(block_hash), validator };
        CommitSignature { validator, signature: key.sign(vote.digest(&CONTEXT)) }
    };
    let signatures = keys().iter().take(signers).map(sign).collect();
    FinalizedBlock { proposed, certificate: CommitCertificate::new(height, round, block_hash, signatures) }
}

/// The chain of the node that is behind. Refuses the height `invalid`, fails at `broken`.
#[derive(Default)]
struct TestChain {
    committed: Mutex<Vec<u64>>,
    invalid: Option<u64>,
    broken: Option<u64>,
}

#[async_trait]
impl Chain for TestChain {
    fn head(&self) -> Height {
        Height::new(self.committed.lock().last().copied().unwrap_or(0))
    }

    fn validators(&self, _: Height) -> Result<Arc<ValidatorSet>, CommitError> {
        Ok(Arc::new(validators()))
    }

    async fn commit(&self, block: CertifiedBlock) -> Result<(), CommitError> {
        let number = block.proposed().block.header.number;
        assert_eq!(number, self.head().next().as_u64(), "only the next height may be committed");
        assert_eq!(block.proposed().check_access_list(), Ok(()), "a wrong list is dropped before");
        if self.broken == Some(number) {
            return Err(CommitError::Internal("disk full".into()));
        }
        if self.invalid == Some(number) {
            return Err(CommitError::Invalid("wrong state root".into()));
        }
        self.committed.lock().push(number);
        Ok(())
    }
}

/// The blocks of one peer; 0 or missing signers make it a liar.
struct Blocks(BTreeMap<u64, FinalizedBlock>);

impl Blocks {
    fn up_to(height: u64, signers: usize) -> Arc<Self> {
        Arc::new(Self((1..=height).map(|n| (n, block(n, signers, 0))).collect()))
    }
}

impl BlockSource for Blocks {
    fn status(&self) -> Status {
        let height = self.0.keys().last().copied().unwrap_or(0);
        Status { height: Height::new(height), hash: B256::ZERO, earliest: Height::new(1) }
    }

    fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String> {
        Ok(self.0.get(&height.as_u64()).cloned())
    }
}

/// How a peer treats requests for blocks.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    Silent,
    Confused,
}

#[derive(Default)]
struct TestPeers {
    peers: BTreeMap<PeerId, (Manner, Arc<Blocks>)>,
    reports: Mutex<Vec<(PeerId, PeerFault)>>,
}

impl TestPeers {
    fn with(mut self, name: &str, manner: Manner, blocks: Arc<Blocks>) -> Self {
        self.peers.insert(PeerId::new(name.as_bytes().to_vec()), (manner, blocks));
        self
    }
}

#[async_trait]
impl Peers for TestPeers {
    fn list(&self) -> Vec<PeerId> {
        self.peers.keys().cloned().collect()
    }

    async fn request(&self, peer: &PeerId, request: Request) -> Result<Response, RequestError> {
        let (manner, blocks) = self.peers.get(peer).ok_or_else(|| RequestError("not connected".into()))?;
        match (manner, &request) {
            (Manner::Silent, Request::Blocks(_)) => std::future::pending().await,
            (Manner::Confused, Request::Blocks(_)) => Ok(Response::Status(blocks.status())),
            _ => SyncServer::new(blocks.clone()).answer(request).await.map_err(|e| RequestError(e.to_string())),
        }
    }

    fn report(&self, peer: &PeerId, fault: PeerFault) {
        self.reports.lock().push((peer.clone(), fault));
    }
}

fn config() -> SyncConfig {
    SyncConfig {
        status_interval: Duration::from_millis(20),
        request_timeout: Duration::from_millis(100),
        grace: Duration::from_millis(20),
        ..SyncConfig::default()
    }
}

/// Runs the loop until the head is at `height`, and returns what was reported.
async fn run_to(height: u64, chain: TestChain, peers: TestPeers) -> Vec<(PeerId, PeerFault)> {
    let (chain, peers) = (Arc::new(chain), Arc::new(peers));
    let (handle, service) = start(config(), CONTEXT, chain.clone(), peers.clone(), SyncMetrics::default());
    handle.wake();
    let mut status = handle.subscribe();
    let caught_up = status.wait_for(|s| s.current == Height::new(height) && !s.syncing);
    tokio::select! {
        error = service => panic!("the loop ended: {error}"),
        reached = caught_up => drop(reached.unwrap()),
    }
    assert_eq!(*chain.committed.lock(), Vec::from_iter(1..=height));
    peers.reports.lock().clone()
}

#[tokio::test]
async fn catches_up_over_many_ranges() {
    let peers = TestPeers::default()
        .with("a", Manner::Honest, Blocks::up_to(200, 4))
        .with("b", Manner::Honest, Blocks::up_to(200, 3))
        .with("late", Manner::Honest, Blocks::up_to(20, 4));
    assert_eq!(run_to(200, TestChain::default(), peers).await, []);
}

#[tokio::test]
async fn commits_nothing_without_a_quorum() {
    let liar = PeerId::new(b"0liar".to_vec());
    let peers = TestPeers::default().with("0liar", Manner::Honest, Blocks::up_to(70, 2)).with(
        "a",
        Manner::Honest,
        Blocks::up_to(70, 4),
    );
    let reports = run_to(70, TestChain::default(), peers).await;
    let expected = "block 1: signed power 2 of 4 is not more than two thirds";
    assert!(reports.iter().all(|(peer, _)| *peer == liar), "{reports:?}");
    assert!(reports.iter().any(|(_, fault)| *fault == PeerFault::InvalidBlock(expected.into())), "{reports:?}");
}

#[tokio::test]
async fn goes_around_peers_that_do_not_answer() {
    let peers = TestPeers::default()
        .with("0confused", Manner::Confused, Blocks::up_to(70, 4))
        .with("0silent", Manner::Silent, Blocks::up_to(70, 4))
        .with("a", Manner::Honest, Blocks::up_to(70, 4));
    let reports = run_to(70, TestChain::default(), peers).await;
    assert!(reports.iter().all(|(_, fault)| *fault == PeerFault::WrongAnswer), "{reports:?}");
}

#[tokio::test]
async fn a_certified_block_that_the_chain_refuses_is_reported() {
    let chain = Arc::new(TestChain { invalid: Some(3), ..TestChain::default() });
    let peers = Arc::new(TestPeers::default().with("a", Manner::Honest, Blocks::up_to(5, 4)));
    let (handle, service) = start(config(), CONTEXT, chain.clone(), peers.clone(), SyncMetrics::default());
    let mut status = handle.subscribe();
    let stopped = status.wait_for(|s| s.current == Height::new(2) && !s.syncing);
    tokio::select! {
        error = service => panic!("the loop ended: {error}"),
        reached = stopped => drop(reached.unwrap()),
    }
    let fault = PeerFault::InvalidBlock("block 3: wrong state root".into());
    assert_eq!(*peers.reports.lock(), [(PeerId::new(b"a".to_vec()), fault)]);
}

#[tokio::test]
async fn a_wrong_access_list_costs_its_sender_and_not_its_block() {
    let blocks = |wrong: bool| {
        let with_list = |number| {
            let mut block = block(number, 4, 0);
            block.proposed.access_list = (wrong && number == 2).then(|| EncodedAccessList::new(&Vec::new()));
            (number, block)
        };
        Arc::new(Blocks((1..=5).map(with_list).collect()))
    };
    let liar = TestPeers::default().with("a", Manner::Honest, blocks(true));
    let reports = run_to(5, TestChain::default(), liar).await;
    let [(_, fault)] = reports.as_slice() else { panic!("{reports:?}") };
    assert!(matches!(fault, PeerFault::WrongAccessList(height, _) if height.as_u64() == 2), "{fault}");
    let honest = TestPeers::default().with("a", Manner::Honest, blocks(false));
    assert_eq!(run_to(5, TestChain::default(), honest).await, []);
}

#[tokio::test]
async fn a_failing_database_ends_the_loop() {
    let chain = Arc::new(TestChain { broken: Some(3), ..TestChain::default() });
    let peers = Arc::new(TestPeers::default().with("a", Manner::Honest, Blocks::up_to(5, 4)));
    let (_handle, service) = start(config(), CONTEXT, chain, peers, SyncMetrics::default());
    assert_eq!(service.await, SyncError::Commit { height: Height::new(3), reason: "disk full".into() });
}

#[tokio::test]
async fn serves_what_exists_and_fits() {
    let answer = |blocks: Arc<Blocks>, from, count| async move {
        let request = Request::Blocks(BlocksRequest { from: Height::new(from), count });
        match SyncServer::new(blocks).answer(request).await {
            Ok(Response::Blocks(blocks)) => Ok(Vec::from_iter(blocks.iter().map(|b| b.proposed.block.header.number))),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error),
        }
    };
    let ten = Blocks::up_to(10, 1);
    assert_eq!(answer(ten.clone(), 3, 4).await, Ok(vec![3, 4, 5, 6]));
    assert_eq!(answer(ten.clone(), 9, 64).await, Ok(vec![9, 10]));
    assert_eq!(answer(ten.clone(), 11, 1).await, Ok(vec![]));
    assert_eq!(answer(ten.clone(), u64::MAX, 64).await, Ok(vec![]));
    for count in [0, MAX_BLOCKS_PER_RESPONSE + 1, u64::MAX] {
        assert_eq!(answer(ten.clone(), 1, count).await, Err(ServeError::Count { count, max: MAX_BLOCKS_PER_RESPONSE }));
    }
    // Three such blocks fit, four do not.
    let large = MAX_RESPONSE_BYTES / 3 - 1_000;
    let large = Arc::new(Blocks((1..=4).map(|n| (n, block(n, 1, large))).collect()));
    assert_eq!(answer(large.clone(), 1, 4).await, Ok(vec![1, 2, 3]));
    let full = SyncServer::new(large).answer(Request::Blocks(BlocksRequest { from: Height::new(1), count: 4 })).await;
    assert!(alloy_rlp::encode(full.unwrap()).len() <= MAX_RESPONSE_BYTES);
}
