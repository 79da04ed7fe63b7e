//! What a seed stands for.

use super::chain::{INTERVAL, LENGTH, STARTED_AT};
use super::peer::Manner;
use crate::time::{MILLISECOND, Micros, SECOND};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How the joining node stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It is killed: what the system has is written.
    Kill,
    /// The machine loses power: of what was not synced the end is lost, some pieces.
    Power,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Where all of it comes from.
    pub seed: u64,
    /// Whether validators change.
    pub has_registry: bool,
    /// Each peer's manner, and the head when it started; one is honest.
    pub peers: Vec<(Manner, u64)>,
    /// The head at the beginning.
    pub head: u64,
    /// Time between two blocks; `None`: the chain stands still.
    pub block_time: Option<Micros>,
    /// About how many bytes of leaves an answer has.
    pub bytes_max: usize,
    /// When the node stops, how, and for how long.
    pub stops: Vec<(Micros, Stop, Micros)>,
    /// Whether it is given a checkpoint of the chain.
    pub has_checkpoint: bool,
}

impl Scenario {
    /// The run of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let is_young = rng.random_ratio(1, 12);
        let head = if is_young { rng.random_range(2..STARTED_AT) } else { rng.random_range(INTERVAL + 1..60) };
        let others = rng.random_range(0..8);
        let mut peers = Vec::from_iter((0..others).map(|_| Manner::draw(&mut rng)));
        peers.insert(rng.random_range(0..=others), Manner::Honest);
        let started_at =
            |rng: &mut ChaCha8Rng| (head / INTERVAL).saturating_sub(rng.random_range(0..=1)) * INTERVAL + STARTED_AT;
        let peers = Vec::from_iter(peers.into_iter().map(|manner| (manner, started_at(&mut rng).min(head))));
        let mut stops = Vec::new();
        for _ in 0..rng.random_range(0..4) {
            let at = rng.random_range(SECOND..30 * SECOND);
            let stop = if rng.random_ratio(1, 3) { Stop::Power } else { Stop::Kill };
            stops.push((at, stop, rng.random_range(100 * MILLISECOND..10 * SECOND)));
        }
        Self {
            seed,
            has_registry: rng.random_ratio(1, 2),
            peers,
            head,
            block_time: (!is_young && rng.random_ratio(3, 4)).then(|| (30 * MILLISECOND) << rng.random_range(0..7)),
            bytes_max: rng.random_range(1_000..4_000),
            stops,
            has_checkpoint: rng.random_ratio(1, 4),
        }
    }

    /// Whether the chain is too young to have a state to offer.
    pub fn is_empty(&self) -> bool {
        self.head < STARTED_AT
    }

    /// The head at a time.
    pub fn head_at(&self, now: Micros) -> u64 {
        self.block_time.map_or(self.head, |time| (self.head + now / time).min(LENGTH))
    }
}
