//! The loop: feeds the core and carries out its outputs, in order.

use crate::disk::Disk;
use crate::evidence::Prosecutor;
use crate::gate::{CatchUp, Gate};
use crate::handle::{Delivery, View};
use crate::pause::{Pace, Pause};
use crate::record::Record;
use crate::timers::Timers;
use crate::{
    Application, ApplicationError, BlockVerdict, CheckedMessage, ConsensusConfig, ConsensusError, ConsensusHandle,
    ConsensusMetrics, ConsensusStatus, Core, DurableLog, Identity, Input, Outbound, Output, SignState, Timeout,
};
use heddle_primitives::{CertifiedBlock, ConsensusKey, ConsensusMessage, Height, Round, SigningContext};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the log and the sign-state file held when they were opened.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    /// The records of the log, in order.
    pub records: Vec<Vec<u8>>,
    /// Content of the sign-state file; `None` takes the key for one that never signed.
    pub sign_state: Option<Vec<u8>>,
}

/// Who and where this node is.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Timeouts.
    pub config: ConsensusConfig,
    /// What signatures are bound to.
    pub context: SigningContext,
    /// The validator's key, which signs at the heights whose validators it belongs to; `None` follows without signing.
    pub key: Option<ConsensusKey>,
    /// Least time between the starts of two heights.
    pub block_time: Duration,
    /// How long an idle chain waits before an empty block.
    pub empty_block_time: Duration,
    /// The last committed block.
    pub head: Height,
    /// What was on disk.
    pub recovered: Recovered,
}

/// What the loop works with.
pub struct Ports {
    /// The chain and the mempool.
    pub application: Arc<dyn Application>,
    /// The consensus topic.
    pub outbound: Arc<dyn Outbound>,
    /// The log and the sign-state file.
    pub log: Box<dyn DurableLog>,
    /// Height of the head, whoever committed it.
    pub committed: watch::Receiver<Height>,
    /// Where sync sees this node among its peers.
    pub peers: watch::Receiver<CatchUp>,
}

/// Opens what was on disk and returns the handle and the loop; nothing is signed or published before the loop runs, and
/// a validator has caught up with its peers. When the loop ends the node must end; dropping it is a clean stop, since
/// whatever was published is durable.
///
/// # Errors
/// A configured value is out of range, or what was on disk cannot be used.
pub fn start(
    setup: Setup,
    ports: Ports,
    metrics: ConsensusMetrics,
) -> Result<(ConsensusHandle, impl Future<Output = Result<(), ConsensusError>> + Send), ConsensusError> {
    setup.config.check()?;
    let Setup { config, context, key, block_time, empty_block_time, head, recovered } = setup;
    let height = head.next();
    let first = View::of(height, &*ports.application).map_err(failed("cannot tell the validators", height))?;
    let validators = first.validators().clone();
    let of_height = |bytes: &Vec<u8>| Record::decode(bytes).is_ok_and(|record| record.height == height);
    let stale_log = !recovered.records.is_empty() && !recovered.records.iter().any(of_height);
    let own = key.as_ref().map(ConsensusKey::address);
    let alone = validators.validators().len() == 1 && own.is_some_and(|own| validators.get(&own).is_some());
    let identity = Identity { context, key, sign_state: recovered.sign_state };
    let core = Core::listen(identity, head, validators, &recovered.records)?;
    let gate = if own.is_none() || alone { Gate::open() } else { Gate::closed(core.last_signed()) };

    let (mailbox_sender, mailbox) = mpsc::channel(ConsensusHandle::MAILBOX_MESSAGES_MAX);
    let (view_sender, view) = watch::channel(Arc::new(first));
    let (status_sender, status) = watch::channel(ConsensusStatus { height, round: Round::ZERO });
    let prosecutor = Prosecutor {
        context,
        application: Arc::clone(&ports.application),
        metrics: metrics.clone(),
        accused: Arc::default(),
    };
    let handle = ConsensusHandle {
        context,
        view,
        status,
        mailbox: mailbox_sender,
        proposals: Arc::new(Semaphore::new(ConsensusHandle::MAILBOX_PROPOSALS_MAX)),
        application: Arc::clone(&ports.application),
        prosecutor: prosecutor.clone(),
        own,
        metrics: metrics.clone(),
    };
    let now = Instant::now();
    let service = Service {
        config,
        pace: Pace { block_time, empty_block_time },
        core,
        application: ports.application,
        outbound: ports.outbound,
        prosecutor,
        committed: ports.committed,
        peers: ports.peers,
        gate,
        disk: Disk::new(ports.log),
        timers: Timers::default(),
        jobs: JoinSet::new(),
        mailbox,
        view: view_sender,
        status: status_sender,
        born: now,
        started: now,
        decided: None,
        pause: Some(Pause::none(height, now)),
        metrics,
    };
    Ok((handle, service.run(stale_log)))
}

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
    /// A peer's message.
    Received(CheckedMessage),
}

struct Service {
    config: ConsensusConfig,
    pace: Pace,
    core: Core,
    application: Arc<dyn Application>,
    prosecutor: Prosecutor,
    outbound: Arc<dyn Outbound>,
    committed: watch::Receiver<Height>,
    peers: watch::Receiver<CatchUp>,
    /// Holds back the first height.
    gate: Gate,
    disk: Disk,
    timers: Timers,
    /// Blocks being built or validated for the current height; their number is bounded by the core.
    jobs: JoinSet<Result<Option<Input>, ConsensusError>>,
    mailbox: mpsc::Receiver<Delivery>,
    view: watch::Sender<Arc<View>>,
    status: watch::Sender<ConsensusStatus>,
    /// When the loop was made.
    born: Instant,
    /// When the current height started.
    started: Instant,
    /// When the last block was committed here.
    decided: Option<Instant>,
    /// Between two heights: the one to start.
    pause: Option<Pause>,
    metrics: ConsensusMetrics,
}

impl Service {
    async fn run(mut self, stale_log: bool) -> Result<(), ConsensusError> {
        if stale_log {
            self.disk.reset().await?;
        }
        loop {
            let event = self.next_event().await?;
            self.on_event(event).await?;
        }
    }

    /// Our own work comes before peers' messages, so that a flood of them cannot hold it up.
    async fn next_event(&mut self) -> Result<Event, ConsensusError> {
        let Self { committed, jobs, timers, mailbox, pause, application, gate, peers, born, .. } = self;
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
                self.feed(Input::Timeout(timeout)).await
            }
            Event::Start(height) => {
                self.pause = None;
                self.started = Instant::now();
                let validators = self.view.borrow().validators().clone();
                self.feed(Input::StartHeight { height, validators }).await
            }
            Event::Received(message) => {
                if let Some(pause) = &mut self.pause {
                    pause.hear(message.height());
                }
                self.feed(Input::Message(message)).await
            }
        }
    }

    async fn feed(&mut self, input: Input) -> Result<(), ConsensusError> {
        let outputs = self.core.handle(input)?;
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
                }
                Output::ForeignSignature(shown) => {
                    // The bar must outlive a crash, although nothing is published here.
                    self.disk.flush().await?;
                    self.metrics.foreign_signatures.inc();
                    let SignState { height, round, step, .. } = shown;
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
        // The log must be able to repeat the decision until the block itself is durable.
        self.disk.flush().await?;
        self.application.commit(block).await.map_err(failed("cannot commit the decided block", height))?;
        let now = Instant::now();
        self.metrics.blocks_decided.inc();
        if let Some(last) = self.decided.replace(now) {
            self.metrics.block_interval_seconds.observe((now - last).as_secs_f64());
        }
        self.pause(Pause::after(self.started, height.next(), self.pace, now)).await
    }

    /// Sync, or consensus itself, committed a block.
    async fn on_committed(&mut self, head: Height) -> Result<(), ConsensusError> {
        let ours = self.pause.map_or(self.core.height(), |pause| pause.next);
        if head < ours {
            return Ok(());
        }
        // Blocks may follow quickly now: the pause starts again with each.
        self.pause(Pause::after(Instant::now(), head.next(), self.pace, Instant::now())).await?;
        self.feed(Input::Superseded { head }).await
    }

    /// Ends the current height, whose block is committed.
    async fn pause(&mut self, pause: Pause) -> Result<(), ConsensusError> {
        self.jobs = JoinSet::new();
        self.disk.reset().await?;
        let view = View::of(pause.next, &*self.application);
        self.view.send_replace(Arc::new(view.map_err(failed("cannot tell the validators", pause.next))?));
        self.set_status(pause.next, Round::ZERO);
        self.pause = Some(pause);
        Ok(())
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

fn failed(action: &'static str, height: Height) -> impl FnOnce(ApplicationError) -> ConsensusError {
    move |source| ConsensusError::Application { action, height, source }
}
