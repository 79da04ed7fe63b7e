//! The loop: feeds the core and carries out its outputs, in order.

use crate::disk::Disk;
use crate::evidence::Prosecutor;
use crate::gate::{CatchUp, Gate};
use crate::handle::{Delivery, View};
use crate::observer::Observer;
use crate::pause::{Pace, Pause};
use crate::steps::StepClock;
use crate::timers::Timers;
use crate::{
    Application, ApplicationError, BlockVerdict, CheckedMessage, ConsensusConfig, ConsensusError, ConsensusMetrics,
    ConsensusStatus, Core, Heartbeat, Input, Outbound, Output, Present, SignState, Step, Timeout, TimeoutKind,
};
use heddle_primitives::{CertifiedBlock, ConsensusMessage, Height, Round};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// What wakes the loop.
enum Event {
    /// The head moved.
    Committed(Height),
    /// The application answered; `None` when the answer no longer matters.
    Answered(Option<Input>),
    /// A timeout elapsed.
    Elapsed(Timeout),
    /// The pause between two heights is over.
    Start(Height),
    /// Whoever looks is to be shown what changed.
    Show,
    /// A peer's message.
    Received(CheckedMessage),
}

/// The loop's state; [`crate::start`] makes it.
pub(crate) struct Service {
    pub(crate) config: ConsensusConfig,
    pub(crate) pace: Pace,
    pub(crate) core: Core,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) prosecutor: Prosecutor,
    pub(crate) outbound: Arc<dyn Outbound>,
    pub(crate) committed: watch::Receiver<Height>,
    pub(crate) peers: watch::Receiver<CatchUp>,
    /// Holds back the first height.
    pub(crate) gate: Gate,
    pub(crate) disk: Disk,
    pub(crate) timers: Timers,
    /// When the step began that consensus is at.
    pub(crate) steps: StepClock,
    /// Blocks being built or validated for the current height; their number is bounded by the core.
    pub(crate) jobs: JoinSet<Result<Option<Input>, ConsensusError>>,
    pub(crate) mailbox: mpsc::Receiver<Delivery>,
    pub(crate) view: watch::Sender<Arc<View>>,
    pub(crate) status: watch::Sender<ConsensusStatus>,
    /// When the loop was made.
    pub(crate) born: Instant,
    /// When the current height started.
    pub(crate) started: Instant,
    /// Between two heights: the one to start.
    pub(crate) pause: Option<Pause>,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) observer: Observer,
    pub(crate) metrics: ConsensusMetrics,
}

impl Service {
    /// Runs until it cannot go on.
    pub(crate) async fn run(mut self, stale_log: bool) -> Result<(), ConsensusError> {
        if stale_log {
            self.disk.reset().await?;
        }
        let heartbeat = self.heartbeat.clone();
        loop {
            heartbeat.beat();
            // Nothing may happen for long, and the loop turns all the same.
            if let Ok(event) = timeout(Heartbeat::PERIOD, self.next_event()).await {
                self.observer.touch();
                heartbeat.during(self.on_event(event?)).await?;
            }
        }
    }

    /// Our own work comes before peers' messages, so that a flood of them cannot hold it up. Cancel-safe.
    async fn next_event(&mut self) -> Result<Event, ConsensusError> {
        let Self { committed, jobs, timers, mailbox, pause, application, gate, peers, born, observer, .. } = self;
        let pause_over = async {
            match pause {
                None => std::future::pending().await,
                Some(pause) => {
                    gate.opened(*born, peers).await;
                    pause.over(&**application).await;
                    pause.next
                }
            }
        };
        tokio::select! {
            biased;
            changed = committed.changed() => match changed {
                Ok(()) => Ok(Event::Committed(*committed.borrow_and_update())),
                Err(_) => Err(ConsensusError::ChainGone),
            },
            Some(answer) = jobs.join_next() => answer?.map(Event::Answered),
            timeout = timers.elapsed() => Ok(Event::Elapsed(timeout)),
            height = pause_over => Ok(Event::Start(height)),
            () = observer.due() => Ok(Event::Show),
            Some(delivery) = mailbox.recv() => Ok(Event::Received(delivery.message)),
        }
    }

    async fn on_event(&mut self, event: Event) -> Result<(), ConsensusError> {
        match event {
            Event::Committed(height) => self.on_committed(height).await,
            Event::Answered(None) => Ok(()),
            Event::Answered(Some(input)) => self.feed(input).await,
            Event::Elapsed(timeout) => {
                self.metrics.timeouts.get_or_create(&timeout.kind.into()).inc();
                if timeout.kind == TimeoutKind::Propose {
                    let proposer =
                        self.view.borrow().validators().proposer(timeout.height, timeout.round.as_u32()).address;
                    self.metrics.count_missed_proposal(proposer);
                }
                self.feed(Input::Timeout(timeout)).await
            }
            Event::Start(height) => {
                self.pause = None;
                self.started = Instant::now();
                let validators = self.view.borrow().validators().clone();
                self.feed(Input::StartHeight { height, validators }).await
            }
            Event::Show => {
                self.show();
                Ok(())
            }
            Event::Received(message) => {
                self.observer.hear(&message);
                if let Some(pause) = &mut self.pause {
                    pause.hear(message.height());
                }
                self.feed(Input::Message(message)).await
            }
        }
    }

    async fn feed(&mut self, input: Input) -> Result<(), ConsensusError> {
        let outputs = self.core.handle(input)?;
        let (height, round, step) = (self.core.height(), self.core.round(), self.core.step());
        if let Some((step, took)) = self.steps.at(height, round, step, Instant::now()) {
            self.metrics.count_step(step, took);
        }
        self.carry_out(outputs).await
    }

    async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), ConsensusError> {
        for output in outputs {
            match output {
                Output::Log(record) => self.disk.append(record),
                Output::SignState(state) => self.disk.set_sign_state(state),
                Output::Publish(message) => {
                    // Otherwise a crash could forget what peers have seen, and a restart contradict it.
                    self.disk.flush().await?;
                    self.outbound.publish(message).await;
                }
                Output::ScheduleTimeout(timeout) => {
                    self.timers.schedule(timeout, Instant::now() + self.config.duration(timeout));
                }
                Output::CancelTimeout(timeout) => self.timers.cancel(&timeout),
                Output::CancelAllTimeouts => self.timers.clear(),
                Output::RoundStarted { height, round, proposer } => {
                    tracing::debug!(%height, %round, %proposer, "round started");
                    self.set_status(height, round);
                }
                Output::Build { height, round } => self.build(height, round),
                Output::Validate { height, block_hash, block, proposer } => {
                    let application = Arc::clone(&self.application);
                    self.jobs.spawn(async move {
                        let verdict = application.validate(block, *proposer).await;
                        let verdict = verdict.map_err(failed("cannot validate a block", height))?;
                        if let BlockVerdict::Invalid(reason) = &verdict {
                            tracing::warn!(%height, %block_hash, %reason, "proposed block is invalid");
                        }
                        let valid = verdict == BlockVerdict::Valid;
                        Ok((verdict != BlockVerdict::Stale).then_some(Input::Validated { height, block_hash, valid }))
                    });
                }
                Output::Decide(block) => self.commit(*block).await?,
                Output::Behind(height) => self.application.behind(height),
                Output::SignatureRefused(refusal) => {
                    self.metrics.signatures_refused.inc();
                    tracing::error!(%refusal, "signature refused: was the consensus log lost, or the key used elsewhere?");
                    self.observer.refused(refusal.wanted.height, refusal.to_string());
                }
                Output::ForeignSignature(shown) => {
                    // The bar must outlive a crash, although nothing is published here.
                    self.disk.flush().await?;
                    self.metrics.foreign_signatures.inc();
                    let SignState { height, round, step, .. } = shown;
                    self.observer.refused(
                        height,
                        format!("a signature of this key at height {height} round {round} was not given here"),
                    );
                    tracing::error!(%height, %round, ?step, "this key signed elsewhere: nothing is signed at this height. Does another node run with it, or is the sign state an old copy?");
                }
                Output::Evidence(evidence) => {
                    let height = evidence.height();
                    let new = self.prosecutor.report(evidence.clone()).await;
                    if new.map_err(failed("cannot keep evidence", height))? {
                        self.outbound.publish(ConsensusMessage::Evidence(Box::new(evidence))).await;
                    }
                }
            }
        }
        if self.disk.is_full() { self.disk.flush().await } else { Ok(()) }
    }

    fn build(&mut self, height: Height, round: Round) {
        let application = Arc::clone(&self.application);
        self.jobs.spawn(async move {
            let built = application.build(height, round).await.map_err(failed("cannot build a block", height))?;
            Ok(built.map(|block| Input::Built { height, round, block }))
        });
    }

    async fn commit(&mut self, block: CertifiedBlock) -> Result<(), ConsensusError> {
        let height = self.core.height();
        let decided = Instant::now();
        // The log must be able to repeat the decision until the block itself is durable.
        self.disk.flush().await?;
        self.application.commit(block).await.map_err(failed("cannot commit the decided block", height))?;
        let now = Instant::now();
        self.metrics.blocks_decided.inc();
        self.metrics.count_step(Step::Commit, now - decided);
        self.pause(height, Pause::after(self.started, height.next(), self.pace, now)).await
    }

    /// Sync, or consensus itself, committed a block.
    async fn on_committed(&mut self, head: Height) -> Result<(), ConsensusError> {
        let ours = self.pause.map_or(self.core.height(), |pause| pause.next);
        if head < ours {
            return Ok(());
        }
        // Blocks may follow quickly now: the pause starts again with each.
        self.pause(head, Pause::after(Instant::now(), head.next(), self.pace, Instant::now())).await?;
        self.feed(Input::Superseded { head }).await
    }

    /// Ends the current height, whose block is committed.
    async fn pause(&mut self, head: Height, pause: Pause) -> Result<(), ConsensusError> {
        self.jobs = JoinSet::new();
        if !self.core.needs_log(head) {
            self.disk.reset().await?;
        }
        let view =
            View::of(pause.next, &*self.application).map_err(failed("cannot tell the validators", pause.next))?;
        self.metrics.follow(Some(self.view.borrow().validators()), view.validators());
        self.view.send_replace(Arc::new(view));
        self.set_status(pause.next, Round::ZERO);
        self.pause = Some(pause);
        Ok(())
    }

    /// Between two heights the next one is shown, whose round has not begun.
    fn show(&mut self) {
        let view = Arc::clone(&self.view.borrow());
        let present = match self.pause {
            None => self.core.present(),
            Some(Pause { next, .. }) => Present {
                height: next,
                round: Round::ZERO,
                step: if self.gate.is_open() { Step::NewHeight } else { Step::CatchUp },
                proposer: view.validators().proposer(next, 0).address,
                proposal: None,
                votes: BTreeMap::new(),
            },
        };
        self.observer.publish(present, view.validators());
    }

    fn set_status(&self, height: Height, round: Round) {
        if round > Round::ZERO {
            self.metrics.rounds_failed.inc();
        }
        self.metrics.height.set(i64::try_from(height.as_u64()).unwrap_or(i64::MAX));
        self.metrics.round.set(i64::from(round.as_u32()));
        self.status.send_replace(ConsensusStatus { height, round });
    }
}

/// Says what the application was asked to do when it failed.
pub(crate) fn failed(action: &'static str, height: Height) -> impl FnOnce(ApplicationError) -> ConsensusError {
    move |source| ConsensusError::Application { action, height, source }
}
