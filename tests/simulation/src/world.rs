//! A world: nodes, the network between them, and one queue of what happens next.

mod byzantine;
mod effects;
mod load;

use crate::byzantine::{Adversary, Behaviour};
use crate::checks::{Checks, Referee};
use crate::disk::Disk;
use crate::event::Event;
use crate::fixture::Fixture;
use crate::network::Network;
use crate::node::{Env, Machine, Process, Stop};
use crate::scenario::Scenario;
use crate::time::{Micros, SECOND};
use crate::trace::Trace;
use alloy_primitives::B256;
use heddle_consensus::ConsensusConfig;
use heddle_primitives::{ConsensusKey, Height};
use heddle_storage::{Database, DatabaseConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many heights every honest node must commit after the faults have stopped.
const HEIGHTS_AFTER: u64 = 2;
/// How long that may take.
const TIME_AFTER: Micros = 180 * SECOND;

/// A machine with its process, while there is one.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) process: Option<Process>,
    /// Counts the lives of the process.
    pub(crate) life: u64,
    /// Busy with an event until then.
    pub(crate) busy_until: Micros,
}

/// What happened in a run without a violation.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// SHA-256 over all events.
    pub trace_hash: B256,
    /// How many events there were.
    pub events: u64,
    /// The greatest height that an honest node committed.
    pub height: u64,
    /// How much virtual time passed.
    pub elapsed: Micros,
    /// How many crashes there were.
    pub crashes: u64,
    /// How many signatures the guards refused.
    pub refused: u64,
    /// The most rounds that a height took.
    pub rounds_max: u32,
}

/// A run that broke an invariant.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which, and how.
    pub reason: String,
    /// The last events, if they were kept.
    pub trace: Vec<String>,
}

/// All nodes and what is on its way to them.
pub struct World {
    scenario: Scenario,
    pub(crate) fixture: Arc<Fixture>,
    network: Network,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) nodes: Vec<Node>,
    /// By time, then by order of sending; with the node and the life that it is for.
    queue: BTreeMap<(Micros, u64), (usize, Option<u64>, Event)>,
    now: Micros,
    sequence: u64,
    checks: Checks,
    referee: Referee,
    adversary: Adversary,
    trace: Trace,
    /// The height that ends the run once all honest nodes have it; known when the faults have stopped.
    target: Option<Height>,
    summary: Summary,
}

impl World {
    /// A world at genesis; `lines_kept` of its trace are kept for a violation.
    ///
    /// # Errors
    /// A database cannot be opened.
    pub fn new(scenario: Scenario, lines_kept: usize) -> Result<Self, String> {
        let fixture = Fixture::of(scenario.nodes);
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        rng.set_stream(1);
        let node = |index| Node::new(index, &scenario, &fixture);
        let nodes = (0..scenario.nodes).map(node).collect::<Result<_, _>>()?;
        let skew_secs = scenario.faults.skew_secs.iter().map(|skew| skew.unsigned_abs()).max().unwrap_or_default();
        let referee = Referee::new(&fixture, &database_config(), skew_secs)?;
        let adversary = Adversary::new(Arc::clone(&fixture), scenario.nodes, scenario.byzantine.clone());
        Ok(Self {
            network: Network::new(scenario.delays, scenario.nodes),
            scenario,
            fixture,
            rng,
            nodes,
            queue: BTreeMap::new(),
            now: 0,
            sequence: 0,
            checks: Checks::default(),
            referee,
            adversary,
            trace: Trace::new(lines_kept),
            target: None,
            summary: Summary::default(),
        })
    }

    /// Runs until every honest node has gone on after the faults.
    ///
    /// # Errors
    /// The first invariant that is broken, and the trace up to there.
    pub fn run(mut self) -> Result<Summary, Violation> {
        match self.run_to_end() {
            Ok(()) => Ok(Summary {
                trace_hash: self.trace.hash(),
                events: self.trace.events(),
                height: self.checks.highest(&self.scenario).as_u64(),
                elapsed: self.now,
                ..self.summary
            }),
            Err(reason) => {
                let reason = format!("{reason}\n{}", self.describe());
                Err(Violation { reason, trace: self.trace.lines() })
            }
        }
    }

    fn run_to_end(&mut self) -> Result<(), String> {
        for index in 0..self.nodes.len() {
            let at = self.rng.random_range(0..SECOND / 5);
            self.push(at, index, Event::Boot);
        }
        for crash in self.scenario.faults.crashes.clone() {
            self.push(crash.at, crash.node, Event::Arm(crash.steps));
        }
        let mut next_transaction = self.scenario.transaction_interval;
        while !self.is_over()? {
            let Some(((at, _), (index, life, event))) = self.queue.pop_first() else {
                return Err("nothing happens any more".to_owned());
            };
            self.now = at;
            while next_transaction <= self.now {
                next_transaction += 1 + self.rng.random_range(0..2 * self.scenario.transaction_interval);
                self.send_transaction();
            }
            self.happen(index, life, event)?;
        }
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| self.scenario.is_honest(*index)) {
            if let Some(process) = &node.process {
                self.checks.kept(index, process.chain())?;
            }
        }
        Ok(())
    }

    /// Whether the faults have stopped and every honest node has gone on since.
    fn is_over(&mut self) -> Result<bool, String> {
        if self.now < self.scenario.heal_at {
            return Ok(false);
        }
        let Some(target) = self.target else {
            self.heal();
            return Ok(false);
        };
        let late = |index: &usize| self.scenario.is_honest(*index) && self.checks.head(*index) < target;
        let Some(late) = (0..self.nodes.len()).find(late) else { return Ok(true) };
        if self.now > self.scenario.heal_at + TIME_AFTER {
            let seconds = TIME_AFTER / SECOND;
            return Err(format!("node {late} is below height {target} {seconds} s after the faults stopped"));
        }
        Ok(false)
    }

    /// Ends every fault: what is down comes up, and no clock is wrong.
    fn heal(&mut self) {
        let highest = self.checks.highest(&self.scenario).as_u64();
        self.target = Some(Height::new(highest + HEIGHTS_AFTER));
        for index in 0..self.nodes.len() {
            let machine = &mut self.nodes[index].machine;
            (machine.skew_secs, machine.slowness, machine.crash_in) = (0, 0, None);
            if self.nodes[index].process.is_none() {
                self.push(self.now, index, Event::Boot);
            }
        }
    }

    /// Lets an event happen, unless its node is dead, or busy: then it waits.
    fn happen(&mut self, index: usize, life: Option<u64>, event: Event) -> Result<(), String> {
        let node = &mut self.nodes[index];
        if life.is_some_and(|life| life != node.life) {
            return Ok(());
        }
        if node.busy_until > self.now {
            let at = node.busy_until;
            self.sequence += 1;
            self.queue.insert((at, self.sequence), (index, life, event));
            return Ok(());
        }
        self.trace.note(self.now, index, &event);
        match (&event, node.process.is_some()) {
            (Event::Boot, true) => return Ok(()),
            (Event::Arm(steps), true) => {
                node.machine.crash_in = Some(*steps);
                return Ok(());
            }
            (Event::Boot, false) => {}
            (Event::Request(from, id, _), false) => {
                let (from, id) = (*from, *id);
                self.refuse(index, from, id);
                return Ok(());
            }
            (_, false) => return Ok(()),
            (_, true) => {}
        }
        self.run_process(index, event)
    }

    fn run_process(&mut self, index: usize, event: Event) -> Result<(), String> {
        let Node { machine, process, busy_until, .. } = &mut self.nodes[index];
        *busy_until = self.now + machine.slowness;
        let is_boot = matches!(event, Event::Boot);
        let mut env = Env { now: self.now, rng: &mut self.rng, machine, effects: Vec::new() };
        let result = match process {
            None => Process::boot(&mut env).map(|started| *process = Some(started)),
            Some(process) => process.handle(event, &mut env),
        };
        let effects = env.effects;
        if is_boot && let Some(process) = &self.nodes[index].process {
            self.checks.kept(index, process.chain())?;
        }
        for effect in effects {
            self.apply(index, effect)?;
        }
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Crash) => {
                self.crash(index);
                Ok(())
            }
            // Whoever loses its own files on purpose may fail.
            Err(Stop::Fault(_)) if !self.scenario.is_honest(index) => {
                self.crash(index);
                Ok(())
            }
            Err(Stop::Fault(reason)) => Err(format!("node {index} stopped: {reason}")),
        }
    }

    /// Takes the process and what was not durable, and starts the machine again later.
    fn crash(&mut self, index: usize) {
        self.summary.crashes += 1;
        let faults = &self.scenario.faults;
        let down = self.rng.random_range(0..=faults.down_max);
        let loses_log = self.rng.random_ratio(faults.lost_log_percent, 100);
        let node = &mut self.nodes[index];
        node.process = None;
        node.life += 1;
        node.busy_until = 0;
        node.machine.disk.crash(&mut self.rng);
        if self.adversary.does(index, Behaviour::Forgets) {
            node.machine.disk = Disk::default();
        } else if loses_log {
            node.machine.disk.lose_log();
        }
        self.trace.note(self.now, index, &format_args!("crashes, log lost: {loses_log}"));
        self.push(self.now + down, index, Event::Boot);
    }

    /// Puts an event into the queue.
    pub(crate) fn push(&mut self, at: Micros, index: usize, event: Event) {
        let life = event.is_of_one_life().then_some(self.nodes[index].life);
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (index, life, event));
    }

    fn describe(&self) -> String {
        let describe = |node: &Node| match &node.process {
            Some(process) => process.describe(),
            None => "down".to_owned(),
        };
        let lines = self.nodes.iter().enumerate();
        let word = |index| if self.scenario.is_honest(index) { "" } else { " (byzantine)" };
        lines.map(|(index, node)| format!("  node {index}{}: {}\n", word(index), describe(node))).collect()
    }
}

/// Nothing is ever flushed from the buffers: each table takes a megabyte of address space at its first write.
fn database_config() -> DatabaseConfig {
    DatabaseConfig { block_cache_bytes: 1 << 20, write_buffer_bytes: 1 << 30, open_files_max: 64 }
}

impl Node {
    fn new(index: usize, scenario: &Scenario, fixture: &Arc<Fixture>) -> Result<Self, String> {
        let key: ConsensusKey = fixture.keys.get(index).ok_or("more nodes than keys")?.clone();
        let machine = Machine {
            index,
            nodes: scenario.nodes,
            fixture: Arc::clone(fixture),
            key,
            database: Database::open_in_memory(&database_config()).map_err(|error| error.to_string())?,
            disk: Disk::default(),
            config: ConsensusConfig::default(),
            skew_secs: scenario.faults.skew_secs.get(index).copied().unwrap_or_default(),
            slowness: scenario.faults.slowness.get(index).copied().unwrap_or_default(),
            crash_in: None,
        };
        Ok(Self { machine, process: None, life: 0, busy_until: 0 })
    }
}
