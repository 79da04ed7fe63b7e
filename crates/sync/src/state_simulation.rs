//! The core among simulated peers of every kind: whatever they do, the bounds hold and the head arrives.

use super::tests::{block, id};
use super::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEEDS: u64 = 500;
const TARGET: u64 = 300;
/// Far more inputs than any run needs.
const INPUTS_MAX: usize = 5_000;

/// What a peer does with a request for blocks.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Honest,
    /// Serves heights from a middle one on.
    Pruned(u64),
    /// Announces ten times what it has, and sends nothing.
    Boaster,
    /// Sends other heights than asked for.
    Confused,
    /// Sends blocks that the chain refuses.
    Forger,
    /// Never answers; the request times out.
    Silent,
}

struct Simulation {
    rng: ChaCha8Rng,
    state: State,
    manners: BTreeMap<PeerId, Manner>,
    head: u64,
    now: Duration,
    /// What will reach the core, by time and then by order of sending.
    due: BTreeMap<(Duration, usize), Input>,
    sent: usize,
    asked_for_blocks: BTreeSet<PeerId>,
    importing: bool,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut manners = BTreeMap::from([(id("honest"), Manner::Honest)]);
        for number in 0..rng.random_range(0..8) {
            let manner = match rng.random_range(0..6) {
                0 => Manner::Honest,
                1 => Manner::Pruned(rng.random_range(1..TARGET)),
                2 => Manner::Boaster,
                3 => Manner::Confused,
                4 => Manner::Forger,
                _ => Manner::Silent,
            };
            manners.insert(id(&format!("peer{number}")), manner);
        }
        let config = SyncConfig { ranges_max: 3, blocks_per_range: 16, ..SyncConfig::default() };
        Self {
            rng,
            state: State::new(config, Height::GENESIS),
            manners,
            head: 0,
            now: Duration::ZERO,
            due: BTreeMap::from([((Duration::ZERO, 0), Input::Tick(Vec::new()))]),
            sent: 0,
            asked_for_blocks: BTreeSet::new(),
            importing: false,
        }
    }

    fn run(&mut self) {
        for _ in 0..INPUTS_MAX {
            let ((at, _), input) = self.due.pop_first().expect("a tick is always due");
            self.now = at;
            if self.rng.random_ratio(1, 500) {
                // Consensus decides a block by itself.
                self.head = (self.head + 1).min(TARGET);
            }
            let input = self.before(input);
            for output in self.state.handle(self.now, Height::new(self.head), input) {
                self.carry_out(output);
            }
            assert!(self.state.ranges.len() <= 3 && self.asked_for_blocks.len() <= 3);
            if self.head >= TARGET {
                return;
            }
        }
        panic!("at height {} after {:?}", self.head, self.now);
    }

    /// What the world does in the moment that an input is delivered.
    fn before(&mut self, input: Input) -> Input {
        match input {
            Input::Tick(_) => {
                self.send(Duration::from_millis(250), Input::Tick(Vec::new()));
                // Connections come and go, but the honest peer's stays.
                let present = self.manners.keys().filter(|peer| **peer == id("honest") || self.rng.random_ratio(9, 10));
                Input::Tick(present.cloned().collect())
            }
            Input::Blocks(ref peer, ..) | Input::Failed(ref peer, Request::Blocks(_), _) => {
                assert!(self.asked_for_blocks.remove(peer));
                input
            }
            Input::Imported(..) => {
                self.importing = false;
                input
            }
            input => input,
        }
    }

    fn carry_out(&mut self, output: Output) {
        let delay = Duration::from_millis(self.rng.random_range(1..400));
        match output {
            Output::Ask(peer, Request::Status) => {
                let (earliest, height) = match self.manners[&peer] {
                    Manner::Pruned(earliest) => (earliest, TARGET),
                    Manner::Boaster => (1, TARGET * 10),
                    _ => (1, TARGET),
                };
                let (height, earliest) = (Height::new(height), Height::new(earliest));
                self.send(delay, Input::Status(peer, Status { height, hash: Default::default(), earliest }));
            }
            Output::Ask(peer, Request::Blocks(asked)) => {
                assert!(self.asked_for_blocks.insert(peer.clone()), "{peer} is asked twice at a time");
                let last = (asked.from.as_u64() + self.rng.random_range(1..=asked.count)).min(TARGET + 1);
                let numbers = match self.manners[&peer] {
                    Manner::Silent => {
                        let failed = Input::Failed(peer, Request::Blocks(asked), None);
                        return self.send(Duration::from_secs(10), failed);
                    }
                    Manner::Boaster => 0..0,
                    Manner::Confused => asked.from.as_u64() + 1..last + 1,
                    Manner::Honest | Manner::Pruned(_) | Manner::Forger => asked.from.as_u64()..last,
                };
                self.send(delay, Input::Blocks(peer, asked, numbers.map(block).collect()));
            }
            Output::Ask(peer, request) => unreachable!("{peer} is asked {request:?}"),
            Output::Import(peer, from, blocks) => {
                assert!(!std::mem::replace(&mut self.importing, true), "two imports at a time");
                let numbers = Vec::from_iter(blocks.iter().map(|b| b.proposed.block.header.number));
                assert_eq!(numbers, Vec::from_iter((self.head + 1..).take(numbers.len())), "not what follows the head");
                let fault = match self.manners[&peer] {
                    Manner::Forger => Some(PeerFault::InvalidBlock("forged".to_owned())),
                    _ => {
                        self.head += numbers.len() as u64;
                        None
                    }
                };
                self.send(delay, Input::Imported(peer, from, fault));
            }
            Output::Report(peer, fault) => {
                let honest = matches!(self.manners[&peer], Manner::Honest | Manner::Pruned(_) | Manner::Silent);
                assert!(!honest, "{peer} is reported: {fault}");
            }
        }
    }

    fn send(&mut self, delay: Duration, input: Input) {
        self.sent += 1;
        self.due.insert((self.now + delay, self.sent), input);
    }
}

#[test]
fn one_honest_peer_is_enough_whatever_the_others_do() {
    for seed in 0..SEEDS {
        let mut simulation = Simulation::new(seed);
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| simulation.run()));
        assert!(outcome.is_ok(), "seed {seed}: {:?}", simulation.manners);
    }
}
