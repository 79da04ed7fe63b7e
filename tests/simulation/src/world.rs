//! A world: nodes, the network between them, and one queue of what happens next.

mod byzantine;
mod effects;
mod load;
mod machines;
mod membership;

use crate::byzantine::Adversary;
use crate::checks::{Checks, Referee};
use crate::event::Event;
use crate::figures::Traffic;
use crate::fixture::Fixture;
use crate::network::Network;
use crate::node::{Env, Process, Stop};
use crate::scenario::Scenario;
use crate::time::{Micros, SECOND};
use crate::trace::Trace;
use alloy_primitives::B256;
use heddle_primitives::Height;
use machines::{Node, database_config};
use membership::Progress;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long that may take.
const TIME_AFTER: Micros = 180 * SECOND;
/// How soon the next block must come where nobody is Byzantine.
const RESUME_WITHIN: Micros = 20 * SECOND;

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
    /// When the first block after the faults was committed, counted from their end.
    pub resumed_after: Micros,
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
    pub(crate) network: Network,
    pub(crate) rng: ChaCha8Rng,
    pub(crate) nodes: Vec<Node>,
    /// By time, then by order of sending; with the node and the life that it is for.
    queue: BTreeMap<(Micros, u64), (usize, Option<u64>, Event)>,
    now: Micros,
    sequence: u64,
    checks: Checks,
    referee: Referee,
    progress: Progress,
    pub(crate) traffic: Traffic,
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
        let fixture = Fixture::of(scenario.shape());
        let mut rng = ChaCha8Rng::seed_from_u64(scenario.seed);
        rng.set_stream(1);
        let node = |index| Node::new(index, &scenario, &fixture);
        let nodes = (0..scenario.nodes).map(node).collect::<Result<_, _>>()?;
        let skew_secs = scenario.faults.skew_secs.iter().map(|skew| skew.unsigned_abs()).max().unwrap_or_default();
        let referee = Referee::new(&fixture, &database_config(), skew_secs)?;
        let adversary = Adversary::new(Arc::clone(&fixture), scenario.nodes, scenario.byzantine.clone());
        Ok(Self {
            network: Network::new(scenario.delays, scenario.nodes, &mut rng),
            scenario,
            fixture,
            rng,
            nodes,
            queue: BTreeMap::new(),
            now: 0,
            sequence: 0,
            checks: Checks::default(),
            referee,
            progress: Progress::default(),
            traffic: Traffic::default(),
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

    pub(crate) fn run_to_end(&mut self) -> Result<(), String> {
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
            self.pursue_plan();
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
        let all_honest = self.scenario.byzantine.is_empty();
        if all_honest && self.summary.resumed_after == 0 && self.now > self.scenario.heal_at + RESUME_WITHIN {
            return Err(format!("no block within {} s of the end of all faults", RESUME_WITHIN / SECOND));
        }
        let late = |index: &usize| self.scenario.is_honest(*index) && self.checks.head(*index) < target;
        let late = (0..self.nodes.len()).find(late);
        if late.is_none() && self.is_plan_done() {
            return Ok(true);
        }
        if self.now > self.scenario.heal_at + TIME_AFTER {
            let seconds = TIME_AFTER / SECOND;
            let what = match late {
                Some(late) => format!("node {late} is below height {target}"),
                None => format!("the plan {} is not done", self.scenario.plan),
            };
            return Err(format!("{what} {seconds} s after the faults stopped"));
        }
        Ok(false)
    }

    /// Lets an event happen, unless its node is dead, or busy: then it waits.
    fn happen(&mut self, index: usize, life: Option<u64>, event: Event) -> Result<(), String> {
        if let Event::Gossip(source, wire) = &event
            && self.network.is_mesh()
            && self.nodes[index].process.is_some()
            && !self.forward(index, *source, wire)
        {
            return Ok(());
        }
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
            (Event::Boot, _) if self.progress.absent == Some(index) => return Ok(()),
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
