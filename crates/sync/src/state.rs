//! The pure core: whom to ask for which headers and blocks, and what to hand to the chain next.
//!
//! ```text
//! statuses -> headers, up to a bound ahead of the head -> verified: final
//!                                        -> ranges of blocks from several peers -> held against them, prepared -> imported
//! ```
//!
//! Every input is one fact, every output one action. Blocks are asked for where the header is final, so that a wrong one
//! is found when it arrives; only a gap of a few blocks behind the head is asked for at once, and its blocks bring
//! their headers along. The window of ranges is filled from its low end only: a range further up is never fetched while a lower
//! one cannot be, so what is in memory can always be committed.

mod headers;
mod intake;
mod pace;
mod peers;
mod plan;
mod window;

use crate::{PeerFault, PeerId, SyncConfig};
use headers::Headers;
use heddle_primitives::{
    BlocksRequest, CertifiedHeader, FinalizedBlock, Height, MAX_BLOCKS_PER_RESPONSE, ProposedBlock, Refusal, Request,
    Status, VerifiedHeader,
};
use pace::{Progress, Usual};
use peers::Peer;
use std::collections::BTreeMap;
use std::time::Duration;
use window::Window;

/// Where the node stands between its own head and its peers'.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    /// Whether final headers wait for their blocks, or peers that keep their promises announce a head that is two or more
    /// blocks ahead.
    pub syncing: bool,
    /// The head when this catching up began.
    pub starting: Height,
    /// The head.
    pub current: Height,
    /// The last header that is proven to be final; at least `current`.
    pub highest: Height,
    /// The greatest height announced by a peer that has not failed since, nor failed before to serve what it announced; at
    /// least `highest`. Not proven.
    pub announced: Height,
    /// Connected peers that have announced a height and not failed since.
    pub peers: usize,
    /// The median of the heights that they announce, of two the greater; at least `current`. Not proven.
    pub common: Height,
    /// Blocks a second by which the head moved lately; 0 unless `syncing`.
    pub blocks_per_second: u64,
    /// Seconds until `announced` is reached if that goes on; `None` unless `syncing` and moving.
    pub seconds_left: Option<u64>,
}

impl SyncStatus {
    /// Blocks that most peers are ahead: one that boasts does not change it.
    pub fn lag(&self) -> u64 {
        self.common.as_u64().saturating_sub(self.current.as_u64())
    }
}

/// What happened. `B` is a block that only has to be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<B> {
    /// Time passed; these peers are connected.
    Tick(Vec<PeerId>),
    /// As [`Self::Tick`], with reason to believe that somebody is ahead.
    Wake(Vec<PeerId>),
    /// A peer's answer to [`Request::Status`].
    Status(PeerId, Status),
    /// A peer's answer to this request for headers.
    Headers(PeerId, BlocksRequest, Vec<CertifiedHeader>),
    /// A peer's answer to this request for blocks.
    Blocks(PeerId, BlocksRequest, Vec<FinalizedBlock>),
    /// A request ended without an answer, or with one of another kind.
    Failed(PeerId, Request, Option<PeerFault>),
    /// A peer does not answer, and says why.
    Refused(PeerId, Request, Refusal),
    /// The headers of [`Output::Verify`] that are final, from the first on; or what their sender did wrong.
    Verified(PeerId, Result<Vec<VerifiedHeader>, PeerFault>),
    /// The blocks of [`Output::Prepare`] with this height that are the final ones, from the first on, and what their sender
    /// did wrong, which need not end them.
    Prepared(PeerId, Height, Vec<B>, Option<PeerFault>),
    /// The blocks of [`Output::Import`] are committed, up to a fault of their sender if there is one.
    Imported(PeerId, Height, Option<PeerFault>),
}

/// What to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<B> {
    /// Send this request; exactly one of [`Input::Status`], [`Input::Headers`], [`Input::Blocks`], [`Input::Failed`] and
    /// [`Input::Refused`] must follow.
    Ask(PeerId, Request),
    /// Find out whether these headers, which follow the head or the last ones found to be final, are final; one
    /// [`Input::Verified`] must follow. Never two at a time.
    Verify(PeerId, Vec<CertifiedHeader>),
    /// Hold these blocks against their headers, and do whatever can be done before they are executed; one
    /// [`Input::Prepared`] with this height must follow.
    Prepare(PeerId, Height, Vec<(ProposedBlock, VerifiedHeader)>),
    /// Commit these blocks, which follow the head; one [`Input::Imported`] with this height must follow. Never two at a
    /// time.
    Import(PeerId, Height, Vec<B>),
    /// Tell the network.
    Report(PeerId, PeerFault),
}

/// The state of catching up. Deterministic: the same calls give the same outputs.
#[derive(Debug)]
pub struct State<B> {
    config: SyncConfig,
    head: Height,
    head_since: Duration,
    starting: Height,
    progress: Progress,
    peers: BTreeMap<PeerId, Peer>,
    headers: Headers,
    window: Window<B>,
    usual_headers: Usual,
    usual_blocks: Usual,
}

impl<B> State<B> {
    /// Nothing known of any peer, at this head.
    pub fn new(mut config: SyncConfig, head: Height) -> Self {
        config.blocks_per_range = config.blocks_per_range.clamp(1, MAX_BLOCKS_PER_RESPONSE);
        config.direct_max = config.direct_max.min(config.blocks_per_range);
        Self {
            config,
            head,
            head_since: Duration::ZERO,
            starting: head,
            progress: Progress::default(),
            peers: BTreeMap::new(),
            headers: Headers::new(head),
            window: Window(BTreeMap::new()),
            usual_headers: Usual::default(),
            usual_blocks: Usual::default(),
        }
    }

    /// Takes in one fact and says what to do. `now` counts from any fixed moment and never falls; `head` is the
    /// chain's, which consensus moves too.
    pub fn handle(&mut self, now: Duration, head: Height, input: Input<B>) -> Vec<Output<B>> {
        let mut outputs = Vec::new();
        self.observe_head(now, head);
        match input {
            Input::Tick(connected) => self.poll(now, &connected, self.config.status_interval, &mut outputs),
            Input::Wake(connected) => self.poll(now, &connected, self.config.status_interval / 4, &mut outputs),
            Input::Status(peer, status) => self.on_status(now, peer, status, &mut outputs),
            Input::Headers(peer, request, headers) => self.on_headers(now, peer, request, headers, &mut outputs),
            Input::Blocks(peer, request, blocks) => self.on_blocks(now, peer, request, blocks, &mut outputs),
            Input::Failed(peer, request, fault) => self.on_failed(now, peer, &request, fault, &mut outputs),
            Input::Refused(peer, request, refusal) => self.on_refused(now, &peer, &request, refusal),
            Input::Verified(peer, result) => self.on_verified(now, peer, result, &mut outputs),
            Input::Prepared(peer, from, blocks, fault) => {
                self.on_prepared(now, peer, from, blocks, fault, &mut outputs);
            }
            Input::Imported(peer, from, fault) => self.on_imported(now, peer, from, fault, &mut outputs),
        }
        self.verify_received(&mut outputs);
        self.prepare_received(&mut outputs);
        self.ask(now, &mut outputs);
        if let Some((peer, blocks)) = self.window.take_next(self.head) {
            outputs.push(Output::Import(peer, self.head.next(), blocks));
        }
        self.observe_progress(now);
        outputs
    }

    /// Where the node stands.
    pub fn status(&self) -> SyncStatus {
        let (syncing, announced) = (self.is_syncing(), self.announced());
        let left = announced.as_u64() - self.head.as_u64();
        SyncStatus {
            syncing,
            starting: self.starting,
            current: self.head,
            highest: self.headers.tip(),
            announced,
            peers: self.heights().count(),
            common: self.common_height(),
            blocks_per_second: self.progress.blocks_per_second(),
            seconds_left: self.progress.seconds_for(left).filter(|_| syncing),
        }
    }

    /// The last height up to which every block is here; at least the head.
    pub fn fetched(&self) -> Height {
        self.window.fetched(self.head)
    }

    fn is_syncing(&self) -> bool {
        self.headers.len() > 0 || self.announced() > self.head.next()
    }

    /// The heights that connected peers announce.
    fn heights(&self) -> impl Iterator<Item = Height> {
        self.peers.values().filter(|peer| peer.connected).filter_map(Peer::announces)
    }

    fn announced(&self) -> Height {
        let tip = self.headers.tip();
        let credible = self.peers.values().filter(|peer| peer.connected && !peer.is_doubted(tip));
        credible.filter_map(Peer::announces).fold(tip, Height::max)
    }

    /// What most connected peers have reached, however high the others boast or however far they are behind.
    fn common_height(&self) -> Height {
        let mut heights = Vec::from_iter(self.heights());
        heights.sort_unstable();
        let median = heights.get(heights.len() / 2).copied();
        median.map_or(self.head, |height| height.max(self.head))
    }

    fn observe_head(&mut self, now: Duration, head: Height) {
        if head > self.head {
            self.head = head;
            self.head_since = now;
        }
        self.headers.observe_head(self.head);
        self.window.observe_head(self.head);
    }

    fn observe_progress(&mut self, now: Duration) {
        if self.is_syncing() {
            self.progress.observe(now, self.head);
        } else {
            self.progress.forget();
            self.starting = self.head;
        }
    }
}

#[cfg(test)]
#[path = "state_simulation.rs"]
mod simulation;
#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
