//! What goes wrong in a run: drawn from its seed, too.

use crate::scenario::Profile;
use crate::time::{MILLISECOND, Micros, SECOND};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// How a partition cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// Two groups that do not hear each other.
    Halves,
    /// A group that hears the others and is not heard.
    OneWay,
    /// Everybody hears two neighbours only.
    Ring,
    /// Nobody hears anybody.
    All,
}

/// A cut of the network for a while.
#[derive(Clone, Debug)]
pub struct Partition {
    /// When it begins.
    pub from: Micros,
    /// When it ends.
    pub until: Micros,
    /// How it cuts.
    pub kind: PartitionKind,
    /// One group.
    pub members: BTreeSet<usize>,
}

/// A crash of one node.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// Which node.
    pub node: usize,
    /// From when on it counts steps.
    pub at: Micros,
    /// After how many durable or visible steps it crashes.
    pub steps: u64,
}

/// What goes wrong until [`Scenario::heal_at`](crate::Scenario::heal_at).
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Share of messages that are lost, in percent.
    pub loss_percent: u32,
    /// Share of messages that arrive twice, in percent.
    pub duplicate_percent: u32,
    /// Share of messages that are late, and so overtaken, in percent.
    pub late_percent: u32,
    /// By how much they are late at most.
    pub late_by: Micros,
    /// Cuts of the network.
    pub partitions: Vec<Partition>,
    /// Crashes of nodes.
    pub crashes: Vec<Crash>,
    /// Longest time that a crashed node is down.
    pub down_max: Micros,
    /// The node whose crashes take its consensus log with them. It signs nothing at that height any more, so that it
    /// counts as one of the third that may fail.
    pub loses_log: Option<usize>,
    /// By how much each node's clock is wrong, in seconds.
    pub skew_secs: Vec<i64>,
    /// How long each node is busy with one event.
    pub slowness: Vec<Micros>,
}

impl Faults {
    /// Draws what goes wrong before `heal_at`.
    pub fn draw(profile: Profile, nodes: usize, heal_at: Micros, rng: &mut ChaCha8Rng) -> Self {
        let (loss, duplicates, late, partitions, crashes, skew) = match profile {
            Profile::Calm => return Self::none(nodes),
            Profile::Lan => (5, 10, 5, 0, 2, 1),
            Profile::Wan => (15, 20, 15, 2, 2, 3),
            Profile::Chaos => (30, 50, 50, 3, 4, 10),
        };
        let chaos = profile == Profile::Chaos;
        let slow = if chaos { 3 * MILLISECOND } else { 0 };
        Self {
            loss_percent: rng.random_range(0..=loss),
            duplicate_percent: rng.random_range(0..=duplicates),
            late_percent: rng.random_range(0..=late),
            late_by: rng.random_range(MILLISECOND..=if chaos { 3 * SECOND } else { 300 * MILLISECOND }),
            partitions: (0..rng.random_range(0..=partitions)).map(|_| Partition::draw(nodes, heal_at, rng)).collect(),
            crashes: (0..rng.random_range(0..=crashes)).map(|_| Crash::draw(nodes, heal_at, rng)).collect(),
            down_max: rng.random_range(100 * MILLISECOND..=4 * SECOND),
            loses_log: None,
            skew_secs: (0..nodes).map(|_| rng.random_range(-skew..=skew)).collect(),
            slowness: (0..nodes).map(|_| if rng.random_ratio(1, 5) { rng.random_range(0..=slow) } else { 0 }).collect(),
        }
    }

    /// Nothing goes wrong.
    pub fn none(nodes: usize) -> Self {
        Self { skew_secs: vec![0; nodes], slowness: vec![0; nodes], ..Self::default() }
    }
}

impl Partition {
    fn draw(nodes: usize, heal_at: Micros, rng: &mut ChaCha8Rng) -> Self {
        let from = rng.random_range(0..heal_at);
        let kinds = [PartitionKind::Halves, PartitionKind::OneWay, PartitionKind::Ring];
        Self {
            from,
            until: rng.random_range(from..=heal_at),
            kind: kinds[rng.random_range(0..kinds.len())],
            members: (0..nodes).filter(|_| rng.random()).collect(),
        }
    }
}

impl Crash {
    fn draw(nodes: usize, heal_at: Micros, rng: &mut ChaCha8Rng) -> Self {
        Self::draw_of(rng.random_range(0..nodes), heal_at, rng)
    }

    /// Draws a crash of this node.
    pub fn draw_of(node: usize, before: Micros, rng: &mut ChaCha8Rng) -> Self {
        Self { node, at: rng.random_range(0..before), steps: rng.random_range(0..40) }
    }
}
