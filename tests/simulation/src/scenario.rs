//! What a run is made of: all of it is drawn from its seed.

use crate::byzantine::Behaviour;
use crate::time::{MILLISECOND, Micros, SECOND};
use clap::ValueEnum;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::fmt;

/// The sizes of a network that a seed chooses from.
const SIZES: [usize; 4] = [4, 7, 10, 13];

/// How hard a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// A local network without faults.
    Calm,
    /// A local network that loses little, with crashes.
    Lan,
    /// Five regions, with loss, partitions and crashes.
    Wan,
    /// Everything at once.
    Chaos,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calm => "calm",
            Self::Lan => "lan",
            Self::Wan => "wan",
            Self::Chaos => "chaos",
        })
    }
}

/// What the command line fixes; the seed draws the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// How many nodes, 1 to 64; all are validators.
    pub nodes: Option<usize>,
    /// How many of them are Byzantine: fewer than a third.
    pub byzantine: Option<usize>,
    /// How hard it is.
    pub profile: Option<Profile>,
}

/// Where the nodes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delays {
    /// In one place.
    Lan,
    /// In five regions, in turn.
    Wan,
}

/// How a partition cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartitionKind {
    /// Two groups that do not hear each other.
    Halves,
    /// A group that hears the others and is not heard.
    OneWay,
    /// Everybody hears two neighbours only.
    Ring,
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
    /// One group, a bit for each node.
    pub members: u64,
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

/// What goes wrong until [`Scenario::heal_at`].
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
    /// Share of crashes that take the consensus log with them, in percent.
    pub lost_log_percent: u32,
    /// By how much each node's clock is wrong, in seconds.
    pub skew_secs: Vec<i64>,
    /// How long each node is busy with one event.
    pub slowness: Vec<Micros>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Everything follows from it.
    pub seed: u64,
    /// How many nodes; all are validators.
    pub nodes: usize,
    /// Which of them are Byzantine, and how.
    pub byzantine: BTreeMap<usize, Vec<Behaviour>>,
    /// How hard it is.
    pub profile: Profile,
    /// Where they stand.
    pub delays: Delays,
    /// What goes wrong.
    pub faults: Faults,
    /// When it no longer does.
    pub heal_at: Micros,
    /// Mean time between two transactions of users.
    pub transaction_interval: Micros,
}

impl Scenario {
    /// Draws a run.
    pub fn draw(seed: u64, choice: Choice) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let small = SIZES[if rng.random_ratio(3, 4) { 0 } else { rng.random_range(1..SIZES.len()) }];
        let nodes = choice.nodes.unwrap_or(small);
        let byzantine_max = (nodes - 1) / 3;
        // Drawn whether it is used or not, so that a choice of what would be drawn changes nothing.
        let drawn = rng.random_range(0..=byzantine_max);
        let byzantine = choice.byzantine.unwrap_or(drawn).min(byzantine_max);
        let drawn = [Profile::Lan, Profile::Wan, Profile::Chaos, Profile::Chaos].choose(&mut rng).copied();
        let profile = choice.profile.or(drawn).unwrap_or(Profile::Chaos);
        let mut everybody = Vec::from_iter(0..nodes);
        everybody.shuffle(&mut rng);
        let delays = match profile {
            Profile::Calm | Profile::Lan => Delays::Lan,
            Profile::Wan => Delays::Wan,
            Profile::Chaos if rng.random() => Delays::Lan,
            Profile::Chaos => Delays::Wan,
        };
        let heal_at = rng.random_range(3 * SECOND..=9 * SECOND);
        let byzantine = everybody.iter().take(byzantine).map(|node| (*node, Behaviour::draw(&mut rng)));
        let byzantine = BTreeMap::from_iter(byzantine);
        let mut faults = Faults::draw(profile, nodes, heal_at, &mut rng);
        let forgetful = byzantine.iter().filter(|(_, behaviours)| behaviours.contains(&Behaviour::Forgets));
        for (node, _) in forgetful {
            // These go on when the faults have stopped.
            faults.crashes.extend((0..4).map(|_| Crash::draw_of(*node, 2 * heal_at, &mut rng)));
        }
        Self {
            seed,
            nodes,
            byzantine,
            profile,
            delays,
            faults,
            heal_at,
            transaction_interval: rng.random_range(100 * MILLISECOND..=600 * MILLISECOND),
        }
    }

    /// Whether a node follows the rules.
    pub fn is_honest(&self, node: usize) -> bool {
        !self.byzantine.contains_key(&node)
    }

    /// What goes wrong at a time; `None` once it no longer does.
    pub fn faults_at(&self, now: Micros) -> Option<&Faults> {
        (now < self.heal_at).then_some(&self.faults)
    }
}

impl Faults {
    fn draw(profile: Profile, nodes: usize, heal_at: Micros, rng: &mut ChaCha8Rng) -> Self {
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
            lost_log_percent: if rng.random_ratio(1, 8) { 50 } else { 0 },
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
            members: rng.random_range(1..(1 << nodes) - 1),
        }
    }
}

impl Crash {
    fn draw(nodes: usize, heal_at: Micros, rng: &mut ChaCha8Rng) -> Self {
        Self::draw_of(rng.random_range(0..nodes), heal_at, rng)
    }

    fn draw_of(node: usize, before: Micros, rng: &mut ChaCha8Rng) -> Self {
        Self { node, at: rng.random_range(0..before), steps: rng.random_range(0..40) }
    }
}
