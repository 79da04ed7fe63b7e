//! What a run is made of: all of it is drawn from its seed.

use crate::byzantine::Behaviour;
use crate::faults::{Crash, Faults, Partition, PartitionKind};
use crate::fixture::Shape;
use crate::time::{MILLISECOND, Micros, SECOND};
use clap::ValueEnum;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};
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

/// How the set of validators changes while all goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plan {
    /// It never does; there is no registry.
    Fixed,
    /// From four to seven, and back.
    Grow,
    /// A validator moves to another key, on another machine.
    Rotate,
    /// A validator is absent, jailed, and comes back.
    Jail,
    /// A validator contradicts itself, and is slashed.
    Slash,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "fixed",
            Self::Grow => "grow",
            Self::Rotate => "rotate",
            Self::Jail => "jail",
            Self::Slash => "slash",
        })
    }
}

impl Plan {
    /// The nodes and the first members of a network that goes through this plan; `nodes` where they never change.
    fn shape(self, nodes: usize) -> Shape {
        let (nodes, members) = match self {
            Self::Fixed => return Shape::fixed(nodes),
            Self::Grow => (7, 4),
            Self::Rotate => (5, 4),
            Self::Jail | Self::Slash => (4, 4),
        };
        Shape { nodes, members, has_registry: true }
    }
}

/// What the command line fixes; the seed draws the rest.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// How many nodes, 1 to 64, unless the plan says.
    pub nodes: Option<usize>,
    /// How many of them are Byzantine: fewer than a third.
    pub byzantine: Option<usize>,
    /// How hard it is.
    pub profile: Option<Profile>,
    /// How the set of validators changes.
    pub plan: Option<Plan>,
    /// How many lines of the trace a violation shows.
    pub lines: Option<usize>,
}

/// Where the nodes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delays {
    /// In one place.
    Lan,
    /// In five regions, in turn.
    Wan,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Everything follows from it.
    pub seed: u64,
    /// How many nodes there are.
    pub nodes: usize,
    /// How the set of validators changes.
    pub plan: Plan,
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
        let plans = [Plan::Grow, Plan::Rotate, Plan::Jail, Plan::Slash];
        let drawn = if rng.random_ratio(1, 8) { plans.choose(&mut rng).copied() } else { None };
        let fixed = choice.nodes.map(|_| Plan::Fixed);
        let plan = choice.plan.or(fixed).or(drawn).unwrap_or(Plan::Fixed);
        let shape = plan.shape(choice.nodes.unwrap_or(small));
        let nodes = shape.nodes;
        let byzantine_max = match plan {
            Plan::Fixed | Plan::Slash => (shape.members - 1) / 3,
            // The plan itself takes one of the third away for a while.
            Plan::Grow | Plan::Rotate | Plan::Jail => 0,
        };
        // Drawn whether it is used or not, so that a choice of what would be drawn changes nothing.
        let drawn = rng.random_range(0..=byzantine_max);
        let byzantine = choice.byzantine.unwrap_or(drawn).min(byzantine_max);
        let byzantine = if plan == Plan::Slash { byzantine_max } else { byzantine };
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
        let mut byzantine = BTreeMap::from_iter(byzantine);
        if plan == Plan::Slash {
            byzantine.values_mut().for_each(|behaviours| *behaviours = vec![Behaviour::Equivocates]);
        }
        let mut faults = Faults::draw(profile, nodes, heal_at, &mut rng);
        // Drawn whether it is used or not, too.
        let (loses_log, node) = (rng.random_ratio(1, 3), everybody[byzantine.len()]);
        if loses_log && plan == Plan::Fixed && profile != Profile::Calm && byzantine.len() < byzantine_max {
            faults.loses_log = Some(node);
            faults.crashes.extend((0..2).map(|_| Crash::draw_of(node, heal_at, &mut rng)));
        }
        let forgetful = byzantine.iter().filter(|(_, behaviours)| behaviours.contains(&Behaviour::Forgets));
        for (node, _) in forgetful {
            // These go on when the faults have stopped.
            faults.crashes.extend((0..4).map(|_| Crash::draw_of(*node, 2 * heal_at, &mut rng)));
        }
        Self {
            seed,
            nodes,
            plan,
            byzantine,
            profile,
            delays,
            faults,
            heal_at,
            transaction_interval: rng.random_range(100 * MILLISECOND..=600 * MILLISECOND),
        }
    }

    /// A run in which messages get lost for up to two minutes, and then nobody hears anybody, for an hour in all.
    pub fn outage(seed: u64, nodes: usize) -> Self {
        let choice =
            Choice { nodes: Some(nodes), byzantine: Some(0), profile: Some(Profile::Wan), ..Choice::default() };
        let scenario = Self::draw(seed, choice);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let until = 3_600 * SECOND;
        let from = rng.random_range(3 * SECOND..120 * SECOND);
        let cut = Partition { from, until, kind: PartitionKind::All, members: BTreeSet::new() };
        let faults = Faults { partitions: vec![cut], loss_percent: rng.random_range(0..=95), ..Faults::none(nodes) };
        Self { faults, heal_at: until, transaction_interval: 60 * SECOND, ..scenario }
    }

    /// What its chain is made for.
    pub fn shape(&self) -> Shape {
        self.plan.shape(self.nodes)
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
