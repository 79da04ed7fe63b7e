//! The consensus loop: feeds the core and carries out its outputs, in order.

use super::application::{Application, Verdict};
use super::pause::Pause;
use super::{Env, Stop};
use crate::event::{Effect, Event, Judgement, Wire};
use crate::time::{MILLISECOND, Micros, SECOND};
use heddle_consensus::{Core, Identity, Input, Output, Timeout};
use heddle_primitives::{CertifiedBlock, Height, Round, ValidatorSet};
use std::collections::BTreeMap;
use std::rc::Rc;

/// How many heights ahead messages are given to the core.
const HEIGHTS_AHEAD_MAX: u64 = 2;

/// The core with what the loop keeps.
pub struct Consensus {
    core: Core,
    validators: ValidatorSet,
    /// The outputs of the start, until they are carried out.
    first: Vec<Output>,
    timers: BTreeMap<Timeout, u64>,
    schedules: u64,
    /// Answers to requests of earlier heights no longer matter.
    job: u64,
    started: Micros,
    pause: Option<Pause>,
    records: Vec<Vec<u8>>,
    sign_state: Option<Vec<u8>>,
}

impl Consensus {
    /// Replays the log.
    ///
    /// # Errors
    /// What is on disk cannot be used.
    pub fn start(application: &Application, env: &mut Env<'_>) -> Result<Self, Stop> {
        let height = application.head().next();
        let validators = application.validators(height)?;
        let machine = &mut *env.machine;
        let records = machine.disk.open().map_err(|damage| Stop::Fault(format!("consensus log: {damage:?}")))?;
        let identity = Identity {
            context: machine.fixture.genesis.signing_context(),
            key: Some(machine.key.clone()),
            sign_state: machine.disk.sign_state.clone(),
        };
        let (core, first) = Core::start(identity, height, validators.clone(), &records).map_err(failed)?;
        Ok(Self {
            core,
            validators,
            first,
            timers: BTreeMap::new(),
            schedules: 0,
            job: 0,
            started: env.now,
            pause: None,
            records: Vec::new(),
            sign_state: None,
        })
    }

    /// Carries out what the start gave.
    ///
    /// # Errors
    /// The process ends.
    pub fn begin(&mut self, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let first = std::mem::take(&mut self.first);
        self.carry_out(first, application, env)
    }

    /// The height that is being decided, or starts next.
    fn view(&self) -> Height {
        self.pause.map_or(self.core.height(), |pause| pause.next)
    }

    /// Where it is, in a few words.
    pub fn describe(&self) -> String {
        format!("round {} of height {}, pause {:?}", self.core.round(), self.core.height(), self.pause)
    }

    /// Takes in a peer's message, as the handle and the loop do.
    pub fn hear(&mut self, wire: &Wire, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let (height, view) = (wire.message.height(), self.view());
        if height.next() < view {
            return Ok(());
        }
        let message = match wire.check(&self.validators, &env.machine.fixture.genesis.signing_context()) {
            Ok(message) => message,
            Err(fault) => {
                env.effects.push(Effect::Note(format!("refuses it: {fault}")));
                return Ok(());
            }
        };
        if height > view.next() {
            env.after(0, Event::Wake);
        }
        if height.as_u64().saturating_sub(view.as_u64()) > HEIGHTS_AHEAD_MAX {
            return Ok(());
        }
        if let Some(pause) = &mut self.pause {
            pause.heard |= height >= pause.next;
        }
        self.feed(Input::Message(message), application, env)
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
        if head < self.view() {
            return Ok(());
        }
        let pause = Pause::after(env.now, head.next(), env.machine.fixture.pace(), env.now);
        self.pause(pause, application, env)?;
        self.feed(Input::Superseded { head }, application, env)
    }

    /// Starts the next height when the pause is over.
    pub fn poll_pause(&mut self, application: &mut Application, env: &mut Env<'_>) -> Result<(), Stop> {
        let Some(pause) = self.pause.filter(|pause| pause.is_over(env.now, application.has_transactions())) else {
            return Ok(());
        };
        self.pause = None;
        self.started = env.now;
        let input = Input::StartHeight { height: pause.next, validators: self.validators.clone() };
        self.feed(input, application, env)
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
                    self.flush(env)?;
                    env.step()?;
                    env.effects.push(Effect::Publish(Box::new(message)));
                }
                Output::Decide(block) => self.commit(*block, application, env)?,
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
            Output::ForeignSignature(shown) => {
                let (height, round) = (shown.height, shown.round);
                env.effects.push(Effect::Note(format!("met its own key's signature at {height}/{round}")));
            }
            Output::Evidence(evidence) => {
                let (validator, height) = (evidence.validator(), evidence.height());
                env.effects.push(Effect::Note(format!("saw {validator} contradict itself at {height}")));
            }
            Output::Log(_) | Output::SignState(_) | Output::Publish(_) | Output::Decide(_) => {}
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
        self.reset_log(env)?;
        self.validators = application.validators(pause.next)?;
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
