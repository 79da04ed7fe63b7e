//! Fetches what came before the state that a chain began with: headers, and if asked bodies and receipts, from the
//! youngest end down. Each is bound by the header after it, so nobody has to be trusted, and nothing waits for it: one
//! request at a time, and as long a pause after each step as the step took.

use crate::{CommitError, PeerFault, PeerId, Peers, SyncError};
use async_trait::async_trait;
use heddle_primitives::{
    BlocksRequest, CertifiedHeader, FinalizedBlock, Height, MAX_BLOCKS_PER_RESPONSE, MAX_HEADERS_PER_RESPONSE, Receipt,
    Request, Response,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{debug, info};

/// How often the progress is logged.
const LOG: Duration = Duration::from_secs(10);

/// How much of the past is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// The block that is the head, if the chain began with its state alone.
    Head,
    /// Headers with their certificates.
    Headers,
    /// Blocks with their receipts too.
    Blocks,
}

/// How the past is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackfillConfig {
    /// How much of it.
    pub depth: Depth,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// The least pause between two steps.
    pub pause_min: Duration,
    /// How long a peer rests that brought nothing.
    pub rest: Duration,
    /// How long one rests that brought something wrong.
    pub rest_invalid: Duration,
}

impl BackfillConfig {
    /// As deep as this, at the usual pace.
    pub fn new(depth: Depth) -> Self {
        Self {
            depth,
            request_timeout: Duration::from_secs(15),
            pause_min: Duration::from_millis(10),
            rest: Duration::from_secs(5),
            rest_invalid: Duration::from_secs(600),
        }
    }
}

/// The chain whose past is incomplete.
#[async_trait]
pub trait Past: Send + Sync + 'static {
    /// The last committed block. In memory, never blocks.
    fn head(&self) -> Height;

    /// The oldest header with all after it; genesis or the height after it when none is missing. In memory, never blocks.
    fn headers_from(&self) -> Height;

    /// The oldest block with all after it, as [`Self::headers_from`].
    fn blocks_from(&self) -> Height;

    /// Adds headers below the oldest, the newest first; resolves when they are written.
    ///
    /// # Errors
    /// [`CommitError::Invalid`] when one is not the parent of the one after it; then nothing is written.
    async fn add_headers(&self, newest_first: Vec<CertifiedHeader>) -> Result<(), CommitError>;

    /// Adds blocks below the oldest, the newest first, each with its receipts.
    ///
    /// # Errors
    /// As [`Self::add_headers`].
    async fn add_blocks(&self, newest_first: Vec<(FinalizedBlock, Vec<Receipt>)>) -> Result<(), CommitError>;
}

/// What a step is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Headers,
    Blocks,
}

/// What is asked for next: heights `from..from + count` of the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    kind: Kind,
    from: Height,
    count: u64,
}

/// How many fit into one answer, as far as is known.
#[derive(Debug)]
struct AtOnce {
    headers: u64,
    blocks: u64,
}

impl AtOnce {
    /// Everything of a step came: more may fit.
    fn grow(&mut self, step: Step) {
        match step.kind {
            Kind::Blocks => self.blocks = (2 * self.blocks).min(MAX_BLOCKS_PER_RESPONSE),
            Kind::Headers => self.headers = (2 * self.headers).min(MAX_HEADERS_PER_RESPONSE),
        }
    }

    /// Not everything came: less fits.
    fn shrink(&mut self, step: Step) {
        let half = (step.count / 2).max(1);
        match step.kind {
            Kind::Blocks => self.blocks = half,
            Kind::Headers => self.headers = half,
        }
    }
}

/// The step below what is there, of at most so many headers or blocks; `None` when nothing that is wanted is missing. A head
/// without a block is the first thing that users miss.
fn next_step(depth: Depth, past: &dyn Past, at_once: &AtOnce) -> Option<Step> {
    let below = |kind, oldest: Height, max: u64| {
        let count = oldest.as_u64().saturating_sub(1).min(max);
        (count > 0).then(|| Step { kind, from: Height::new(oldest.as_u64() - count), count })
    };
    let (head, blocks_from) = (past.head(), past.blocks_from());
    if blocks_from > head {
        return below(Kind::Blocks, blocks_from, 1);
    }
    let headers = || below(Kind::Headers, past.headers_from(), at_once.headers);
    let blocks = || below(Kind::Blocks, blocks_from, at_once.blocks).filter(|_| depth >= Depth::Blocks);
    headers().filter(|_| depth >= Depth::Headers).or_else(blocks)
}

/// When each peer may be asked again; the others at once.
#[derive(Debug, Default)]
struct Rests(BTreeMap<PeerId, Instant>);

impl Rests {
    /// The first peer that does not rest, after the one that was asked last.
    fn choose(&mut self, now: Instant, connected: Vec<PeerId>, last: Option<&PeerId>) -> Option<PeerId> {
        self.0.retain(|_, until| *until > now);
        let mut able = Vec::from_iter(connected.into_iter().filter(|peer| !self.0.contains_key(peer)));
        able.sort_unstable();
        let next = able.iter().position(|peer| last.is_none_or(|last| peer > last)).unwrap_or_default();
        (next < able.len()).then(|| able.swap_remove(next))
    }

    fn rest(&mut self, peer: PeerId, until: Instant) {
        self.0.insert(peer, until);
    }
}

/// Fetches the past until nothing of it is missing. Dropping the future ends it; what is written is there for the next
/// call.
///
/// # Errors
/// [`SyncError::Commit`] when the chain cannot write.
pub async fn backfill(config: BackfillConfig, past: Arc<dyn Past>, peers: Arc<dyn Peers>) -> Result<(), SyncError> {
    let (mut rests, mut last) = (Rests::default(), None);
    let mut at_once = AtOnce { headers: MAX_HEADERS_PER_RESPONSE, blocks: MAX_BLOCKS_PER_RESPONSE };
    let (begun, mut logged) = ((past.headers_from(), past.blocks_from()), Instant::now());
    while let Some(step) = next_step(config.depth, &*past, &at_once) {
        let started = Instant::now();
        let Some(peer) = rests.choose(started, peers.list(), last.as_ref()) else {
            tokio::time::sleep(config.rest / 5).await;
            continue;
        };
        match take(config.request_timeout, &*past, &*peers, &peer, step).await? {
            Taken::All => at_once.grow(step),
            // The youngest, which are needed first, come last in an answer: fewer of them fit into one.
            Taken::Part if step.count > 1 => at_once.shrink(step),
            Taken::Part | Taken::Nothing => rests.rest(peer.clone(), started + config.rest),
            Taken::Invalid(reason) => {
                debug!(%peer, reason, "reporting a peer");
                peers.report(&peer, PeerFault::InvalidBlock(reason));
                rests.rest(peer.clone(), started + config.rest_invalid);
            }
        }
        last = Some(peer);
        if logged.elapsed() >= LOG {
            logged = Instant::now();
            info!(headers_from = %past.headers_from(), blocks_from = %past.blocks_from(), "fetching the past");
        }
        tokio::time::sleep(started.elapsed().max(config.pause_min)).await;
    }
    let (headers_from, blocks_from) = (past.headers_from(), past.blocks_from());
    if (headers_from, blocks_from) != begun {
        info!(%headers_from, %blocks_from, "the past is as complete as it is wanted");
    }
    Ok(())
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
enum Taken {
    All,
    /// Less than was asked for, which leaves a gap: nothing is written.
    Part,
    Nothing,
    Invalid(String),
}

async fn take(
    timeout: Duration,
    past: &dyn Past,
    peers: &dyn Peers,
    peer: &PeerId,
    step: Step,
) -> Result<Taken, SyncError> {
    let range = BlocksRequest { from: step.from, count: step.count };
    let ask = async |request| tokio::time::timeout(timeout, peers.request(peer, request)).await.ok()?.ok();
    let written = match step.kind {
        Kind::Headers => {
            let Some(Response::Headers(mut headers)) = ask(Request::Headers(range)).await else {
                return Ok(Taken::Nothing);
            };
            if let Some(other) = other_than(step, headers.iter().map(|header| header.header.number)) {
                return Ok(other);
            }
            headers.reverse();
            past.add_headers(headers).await
        }
        Kind::Blocks => {
            let Some(Response::Blocks(blocks)) = ask(Request::Blocks(range.clone())).await else {
                return Ok(Taken::Nothing);
            };
            let Some(Response::Receipts(receipts)) = ask(Request::Receipts(range)).await else {
                return Ok(Taken::Nothing);
            };
            let numbers = blocks.iter().zip(&receipts).map(|(block, _)| block.proposed.block.header.number);
            if let Some(other) = other_than(step, numbers) {
                return Ok(other);
            }
            past.add_blocks(blocks.into_iter().zip(receipts).rev().collect()).await
        }
    };
    match written {
        Ok(()) => Ok(Taken::All),
        Err(CommitError::Invalid(reason)) => Ok(Taken::Invalid(reason)),
        Err(CommitError::Stale) => Ok(Taken::Nothing),
        Err(CommitError::Internal(reason)) => Err(SyncError::Commit { height: step.from, reason }),
    }
}

/// What an answer is that has not exactly the heights that were asked for.
fn other_than(step: Step, numbers: impl ExactSizeIterator<Item = u64>) -> Option<Taken> {
    let found = numbers.len() as u64;
    let from = step.from.as_u64();
    if found > step.count || !numbers.eq(from..from.saturating_add(found)) {
        let last = from.saturating_add(step.count - 1);
        return Some(Taken::Invalid(format!("answered other blocks than {from} to {last}")));
    }
    match found {
        0 => Some(Taken::Nothing),
        found if found < step.count => Some(Taken::Part),
        _ => None,
    }
}

#[cfg(test)]
#[path = "backfill_tests.rs"]
mod tests;
