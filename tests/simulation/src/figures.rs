//! What consensus costs: how long a block takes, and how many messages and bytes.

use crate::faults::Faults;
use crate::scenario::{Choice, Plan, Profile, Scenario};
use crate::time::{MILLISECOND, Micros, SECOND};
use crate::world::World;
use heddle_primitives::{Height, Round};
use std::collections::BTreeMap;

/// What went over the network, and when what became final.
#[derive(Default)]
pub(crate) struct Traffic {
    /// Consensus messages that were sent, each copy for itself.
    pub(crate) messages: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
    proposed: BTreeMap<Height, Micros>,
    /// How long after its proposal each node committed each block, in microseconds.
    latencies: Vec<Micros>,
}

impl Traffic {
    /// Notes when a block of round 0 was proposed.
    pub(crate) fn proposed(&mut self, height: Height, round: Round, now: Micros) {
        if round == Round::ZERO {
            self.proposed.entry(height).or_insert(now);
        }
    }

    /// Notes that a node committed a block.
    pub(crate) fn committed(&mut self, height: Height, now: Micros) {
        self.latencies.extend(self.proposed.get(&height).map(|proposed| now - proposed));
    }
}

/// What consensus costs in one network.
#[derive(Clone, Debug)]
pub struct Figures {
    /// How many validators it has.
    pub validators: usize,
    /// Mean time between two transactions, in milliseconds.
    pub transaction_interval_ms: u64,
    /// Blocks that were committed.
    pub blocks: u64,
    /// From the proposal until a node has committed: the mean over nodes and blocks, in milliseconds. A node takes 1 to
    /// 20 ms for executing a block.
    pub latency_ms: f64,
    /// The same in mean delays between two nodes.
    pub latency_delays: f64,
    /// Consensus messages that a node sends, a block.
    pub messages: f64,
    /// Bytes of them.
    pub bytes: f64,
}

/// Measures a network of validators in five regions without faults, under this load.
///
/// # Errors
/// An invariant is broken.
pub fn measure(validators: usize, transaction_interval_ms: u64) -> Result<Figures, String> {
    let choice = Choice {
        nodes: Some(validators),
        byzantine: Some(0),
        profile: Some(Profile::Wan),
        plan: Some(Plan::Fixed),
        ..Choice::default()
    };
    let scenario = Scenario {
        faults: Faults::none(validators),
        heal_at: 12 * SECOND,
        transaction_interval: transaction_interval_ms * MILLISECOND,
        ..Scenario::draw(0, choice)
    };
    let mut world = World::new(scenario, 0)?;
    world.run_to_end()?;
    let (traffic, mean_delay) = (&world.traffic, world.network.mean_delay());
    let commits = traffic.latencies.len() as f64;
    let latency = traffic.latencies.iter().sum::<Micros>() as f64 / commits;
    Ok(Figures {
        validators,
        transaction_interval_ms,
        blocks: traffic.latencies.len() as u64 / validators as u64,
        latency_ms: latency / MILLISECOND as f64,
        latency_delays: latency / mean_delay as f64,
        messages: traffic.messages as f64 / commits,
        bytes: traffic.bytes as f64 / commits,
    })
}
