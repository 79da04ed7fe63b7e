//! The consensus loop: feeds the core and carries out its outputs, in order.

mod hearing;

use super::application::{Application, Verdict};
use super::pause::Pause;
use super::view::View;
use super::{Env, Stop};
use crate::event::{Effect, Event, Judgement};
use crate::time::{MILLISECOND, Micros, SECOND};
use heddle_consensus::{CatchUp, Core, Gate, Identity, Input, Output, Timeout};
use heddle_primitives::{Bug, CertifiedBlock, Height, Round, ValidatorAddress, ValidatorSet, planted};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// The core with what the loop keeps.
pub struct Consensus {
    core: Core,
    gate: Gate,
    /// When the gate was last expected to open.
    gate_opens_at: Option<Duration>,
    view: View,
    own: ValidatorAddress,
    timers: BTreeMap<Timeout, u64>,
    schedules: u64,
    /// Answers to requests of earlier heights no longer matter.
    job: u64,
    born: Micros,
    started: Micros,
    pause: Option<Pause>,
    records: Vec<Vec<u8>>,
    sign_state: Option<Vec<u8>>,
    /// Against whom the chain keeps evidence.
    accused: BTreeSet<ValidatorAddress>,
}

impl Consensus {
    /// Listens until the gate opens; the log is replayed when the first height starts.
    ///
    /// # Errors
    /// What is on disk cannot be used.
    pub fn start(application: &Application, env: &mut Env<'_>) -> Result<Self, Stop> {
        let head = application.head();
        let view = View::of(head.next(), application)?;
        let machine = &mut *env.machine;
        let records = machine.disk.open().map_err(|damage| Stop::Fault(format!("consensus log: {damage:?}")))?;
        let own = machine.key.address();
        let identity = Identity {
            context: machine.fixture.genesis.signing_context(),
            key: Some(machine.key.clone()),
            sign_state: machine.disk.sign_state.clone(),
        };
        let core = Core::listen(identity, head, ValidatorSet::clone(&view.current), &records).map_err(failed)?;
        let alone = view.current.validators().len() == 1 && view.current.get(&own).is_some();
        let gate = if alone { Gate::open() } else { Gate::closed(core.last_signed(), false) };
        env.after(0, Event::Pause);
        Ok(Self {
            core,
            gate,
            gate_opens_at: None,
            own,
            timers: BTreeMap::new(),
            schedules: 0,
            job: 0,
            born: env.now,
            started: env.now,
            pause: Some(Pause::none(view.height, env.now)),
            view,
            records: Vec::new(),
            sign_state: None,
            accused: BTreeSet::new(),
        })
    }

    /// Where it is, in a few words.
    pub fn describe(&self) -> String {
        let (round, height) = (self.core.round(), self.core.height());
        let gate = if self.gate.is_open() { "" } else { ", gate closed" };
        format!("round {round} of height {height}, pause {:?}{gate}", self.pause)
    }

    /// A timeout elapsed, if this is its last schedule.
    pub fn on_elapsed(
        &mut self,
        timeout: Timeout,
        schedule: u64,
        application: &mut Application,
        env: &mut Env<'_>,
    ) -> Result<(), Stop> {
        if self.timers.get(&timeout) != Some(&schedule) {
            return Ok(());
        }
        self.timers.remove(&timeout);
        self.feed(Input::Timeout(timeout), application, env)
    }

    /// Builds a block and feeds it.
    pub fn on_build(
        &mut self,
        height: Height,
        round: Round,
        job: u64,
        application: &mut Application,
        env: &mut Env<'_>,
    ) -> Result<(), Stop> {
        if job != self.job {
            return Ok(());
        }
        match application.build(height, env.unix_seconds())? {
            Some(block) => self.feed(Input::Built { height, round, block }, application, env),
            None => Ok(()),
        }
    }

    /// Judges a block and feeds the verdict, now or when its time has come.
    pub fn on_validate(
        &mut self,
        judgement: Rc<Judgement>,
        job: u64,
        application: &mut Application,
        env: &mut Env<'_>,
    ) -> Result<(), Stop> {
        if job != self.job {
            return Ok(());
        }
        let Judgement { height, block_hash, block, proposer } = &*judgement;
        let (height, block_hash) = (*height, *block_hash);
        let valid = match application.validate(block, proposer, env.unix_seconds())? {
            Verdict::Stale => return Ok(()),
            Verdict::Early(seconds) => {
                env.after(seconds * SECOND, Event::Validate(judgement, job));
                return Ok(());
            }
            Verdict::Valid => true,
            Verdict::Invalid(reason) => {
                env.effects.push(Effect::Note(format!("finds {block_hash} invalid: {reason}")));
                false
            }
        };
        self.feed(Input::Validated { height, block_hash, valid }, application, env)
    }

    /// Sync, or consensus itself, committed a block.
    pub fn on_committed(&mut self, head: Height, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        if head < self.view.height {
            return Ok(());
        }
        let pause = Pause::after(env.now, head.next(), env.machine.fixture.pace(), env.now);
        self.pause(pause, application, env)?;
        self.feed(Input::Superseded { head }, application, env)
    }

    /// Starts the next height when the gate is open and the pause is over.
    pub fn poll_pause(&mut self, peers: CatchUp, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let Some(pause) = self.pause else { return Ok(()) };
        if !self.poll_gate(peers, env) || !pause.is_over(env.now, application.has_transactions()) {
            return Ok(());
        }
        self.pause = None;
        self.started = env.now;
        let validators = ValidatorSet::clone(&self.view.current);
        self.feed(Input::StartHeight { height: pause.next, validators }, application, env)
    }

    /// Whether the gate is open; if not, this is asked again when it may be.
    fn poll_gate(&mut self, peers: CatchUp, env: &mut Env<'_>) -> bool {
        if self.gate.is_open() {
            return true;
        }
        let now = Duration::from_micros(env.now - self.born);
        self.gate.observe(now, peers);
        let opens_at = self.gate.opens_at();
        if let Some(at) = opens_at.filter(|_| opens_at != self.gate_opens_at) {
            env.after(at.saturating_sub(now).as_micros() as Micros, Event::Pause);
        }
        self.gate_opens_at = opens_at;
        self.gate.is_open()
    }

    fn feed(&mut self, input: Input, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let outputs = self.core.handle(input).map_err(failed)?;
        self.carry_out(outputs, application, env)
    }

    fn carry_out(
        &mut self,
        outputs: Vec<Output>,
        application: &mut Application,
        env: &mut Env<'_>,
    ) -> Result<(), Stop> {
        for output in outputs {
            match output {
                Output::Log(record) => self.records.push(record),
                Output::SignState(state) => self.sign_state = Some(state),
                Output::Publish(message) => {
                    if !planted(Bug::PublishBeforeFlush) {
                        self.flush(env)?;
                    }
                    env.step()?;
                    env.effects.push(Effect::Publish(Box::new(message)));
                }
                Output::Decide(block) => self.commit(*block, application, env)?,
                Output::ForeignSignature(shown) => {
                    self.flush(env)?;
                    let text = format!("met a signature of its own that it does not know: {shown:?}");
                    env.effects.push(Effect::Note(text));
                }
                Output::Evidence(evidence) => self.report(evidence, application, env)?,
                output => self.carry_out_volatile(output, env),
            }
        }
        Ok(())
    }

    /// Outputs that leave nothing on disk.
    fn carry_out_volatile(&mut self, output: Output, env: &mut Env<'_>) {
        match output {
            Output::ScheduleTimeout(timeout) => {
                self.schedules += 1;
                self.timers.insert(timeout, self.schedules);
                let delay = env.machine.config.duration(timeout).as_micros() as Micros;
                env.after(delay, Event::Elapsed(timeout, self.schedules));
            }
            Output::CancelTimeout(timeout) => _ = self.timers.remove(&timeout),
            Output::CancelAllTimeouts => self.timers.clear(),
            Output::RoundStarted { height, round, .. } => env.effects.push(Effect::Round(height, round)),
            Output::Build { height, round } => {
                let delay = env.work(MILLISECOND, 20 * MILLISECOND);
                env.after(delay, Event::Build(height, round, self.job));
            }
            Output::Validate { height, block_hash, block, proposer } => {
                let delay = env.work(MILLISECOND, 20 * MILLISECOND);
                let judgement = Judgement { height, block_hash, block, proposer: *proposer };
                env.after(delay, Event::Validate(Rc::new(judgement), self.job));
            }
            Output::Behind(_) => env.after(0, Event::Wake),
            Output::SignatureRefused(refusal) => {
                env.effects.push(Effect::Refused);
                env.effects.push(Effect::Note(refusal.to_string()));
            }
            _ => {}
        }
    }

    /// Makes everything durable that was noted: first the log, then the sign state.
    fn flush(&mut self, env: &mut Env<'_>) -> Result<(), Stop> {
        if !self.records.is_empty() {
            env.step()?;
            env.machine.disk.write(&std::mem::take(&mut self.records));
            env.step()?;
            env.machine.disk.sync();
        }
        if let Some(state) = self.sign_state.take() {
            env.step()?;
            env.machine.disk.sign_state = Some(state);
        }
        Ok(())
    }

    fn reset_log(&mut self, env: &mut Env<'_>) -> Result<(), Stop> {
        self.records.clear();
        self.flush(env)?;
        env.step()?;
        env.machine.disk.reset();
        Ok(())
    }

    fn commit(&mut self, block: CertifiedBlock, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let height = self.core.height();
        self.flush(env)?;
        env.step()?;
        application.commit(&block).map_err(|error| Stop::Fault(format!("cannot commit block {height}: {error}")))?;
        env.effects.push(Effect::Committed(Box::new(block)));
        let pause = Pause::after(self.started, height.next(), env.machine.fixture.pace(), env.now);
        self.pause(pause, application, env)
    }

    /// Ends the current height, whose block is committed.
    fn pause(&mut self, pause: Pause, application: &Application, env: &mut Env<'_>) -> Result<(), Stop> {
        self.job += 1;
        if !self.core.needs_log(application.head()) {
            self.reset_log(env)?;
        }
        self.view = View::of(pause.next, application)?;
        self.pause = Some(pause);
        for at in [pause.earliest, pause.latest] {
            env.after(at - env.now, Event::Pause);
        }
        Ok(())
    }
}

fn failed(error: heddle_consensus::CoreError) -> Stop {
    Stop::Fault(format!("consensus core: {error}"))
}
