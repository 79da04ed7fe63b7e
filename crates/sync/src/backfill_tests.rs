#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use crate::RequestError;
use heddle_primitives::{Block, CommitCertificate, Header, ProposedBlock, Round};
use parking_lot::Mutex;

const TARGET: u64 = 300;

fn header(number: u64) -> CertifiedHeader {
    let header = Header { number, ..Header::default() };
    let certificate = CommitCertificate::new(Height::new(number), Round::ZERO, header.hash_slow(), Vec::new());
    CertifiedHeader { header, certificate, members: None }
}

fn block(number: u64) -> FinalizedBlock {
    let CertifiedHeader { header, certificate, .. } = header(number);
    let block = Block { header, body: Default::default() };
    FinalizedBlock { proposed: ProposedBlock::new(Arc::new(block), None), certificate }
}

/// A chain that takes what follows downwards, and nothing with a difficulty. Headers that leave a gap are not its peers'
/// fault, but that of whoever did not look at them: they end everything.
struct Store(Mutex<(u64, u64)>);

impl Store {
    fn take(&self, oldest: &mut u64, headers: impl Iterator<Item = Header>) -> Result<(), CommitError> {
        let mut reached = *oldest;
        let mut headers = headers.peekable();
        if headers.peek().is_none_or(|first| first.number + 1 != reached) {
            return Err(CommitError::Internal("a gap".to_owned()));
        }
        for header in headers {
            if header.number + 1 != reached || !header.difficulty.is_zero() {
                return Err(CommitError::Invalid(format!("block {}", header.number)));
            }
            reached = header.number;
        }
        *oldest = reached;
        Ok(())
    }
}

#[async_trait]
impl Past for Store {
    fn head(&self) -> Height {
        Height::new(TARGET)
    }

    fn headers_from(&self) -> Height {
        Height::new(self.0.lock().0)
    }

    fn blocks_from(&self) -> Height {
        Height::new(self.0.lock().1)
    }

    async fn add_headers(&self, newest_first: Vec<CertifiedHeader>) -> Result<(), CommitError> {
        self.take(&mut self.0.lock().0, newest_first.into_iter().map(|header| header.header))
    }

    async fn add_blocks(&self, newest_first: Vec<(FinalizedBlock, Vec<Receipt>)>) -> Result<(), CommitError> {
        self.take(&mut self.0.lock().1, newest_first.into_iter().map(|(block, _)| block.proposed.block.header.clone()))
    }
}

/// Peers by their first byte: 0 is silent, 1 has nothing, 2 forges, 3 repeats more than was asked for, 4 answers as many of
/// other heights, 5 is honest and sends at most twenty
/// headers and ten blocks at once.
#[derive(Default)]
struct Crowd {
    reported: Mutex<Vec<u8>>,
}

#[async_trait]
impl Peers for Crowd {
    fn list(&self) -> Vec<PeerId> {
        (0..=5).map(|name| PeerId::new(vec![name])).collect()
    }

    async fn request(&self, peer: &PeerId, request: Request) -> Result<Response, RequestError> {
        let name = peer.as_bytes()[0];
        let numbers = |range: &BlocksRequest, max: u64| {
            let (from, count) = (range.from.as_u64(), range.count);
            match name {
                1 => from..from,
                3 => from..from + count + 1,
                4 => from - 1..from - 1 + count,
                _ => from..from + count.min(max),
            }
        };
        let forge = |mut header: Header| {
            header.difficulty += alloy_primitives::U256::from(u8::from(name == 2));
            header
        };
        Ok(match &request {
            _ if name == 0 => return std::future::pending().await,
            Request::Headers(range) => Response::Headers(
                numbers(range, 20)
                    .map(|number| CertifiedHeader { header: forge(header(number).header), ..header(number) })
                    .collect(),
            ),
            Request::Blocks(range) => Response::Blocks(numbers(range, 10).map(block).collect()),
            Request::Receipts(range) => Response::Receipts(numbers(range, u64::MAX).map(|_| Vec::new()).collect()),
            _ => return Err(RequestError("what?".to_owned())),
        })
    }

    fn report(&self, peer: &PeerId, _: PeerFault) {
        self.reported.lock().push(peer.as_bytes()[0]);
    }
}

async fn run(depth: Depth) -> ((u64, u64), Vec<u8>) {
    let (store, crowd) = (Arc::new(Store(Mutex::new((TARGET, TARGET + 1)))), Arc::new(Crowd::default()));
    let config = BackfillConfig {
        request_timeout: Duration::from_millis(5),
        pause_min: Duration::ZERO,
        rest: Duration::from_millis(5),
        ..BackfillConfig::new(depth)
    };
    backfill(config, store.clone(), crowd.clone()).await.unwrap();
    let mut reported = crowd.reported.lock().clone();
    reported.sort_unstable();
    let reached = *store.0.lock();
    (reached, reported)
}

#[tokio::test]
async fn headers_come_down_to_genesis_whoever_lies() {
    assert_eq!(run(Depth::Headers).await.0, (1, TARGET));
}

#[tokio::test]
async fn blocks_follow_the_headers_in_answers_as_small_as_they_must_be() {
    let (reached, reported) = run(Depth::Blocks).await;
    assert_eq!(reached, (1, 1));
    assert!(reported.iter().all(|name| [2, 3, 4].contains(name)), "{reported:?}");
}

#[test]
fn steps_go_down_to_the_block_after_genesis() {
    let step = |depth, headers, blocks| {
        next_step(depth, &Store(Mutex::new((headers, blocks))), &AtOnce { headers: 256, blocks: 64 })
    };
    let of = |kind, from, count| Some(Step { kind, from: Height::new(from), count });
    assert_eq!(step(Depth::Head, 45, TARGET + 1), of(Kind::Blocks, TARGET, 1));
    assert_eq!(step(Depth::Head, 45, TARGET), None);
    assert_eq!(step(Depth::Headers, TARGET, TARGET), of(Kind::Headers, TARGET - 256, 256));
    assert_eq!(step(Depth::Headers, 20, TARGET), of(Kind::Headers, 1, 19));
    assert_eq!(step(Depth::Headers, 1, TARGET), None);
    assert_eq!(step(Depth::Headers, 0, TARGET), None);
    assert_eq!(step(Depth::Blocks, 0, 100), of(Kind::Blocks, 36, 64));
    assert_eq!(step(Depth::Blocks, 0, 1), None);
}
