use super::*;
use alloy_primitives::{B256, Bytes};
use futures::{FutureExt, poll};
use heddle_primitives::{
    AccountRange, AccountsRequest, BlocksRequest, CodeRequest, Height, RangeProofRequest, SnapshotOffer, StorageRanges,
    StorageRequest,
};
use std::task::Poll;

/// Has the state of block 10; reading code waits until somebody lets it.
struct Source(Mutex<std::sync::mpsc::Receiver<()>>);

impl SnapshotSource for Source {
    fn offers(&self) -> Vec<SnapshotOffer> {
        vec![SnapshotOffer { height: Height::new(10), hash: B256::ZERO }]
    }

    fn accounts(&self, request: &AccountsRequest, _: usize) -> Result<Option<AccountRange>, String> {
        Ok((request.height == Height::new(10)).then(AccountRange::default))
    }

    fn storage(&self, _: &StorageRequest, _: usize) -> Result<Option<StorageRanges>, String> {
        Err("disk on fire".to_owned())
    }

    fn code(&self, _: &CodeRequest, _: usize) -> Result<Option<Vec<Bytes>>, String> {
        self.0.lock().recv().map_err(|error| error.to_string())?;
        Ok(Some(Vec::new()))
    }

    fn range_proof(&self, _: &RangeProofRequest) -> Result<Option<Vec<Bytes>>, String> {
        Ok(None)
    }
}

/// A server whose time is its own, and what lets it read code.
fn server() -> (SnapshotServer, std::sync::mpsc::Sender<()>) {
    let (go, source) = std::sync::mpsc::channel();
    let config = ServeConfig { share_percent: 100, wait_max: Duration::from_secs(3_600), ..ServeConfig::default() };
    (SnapshotServer::new(Arc::new(Source(Mutex::new(source))), config), go)
}

fn peer(name: u8) -> PeerId {
    PeerId::new(vec![name])
}

fn code() -> Request {
    Request::Code(CodeRequest { hashes: Vec::new() })
}

fn accounts(height: u64) -> Request {
    Request::Accounts(AccountsRequest { height: Height::new(height), first: B256::ZERO, last: B256::ZERO })
}

#[tokio::test]
async fn what_is_there_is_served_and_the_rest_is_gone() {
    let (server, _go) = server();
    let offers = server.answer(&peer(0), Request::Snapshots).await.unwrap();
    assert!(matches!(offers, Response::Snapshots(offers) if offers.len() == 1));
    assert_eq!(server.answer(&peer(0), accounts(10)).await.unwrap(), Response::Accounts(AccountRange::default()));
    let gone = Response::Refused(Refusal::Gone);
    assert_eq!(server.answer(&peer(0), accounts(11)).await.unwrap(), gone);
    let blocks = Request::Blocks(BlocksRequest { from: Height::new(1), count: 1 });
    assert_eq!(server.answer(&peer(0), blocks).await.unwrap(), gone);
    let storage = StorageRequest { height: Height::new(10), accounts: Vec::new(), first: B256::ZERO, last: B256::ZERO };
    let error = server.answer(&peer(0), Request::Storage(storage)).await.unwrap_err();
    assert_eq!(error, ServeError::State("disk on fire".to_owned()));
}

#[tokio::test]
async fn two_are_served_four_wait_and_the_next_is_told_that_we_are_busy() {
    let (server, go) = server();
    let peers = Vec::from_iter((0..7).map(peer));
    let mut first = Vec::from_iter(peers[..6].iter().map(|peer| server.answer(peer, code()).boxed()));
    for answer in &mut first {
        assert!(poll!(answer).is_pending());
    }
    assert_eq!(server.answer(&peers[6], code()).await.unwrap(), Response::Refused(Refusal::Busy));
    // One that waits goes away, and leaves its place to another.
    drop(first.pop());
    let mut another = server.answer(&peers[6], code()).boxed();
    assert_eq!(poll!(&mut another), Poll::Pending);
    first.push(another);
    (0..6).for_each(|_| go.send(()).unwrap());
    for answer in first {
        assert_eq!(answer.await.unwrap(), Response::Code(Vec::new()));
    }
}

#[tokio::test]
async fn one_peer_leaves_room_for_others() {
    let (server, go) = server();
    let (greedy, other) = (peer(0), peer(1));
    let mut served = Vec::from_iter((0..2).map(|_| server.answer(&greedy, code()).boxed()));
    for answer in &mut served {
        assert!(poll!(answer).is_pending());
    }
    assert_eq!(server.answer(&greedy, code()).await.unwrap(), Response::Refused(Refusal::Busy));
    let mut patient = server.answer(&other, code()).boxed();
    assert!(poll!(&mut patient).is_pending());
    served.push(patient);
    (0..3).for_each(|_| go.send(()).unwrap());
    for answer in served {
        assert_eq!(answer.await.unwrap(), Response::Code(Vec::new()));
    }
    go.send(()).unwrap();
    assert_eq!(server.answer(&greedy, code()).await.unwrap(), Response::Code(Vec::new()));
}

#[tokio::test]
async fn a_reader_that_panics_gives_its_place_back() {
    struct Broken;
    impl SnapshotSource for Broken {
        fn offers(&self) -> Vec<SnapshotOffer> {
            Vec::new()
        }
        fn accounts(&self, _: &AccountsRequest, _: usize) -> Result<Option<AccountRange>, String> {
            panic!("on purpose")
        }
        fn storage(&self, _: &StorageRequest, _: usize) -> Result<Option<StorageRanges>, String> {
            Ok(None)
        }
        fn code(&self, _: &CodeRequest, _: usize) -> Result<Option<Vec<Bytes>>, String> {
            Ok(None)
        }
        fn range_proof(&self, _: &RangeProofRequest) -> Result<Option<Vec<Bytes>>, String> {
            Ok(None)
        }
    }
    let server = SnapshotServer::new(Arc::new(Broken), ServeConfig { share_percent: 100, ..ServeConfig::default() });
    for _ in 0..5 {
        let error = server.answer(&peer(0), accounts(10)).await.unwrap_err();
        assert!(matches!(error, ServeError::Interrupted(_)), "{error}");
    }
}
