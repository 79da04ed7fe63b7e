//! The loop against a chain and peers of the test's own, with real certificates.

use super::*;
use crate::test_chain::{chain, genesis, header_of};
use crate::{BlockSource, CommitError, RequestError, ServeError, SyncServer};
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use heddle_primitives::{
    BlocksRequest, CertifiedBlock, EncodedAccessList, Epoch, EpochStep, EpochStepsRequest, FinalizedBlock, Height,
    MAX_BLOCKS_PER_RESPONSE, MAX_EPOCH_STEPS_PER_RESPONSE, MAX_HEADERS_PER_RESPONSE, MAX_RESPONSE_BYTES, Receipt,
    Refusal, SealedHeader, Status,
};
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// The chain of the node that is behind. Finds the body of a height wrong, refuses another one, fails at a third.
struct TestChain {
    head: Mutex<SealedHeader>,
    foreign: Option<u64>,
    invalid: Option<u64>,
    broken: Option<u64>,
}

impl Default for TestChain {
    fn default() -> Self {
        let head = Mutex::new(genesis().header().clone());
        Self { head, foreign: None, invalid: None, broken: None }
    }
}

fn number(block: &CertifiedBlock) -> u64 {
    block.proposed().block.header.number
}

#[async_trait]
impl Chain for TestChain {
    type Ready = CertifiedBlock;

    fn head(&self) -> Height {
        Height::new(self.head.lock().number)
    }

    fn light_client(&self) -> Result<LightClient, String> {
        let client = LightClient::new(genesis()).ok_or("no validators")?;
        let validators = client.validators().clone();
        Ok(client.trusting(self.head.lock().clone(), validators))
    }

    fn prepare(&self, blocks: Vec<CertifiedBlock>) -> (Vec<CertifiedBlock>, Option<String>) {
        match blocks.iter().position(|block| self.foreign == Some(number(block))) {
            Some(foreign) => (blocks[..foreign].to_vec(), Some("wrong body".into())),
            None => (blocks, None),
        }
    }

    async fn import(&self, blocks: Vec<CertifiedBlock>) -> Result<(), ImportError> {
        for block in blocks {
            let height = Height::new(number(&block));
            let error = |error| Err(ImportError { height, error });
            assert_eq!(height, self.head().next(), "only the next height may be committed");
            assert_eq!(block.proposed().check_access_list(), Ok(()), "a wrong list is dropped before");
            if self.broken == Some(height.as_u64()) {
                return error(CommitError::Internal("disk full".into()));
            }
            if self.invalid == Some(height.as_u64()) {
                return error(CommitError::Invalid("wrong state root".into()));
            }
            *self.head.lock() = SealedHeader::new_unchecked(block.proposed().block.header.clone(), block.hash());
        }
        Ok(())
    }
}

/// The blocks of one peer; missing signers make it a liar.
struct Blocks(BTreeMap<u64, FinalizedBlock>);

impl Blocks {
    fn of(blocks: Vec<FinalizedBlock>) -> Arc<Self> {
        Arc::new(Self(blocks.into_iter().map(|block| (block.proposed.block.header.number, block)).collect()))
    }

    fn up_to(height: u64, signers: usize) -> Arc<Self> {
        Self::of(chain(height, signers, b""))
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

    fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, String> {
        Ok(self.0.get(&height.as_u64()).map(header_of))
    }

    fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, String> {
        Ok(self.0.get(&height.as_u64()).map(|_| vec![Receipt::Legacy(Default::default())]))
    }

    /// The first two epochs have ended; with how much proof the header tells.
    fn epoch_step(&self, epoch: Epoch) -> Result<Option<EpochStep>, String> {
        let block = self.0.get(&(epoch.as_u64() + 1)).filter(|_| epoch.as_u64() < 2);
        Ok(block.map(|block| {
            let CertifiedHeader { header, certificate, .. } = header_of(block);
            let members = heddle_primitives::MembersProof { account: Default::default(), nodes: vec![], slots: vec![] };
            EpochStep { header, certificate, members }
        }))
    }
}

/// How a peer treats requests for headers and blocks.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Honest,
    Silent,
    Confused,
    /// Connects once somebody was reported: until then there is nobody else to ask.
    Later,
}

#[derive(Default)]
struct TestPeers {
    peers: BTreeMap<PeerId, (Manner, Arc<dyn BlockSource>)>,
    reports: Mutex<Vec<(PeerId, PeerFault)>>,
}

impl TestPeers {
    fn with(mut self, name: &str, manner: Manner, blocks: Arc<impl BlockSource>) -> Self {
        self.peers.insert(PeerId::new(name.as_bytes().to_vec()), (manner, blocks));
        self
    }
}

#[async_trait]
impl Peers for TestPeers {
    fn list(&self) -> Vec<PeerId> {
        let reported = !self.reports.lock().is_empty();
        let connected = self.peers.iter().filter(|(_, (manner, _))| reported || !matches!(manner, Manner::Later));
        connected.map(|(peer, _)| peer.clone()).collect()
    }

    async fn request(&self, peer: &PeerId, request: Request) -> Result<Response, RequestError> {
        let (manner, blocks) = self.peers.get(peer).ok_or_else(|| RequestError("not connected".into()))?;
        match (manner, &request) {
            (Manner::Silent, Request::Blocks(_) | Request::Headers(_)) => std::future::pending().await,
            (Manner::Confused, Request::Blocks(_) | Request::Headers(_)) => Ok(Response::Status(blocks.status())),
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
    let (handle, service) = start(config(), chain.clone(), peers.clone(), SyncMetrics::default());
    handle.wake();
    let mut status = handle.subscribe();
    let caught_up = status.wait_for(|s| s.current == Height::new(height) && !s.syncing);
    tokio::select! {
        error = service => panic!("the loop ended: {error}"),
        reached = caught_up => drop(reached.unwrap()),
    }
    assert_eq!(chain.head(), Height::new(height));
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
        Manner::Later,
        Blocks::up_to(70, 4),
    );
    let reports = run_to(70, TestChain::default(), peers).await;
    let expected = "certificate of header 1: signed power 2 of 4 is not more than two thirds";
    assert!(reports.iter().all(|(peer, _)| *peer == liar), "{reports:?}");
    assert!(reports.iter().any(|(_, fault)| *fault == PeerFault::InvalidHeader(expected.into())), "{reports:?}");
}

#[tokio::test]
async fn blocks_that_are_not_those_of_final_headers_are_found_when_they_arrive() {
    /// Serves the headers of one chain with the blocks of another.
    struct Mixed(Arc<Blocks>, Arc<Blocks>);
    impl BlockSource for Mixed {
        fn status(&self) -> Status {
            self.0.status()
        }
        fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String> {
            self.1.finalized_block(height)
        }
        fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, String> {
            self.0.certified_header(height)
        }
        fn receipts(&self, _: Height) -> Result<Option<Vec<Receipt>>, String> {
            Ok(None)
        }
        fn epoch_step(&self, _: Epoch) -> Result<Option<EpochStep>, String> {
            Ok(None)
        }
    }
    let honest = Blocks::up_to(70, 4);
    let liar = Arc::new(Mixed(honest.clone(), Blocks::of(chain(70, 4, b"other"))));
    let peers = TestPeers::default().with("0liar", Manner::Honest, liar).with("a", Manner::Later, honest);
    let reports = run_to(70, TestChain::default(), peers).await;
    let is_named = |(peer, fault): &(PeerId, PeerFault)| {
        *peer == PeerId::new(b"0liar".to_vec())
            && matches!(fault, PeerFault::InvalidBlock(reason) if reason.contains("the final one is"))
    };
    // Once for each range that it was asked for while there was nobody else.
    assert!(!reports.is_empty() && reports.iter().all(is_named), "{reports:?}");
}

#[tokio::test]
async fn a_body_that_the_chain_finds_foreign_is_its_senders_fault() {
    let chain = Arc::new(TestChain { foreign: Some(3), ..TestChain::default() });
    let peers = Arc::new(TestPeers::default().with("a", Manner::Honest, Blocks::up_to(5, 4)));
    let (handle, service) = start(config(), chain.clone(), peers.clone(), SyncMetrics::default());
    let mut status = handle.subscribe();
    let stopped = status.wait_for(|s| s.current == Height::new(2) && s.highest == Height::new(5));
    tokio::select! {
        error = service => panic!("the loop ended: {error}"),
        reached = stopped => drop(reached.unwrap()),
    }
    let fault = PeerFault::InvalidBlock("wrong body".into());
    assert_eq!(*peers.reports.lock(), [(PeerId::new(b"a".to_vec()), fault)]);
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
    let (handle, service) = start(config(), chain.clone(), peers.clone(), SyncMetrics::default());
    let mut status = handle.subscribe();
    let stopped = status.wait_for(|s| s.current == Height::new(2) && s.peers == 0);
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
        let mut blocks = chain(5, 4, b"");
        blocks[1].proposed.access_list = wrong.then(|| EncodedAccessList::new(&Vec::new()));
        Blocks::of(blocks)
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
    let (_handle, service) = start(config(), chain, peers, SyncMetrics::default());
    assert_eq!(service.await, SyncError::Commit { height: Height::new(3), reason: "disk full".into() });
}

/// How many items a server answers with.
async fn served(source: Arc<Blocks>, request: Request) -> Result<usize, ServeError> {
    let response = SyncServer::new(source).answer(request.clone()).await?;
    assert!(response.answers(request.kind()) && alloy_rlp::encode(&response).len() <= MAX_RESPONSE_BYTES);
    Ok(match response {
        Response::Blocks(blocks) => blocks.len(),
        Response::Headers(headers) => headers.len(),
        Response::Receipts(receipts) => receipts.len(),
        Response::EpochSteps(steps) => steps.len(),
        other => panic!("{other:?}"),
    })
}

#[tokio::test]
async fn serves_what_exists_and_fits() {
    let range = |from, count| BlocksRequest { from: Height::new(from), count };
    let steps = |from, count| Request::EpochSteps(EpochStepsRequest { from: Epoch::new(from), count });
    let ten = Blocks::up_to(10, 1);
    type Kind = fn(BlocksRequest) -> Request;
    let kinds: [(Kind, u64); 3] = [
        (Request::Blocks, MAX_BLOCKS_PER_RESPONSE),
        (Request::Headers, MAX_HEADERS_PER_RESPONSE),
        (Request::Receipts, MAX_BLOCKS_PER_RESPONSE),
    ];
    for (kind, max) in kinds {
        for (from, count, expected) in [(3, 4, 4), (9, max, 2), (11, 1, 0), (0, 5, 0), (u64::MAX, max, 0)] {
            assert_eq!(served(ten.clone(), kind(range(from, count))).await, Ok(expected), "{from}, {count}");
        }
        for count in [0, max + 1, u64::MAX] {
            assert_eq!(served(ten.clone(), kind(range(1, count))).await, Err(ServeError::Count { count, max }));
        }
    }
    assert_eq!(served(ten.clone(), steps(0, 64)).await, Ok(2));
    assert_eq!(served(ten.clone(), steps(1, 1)).await, Ok(1));
    for count in [0, MAX_EPOCH_STEPS_PER_RESPONSE + 1] {
        let max = MAX_EPOCH_STEPS_PER_RESPONSE;
        assert_eq!(served(ten.clone(), steps(0, count)).await, Err(ServeError::Count { count, max }));
    }
    // Three such blocks fit, and three such headers; four do not.
    let extra_data = Bytes::from(vec![0; MAX_RESPONSE_BYTES / 3 - 1_000]);
    let large = Blocks::of(chain(4, 1, &extra_data));
    assert_eq!(served(large.clone(), Request::Blocks(range(1, 4))).await, Ok(3));
    assert_eq!(served(large, Request::Headers(range(1, 4))).await, Ok(3));
}

#[tokio::test]
async fn states_are_served_by_somebody_else() {
    let server = SyncServer::new(Blocks::up_to(1, 1));
    assert_eq!(server.answer(Request::Snapshots).await, Ok(Response::Refused(Refusal::Gone)));
}

#[tokio::test]
async fn headers_of_another_past_are_left_out_or_refused() {
    let chain_of = |extra: &[u8]| Vec::from_iter(chain(6, 4, extra).iter().map(header_of));
    let (headers, mut client) = (chain_of(b""), TestChain::default().light_client().unwrap());
    assert_eq!(crate::verify_headers(&mut client, headers[1..].to_vec()), Ok(Vec::new()), "a gap is nobody's fault");
    assert_eq!(crate::verify_headers(&mut client, headers[..2].to_vec()).unwrap().len(), 2);
    assert_eq!(crate::verify_headers(&mut client, headers[..4].to_vec()).unwrap().len(), 2, "the others are known");
    let error = crate::verify_headers(&mut client, chain_of(b"other")[4..].to_vec()).unwrap_err();
    assert!(matches!(&error, PeerFault::InvalidHeader(reason) if reason.contains("as its parent")), "{error}");
    assert_eq!(client.header().number, 4, "it stays where it was");
    assert_eq!(crate::verify_headers(&mut client, headers).unwrap().len(), 2);
}

#[test]
fn a_line_tells_how_far_it_has_come() {
    let heights = |current, announced| (Height::new(current), Height::new(announced));
    let (current, announced) = heights(1_200, 5_000);
    let status =
        SyncStatus { current, announced, blocks_per_second: 310, seconds_left: Some(13), ..Default::default() };
    assert_eq!(describe(&status), "catching up: block 1200 of 5000, 310 blocks/s, about 13 s left");
    let stuck = SyncStatus { current, announced, ..Default::default() };
    assert_eq!(describe(&stuck), "catching up: block 1200 of 5000, 0 blocks/s");
}
