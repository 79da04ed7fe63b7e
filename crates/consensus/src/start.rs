//! Puts the loop together.

use crate::allowance::Allowance;
use crate::disk::Disk;
use crate::evidence::Prosecutor;
use crate::gate::{CatchUp, Gate};
use crate::handle::View;
use crate::observer::Observer;
use crate::pause::{Pace, Pause};
use crate::service::{Service, failed};
use crate::steps::StepClock;
use crate::timers::Timers;
use crate::{
    Application, ConsensusConfig, ConsensusError, ConsensusHandle, ConsensusMetrics, ConsensusStatus, Core, DurableLog,
    Heartbeat, Identity, Outbound,
};
use heddle_primitives::{ConsensusKey, Height, Round, SigningContext};
use std::sync::{Arc, Mutex};
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
    /// The sign state was made anew for a key that may have signed before.
    pub is_forgetful: bool,
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
    /// Beats while the loop runs.
    pub heartbeat: Heartbeat,
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
    metrics.follow(None, &validators);
    let own = key.as_ref().map(ConsensusKey::address);
    let alone = validators.validators().len() == 1 && own.is_some_and(|own| validators.get(&own).is_some());
    let identity = Identity { context, key, sign_state: recovered.sign_state };
    let core = Core::listen(identity, head, validators, &recovered.records)?;
    let stale_log = !recovered.records.is_empty() && !core.needs_log(head);
    let gate =
        if own.is_none() || alone { Gate::open() } else { Gate::closed(core.last_signed(), recovered.is_forgetful) };

    let (mailbox_sender, mailbox) = mpsc::channel(ConsensusHandle::MAILBOX_MESSAGES_MAX);
    let (view_sender, view) = watch::channel(Arc::new(first));
    let (status_sender, status) = watch::channel(ConsensusStatus { height, round: Round::ZERO });
    let prosecutor = Prosecutor {
        context,
        application: Arc::clone(&ports.application),
        metrics: metrics.clone(),
        accused: Arc::default(),
    };
    let now = Instant::now();
    let (observer, snapshot) = Observer::new(own, now);
    let handle = ConsensusHandle {
        context,
        view,
        status,
        snapshot,
        mailbox: mailbox_sender,
        proposals: Arc::new(Semaphore::new(ConsensusHandle::MAILBOX_PROPOSALS_MAX)),
        application: Arc::clone(&ports.application),
        prosecutor: prosecutor.clone(),
        own,
        strangers: Arc::new(Mutex::new(Allowance::new(now))),
        metrics: metrics.clone(),
    };
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
        disk: Disk::new(ports.log, metrics.clone()),
        timers: Timers::default(),
        steps: StepClock::default(),
        jobs: JoinSet::new(),
        mailbox,
        view: view_sender,
        status: status_sender,
        born: now,
        started: now,
        pause: Some(Pause::none(height, now)),
        heartbeat: ports.heartbeat,
        observer,
        metrics,
    };
    Ok((handle, service.run(stale_log)))
}
