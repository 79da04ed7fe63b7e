//! One node: the machine, which outlives crashes, and the process on it.
//!
//! The process runs the cores of the real node. What the node's shells do around them in tasks is done here in events,
//! in the same order: [`consensus`] for the consensus loop, [`syncing`] for the sync loop, [`application`] for the
//! adapters between them, the chain and the mempool.

mod application;
mod consensus;
mod pause;
mod syncing;
mod view;

use crate::disk::Disk;
use crate::event::{Effect, Event};
use crate::fixture::{Fixture, GENESIS_TIME};
use crate::time::{Micros, SECOND};
use application::Application;
use consensus::Consensus;
use heddle_chain::Chain;
use heddle_consensus::ConsensusConfig;
use heddle_primitives::ConsensusKey;
use heddle_storage::Database;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use syncing::Syncing;

/// Why a process ends.
#[derive(Debug)]
pub enum Stop {
    /// The crash that the world asked for.
    Crash,
    /// An error that would end the real node.
    Fault(String),
}

/// What survives a process.
pub struct Machine {
    /// Which node of the world it is.
    pub index: usize,
    /// How many nodes there are.
    pub nodes: usize,
    /// The chain's genesis and keys.
    pub fixture: Arc<Fixture>,
    /// The key that the process signs with.
    pub key: ConsensusKey,
    /// The chain's database, whose commits are durable.
    pub database: Database,
    /// The consensus log and the sign state.
    pub disk: Disk,
    /// The timeouts of consensus.
    pub config: ConsensusConfig,
    /// By how much its clock is wrong, in seconds.
    pub skew_secs: i64,
    /// How long it is busy with one event.
    pub slowness: Micros,
    /// The process crashes after so many durable or visible steps.
    pub crash_in: Option<u64>,
}

/// What a process sees of the world while it handles one event.
pub struct Env<'a> {
    /// The time.
    pub now: Micros,
    /// The world's randomness.
    pub rng: &'a mut ChaCha8Rng,
    /// The machine.
    pub machine: &'a mut Machine,
    /// What the process has done so far.
    pub effects: Vec<Effect>,
}

impl Env<'_> {
    /// Lets something happen to this process later.
    pub fn after(&mut self, delay: Micros, event: Event) {
        self.effects.push(Effect::After(delay, event));
    }

    /// A duration between two others, longer on a slow machine.
    pub fn work(&mut self, least: Micros, most: Micros) -> Micros {
        self.rng.random_range(least..=most) + 10 * self.machine.slowness
    }

    /// One durable or visible step.
    ///
    /// # Errors
    /// The process crashes before it.
    pub fn step(&mut self) -> Result<(), Stop> {
        match &mut self.machine.crash_in {
            Some(0) => {
                self.machine.crash_in = None;
                Err(Stop::Crash)
            }
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What the machine's clock shows, in seconds since 1970.
    pub fn unix_seconds(&self) -> u64 {
        (GENESIS_TIME + self.now / SECOND).saturating_add_signed(self.machine.skew_secs)
    }
}

/// A running process.
pub struct Process {
    application: Application,
    consensus: Consensus,
    syncing: Syncing,
}

impl Process {
    /// Starts from what is durable.
    ///
    /// # Errors
    /// What is durable cannot be used, or a crash on the way.
    pub fn boot(env: &mut Env<'_>) -> Result<Self, Stop> {
        let application = Application::open(env.machine)?;
        let syncing = Syncing::start(application.head(), env);
        let consensus = Consensus::start(&application, env)?;
        Ok(Self { application, consensus, syncing })
    }

    /// Handles one event.
    ///
    /// # Errors
    /// The process ends.
    pub fn handle(&mut self, event: Event, env: &mut Env<'_>) -> Result<(), Stop> {
        let Self { application, consensus, syncing } = self;
        match event {
            Event::Boot | Event::Arm(_) => {}
            Event::Gossip(_, wire) => consensus.hear(&wire, application, env)?,
            Event::Transactions(batch) => application.receive(&batch),
            Event::Request(from, id, request) => {
                let response = application.answer(&request)?;
                env.effects.push(Effect::Answer(from, id, response));
            }
            Event::Response(from, id, response) => syncing.on_response(from, id, response, application, env),
            Event::Expired(id) => syncing.on_expired(id, application, env),
            Event::Elapsed(timeout, schedule) => consensus.on_elapsed(timeout, schedule, application, env)?,
            Event::Build(height, round, job) => consensus.on_build(height, round, job, application, env)?,
            Event::Validate(judgement, job) => consensus.on_validate(judgement, job, application, env)?,
            Event::Pause => {}
            Event::Tick => syncing.on_tick(application, env),
            Event::Wake => syncing.on_wake(application, env),
            Event::Checked => syncing.on_checked(application, env)?,
            Event::Import => syncing.on_import(application, env)?,
            Event::HeadMoved(head) => consensus.on_committed(head, application, env)?,
        }
        consensus.poll_pause(syncing.catch_up(), application, env)
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        self.application.chain()
    }

    /// The nonce that a user's next transaction needs here.
    pub fn next_nonce(&self, user: alloy_primitives::Address) -> Option<u64> {
        self.application.next_nonce(user)
    }

    /// Where it is, in a few words.
    pub fn describe(&self) -> String {
        format!("head {}, {}", self.application.head(), self.consensus.describe())
    }
}
