//! The core among simulated peers of every kind: whatever they do, the bounds hold and the head arrives.

use super::tests::id;
use super::*;
use crate::{match_blocks, test_chain};
use alloy_primitives::B256;
use heddle_primitives::{CertifiedBlock, RequestKind};
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

const SEEDS: u64 = 500;
/// Where the chain is when the node starts, and where it goes meanwhile.
const START: u64 = 200;
const TARGET: u64 = 300;
/// Time between two blocks of the chain.
const PACE_MILLIS: u64 = 100;
/// Far more inputs than any run needs.
const INPUTS_MAX: usize = 20_000;
const RANGES_MAX: usize = 3;

/// What a peer does with requests.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Honest,
    /// Serves heights from a middle one on.
    Pruned(u64),
    /// Answers two seconds late.
    Slow,
    /// Answers with one item at a time.
    Dripping,
    /// Is busy every other time.
    Busy,
    /// Was there, and has gone with what it was asked.
    Vanishing,
    /// Announces ten times what there is, and has nothing.
    Boaster,
    /// Announces ten times what there is, and serves what there is.
    Exaggerator,
    /// Has pruned everything and says so only when it is asked.
    Forgetful,
    /// Sends other heights than asked for.
    Confused,
    /// Sends headers that are not final.
    HeaderForger,
    /// Sends final headers, and blocks of another chain.
    BlockForger,
    /// Never answers; the request times out.
    Silent,
}

impl Manner {
    const ALL: [Self; 13] = [
        Self::Honest,
        Self::Pruned(150),
        Self::Slow,
        Self::Dripping,
        Self::Busy,
        Self::Vanishing,
        Self::Boaster,
        Self::Exaggerator,
        Self::Forgetful,
        Self::Confused,
        Self::HeaderForger,
        Self::BlockForger,
        Self::Silent,
    ];

    /// Whether it ever sends what an honest peer does not.
    fn is_liar(self) -> bool {
        matches!(self, Self::Boaster | Self::Exaggerator | Self::Confused | Self::HeaderForger | Self::BlockForger)
    }
}

struct Simulation {
    rng: ChaCha8Rng,
    state: State<CertifiedBlock>,
    manners: BTreeMap<PeerId, Manner>,
    head: u64,
    now: Duration,
    /// What will reach the core, by time and then by order of sending.
    due: BTreeMap<(Duration, usize), Input<CertifiedBlock>>,
    sent: usize,
    in_flight: BTreeSet<(PeerId, RequestKind, Height)>,
    verifying: bool,
    importing: bool,
    /// The header behind which validators are known only once it is the head.
    epoch_end: Option<u64>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut manners = BTreeMap::from([(id("honest"), Manner::Honest)]);
        for number in 0..rng.random_range(0..8) {
            let manner = Manner::ALL.choose(&mut rng).copied().unwrap();
            manners.insert(id(&format!("peer{number}")), manner);
        }
        let config =
            SyncConfig { ranges_max: RANGES_MAX, blocks_per_range: 16, headers_max: 100, ..SyncConfig::default() };
        let epoch_end = rng.random_bool(0.3).then(|| rng.random_range(1..TARGET));
        Self {
            rng,
            state: State::new(config, Height::GENESIS),
            manners,
            head: 0,
            now: Duration::ZERO,
            due: BTreeMap::from([((Duration::ZERO, 0), Input::Tick(Vec::new()))]),
            sent: 0,
            in_flight: BTreeSet::new(),
            verifying: false,
            importing: false,
            epoch_end,
        }
    }

    /// Height of the chain now.
    fn target(&self) -> u64 {
        (START + self.now.as_millis() as u64 / PACE_MILLIS).min(TARGET)
    }

    fn run(&mut self) {
        for _ in 0..INPUTS_MAX {
            let ((at, _), input) = self.due.pop_first().expect("a tick is always due");
            self.now = at;
            if self.rng.random_ratio(1, 500) {
                // Consensus decides a block by itself.
                self.head = (self.head + 1).min(self.target());
            }
            let input = self.before(input);
            for output in self.state.handle(self.now, Height::new(self.head), input) {
                self.carry_out(output);
            }
            self.check_bounds();
            if self.head >= TARGET {
                return;
            }
        }
        panic!("at height {} after {:?}: {:?}", self.head, self.now, self.state.status());
    }

    fn check_bounds(&self) {
        assert!(self.state.window.0.len() <= RANGES_MAX);
        assert!(self.state.headers.len() <= 100);
        let blocks = self.in_flight.iter().filter(|(_, kind, _)| *kind == RequestKind::Blocks);
        assert!(blocks.count() <= 2 * self.manners.len());
        let status = self.state.status();
        assert!(status.current <= status.highest && status.highest <= status.announced);
        assert!(status.highest.as_u64() <= self.target(), "nothing but the chain is proven");
    }

    /// What the world does in the moment that an input is delivered.
    fn before(&mut self, input: Input<CertifiedBlock>) -> Input<CertifiedBlock> {
        match &input {
            Input::Tick(_) => {
                self.send(Duration::from_millis(250), Input::Tick(Vec::new()));
                // Connections come and go, but the honest peer's stays.
                let present = self.manners.keys().filter(|peer| **peer == id("honest") || self.rng.random_ratio(9, 10));
                return Input::Tick(present.cloned().collect());
            }
            Input::Headers(peer, range, _) => self.ended(peer, RequestKind::Headers, range.from),
            Input::Blocks(peer, range, _) => self.ended(peer, RequestKind::Blocks, range.from),
            Input::Failed(peer, request, _) | Input::Refused(peer, request, _) => match request {
                Request::Headers(range) | Request::Blocks(range) => self.ended(peer, request.kind(), range.from),
                _ => {}
            },
            Input::Verified(..) => self.verifying = false,
            Input::Imported(..) => self.importing = false,
            _ => {}
        }
        input
    }

    fn ended(&mut self, peer: &PeerId, kind: RequestKind, from: Height) {
        assert!(self.in_flight.remove(&(peer.clone(), kind, from)));
    }

    fn carry_out(&mut self, output: Output<CertifiedBlock>) {
        let delay = Duration::from_millis(self.rng.random_range(1..400));
        match output {
            Output::Ask(peer, Request::Status) => self.say_where(peer, delay),
            Output::Ask(peer, request) => self.answer(peer, request, delay),
            Output::Verify(peer, headers) => {
                assert!(!std::mem::replace(&mut self.verifying, true), "two verifications at a time");
                let from = headers[0].header.number;
                assert_eq!(from, self.state.headers.tip().next().as_u64(), "not what follows");
                let is_final = headers == test_chain::headers(from..=from + headers.len() as u64 - 1);
                let known = self.epoch_end.filter(|end| *end > self.head && *end >= from).unwrap_or(u64::MAX);
                let last = (from + headers.len() as u64 - 1).min(known);
                let result = match is_final {
                    true => Ok(test_chain::verified(from..=last)),
                    false => Err(PeerFault::InvalidHeader("forged".to_owned())),
                };
                self.send(delay / 10, Input::Verified(peer, result));
            }
            Output::Prepare(peer, from, blocks) => {
                let (blocks, fault) = match_blocks(blocks);
                self.send(delay / 10, Input::Prepared(peer, from, blocks, fault));
            }
            Output::Import(peer, from, blocks) => {
                assert!(!std::mem::replace(&mut self.importing, true), "two imports at a time");
                let hashes = Vec::from_iter(blocks.iter().map(CertifiedBlock::hash));
                let last = self.head + blocks.len() as u64;
                let expected = test_chain::final_blocks(self.head + 1..=last);
                let expected = Vec::from_iter(expected.iter().map(|block| block.proposed.hash()));
                assert_eq!((from.as_u64(), hashes), (self.head + 1, expected), "not what follows the head");
                self.head = last;
                self.send(delay, Input::Imported(peer, from, None));
            }
            Output::Report(peer, fault) => {
                assert!(self.manners[&peer].is_liar(), "{peer} is reported: {fault}");
            }
        }
    }

    fn say_where(&mut self, peer: PeerId, delay: Duration) {
        let target = self.target();
        let (earliest, height) = match self.manners[&peer] {
            Manner::Pruned(earliest) => (earliest, target),
            Manner::Boaster | Manner::Exaggerator => (1, target * 10),
            _ => (1, target),
        };
        let (height, earliest) = (Height::new(height), Height::new(earliest));
        self.send(delay, Input::Status(peer, Status { height, hash: B256::ZERO, earliest }));
    }

    fn answer(&mut self, peer: PeerId, request: Request, delay: Duration) {
        let (Request::Headers(range) | Request::Blocks(range)) = request.clone() else {
            panic!("{peer} is asked {request:?}")
        };
        let question = (peer.clone(), request.kind(), range.from);
        assert!(self.in_flight.insert(question), "{peer} is asked twice at a time");
        let (from, asked_last) = (range.from.as_u64(), range.from.as_u64() + range.count - 1);
        let short = self.rng.random_range(from..=asked_last);
        let last = if self.rng.random_ratio(1, 8) { short } else { asked_last }.min(self.target());
        let (delay, numbers) = match self.manners[&peer] {
            Manner::Silent => return self.send(Duration::from_secs(10), Input::Failed(peer, request, None)),
            Manner::Vanishing if self.rng.random_ratio(1, 2) => {
                return self.send(delay * 3, Input::Failed(peer, request, None));
            }
            Manner::Busy if self.rng.random_ratio(1, 2) => {
                return self.send(delay, Input::Refused(peer, request, Refusal::Busy));
            }
            Manner::Forgetful => return self.send(delay, Input::Refused(peer, request, Refusal::Gone)),
            Manner::Slow => (delay + Duration::from_secs(2), from..=last),
            Manner::Dripping => (delay, from..=from.min(last)),
            Manner::Boaster => (delay, from..=from - 1),
            Manner::Confused => (delay, from + 1..=last + 1),
            _ => (delay, from..=last),
        };
        let forged = self.manners[&peer];
        let mut blocks = test_chain::final_blocks(numbers);
        if matches!((forged, &request), (Manner::HeaderForger, _) | (Manner::BlockForger, Request::Blocks(_))) {
            for block in &mut blocks {
                let header = &block.proposed.block.header;
                *block = test_chain::child(header.number, header.parent_hash, b"forged".to_vec(), 1);
            }
        }
        let input = match request {
            Request::Headers(_) => Input::Headers(peer, range, blocks.iter().map(test_chain::header_of).collect()),
            _ => Input::Blocks(peer, range, blocks),
        };
        self.send(delay, input);
    }

    fn send(&mut self, delay: Duration, input: Input<CertifiedBlock>) {
        self.sent += 1;
        self.due.insert((self.now + delay, self.sent), input);
    }
}

#[test]
fn one_honest_peer_is_enough_whatever_the_others_do() {
    let mut slowest = Duration::ZERO;
    for seed in 0..SEEDS {
        let mut simulation = Simulation::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulation.run()));
        assert!(outcome.is_ok(), "seed {seed}: {:?}", simulation.manners);
        slowest = slowest.max(simulation.now);
    }
    assert!(slowest < Duration::from_secs(120), "the slowest took {slowest:?}");
}
