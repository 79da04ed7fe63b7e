//! The way in for peers' messages.

use crate::allowance::{self, Allowance};
use crate::evidence::{Judgement, Prosecutor};
use crate::future::FutureMessages;
use crate::signer::last_signature_of;
use crate::{Application, ApplicationError, CheckedMessage, ConsensusMetrics, ConsensusSnapshot, MessageFault};
use heddle_primitives::{ConsensusMessage, Evidence, Height, Round, SigningContext, ValidatorAddress, ValidatorSet};
use malachitebft_core_consensus::MAX_FUTURE_ROUND_LOOKAHEAD;
use std::cmp::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::Instant;

/// What gossip should do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Good: pass it on.
    Accept,
    /// Of no use here and nobody's fault: do not pass it on.
    Ignore,
    /// Breaks a rule: do not pass it on, and hold it against who sent it.
    Reject,
}

/// Where consensus is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsensusStatus {
    /// The height that is being decided, or that starts next.
    pub height: Height,
    /// Its round.
    pub round: Round,
}

/// What messages are checked against.
#[derive(Debug)]
pub(crate) struct View {
    /// The height that is being decided, or that starts next.
    pub(crate) height: Height,
    previous: Arc<ValidatorSet>,
    current: Arc<ValidatorSet>,
    next: Arc<ValidatorSet>,
}

impl View {
    /// Asks who decides `height` and its neighbours. Who decides the next is not known before a block that may change
    /// the set: then the present one stands for it, and its messages are checked again when it starts.
    pub(crate) fn of(height: Height, application: &dyn Application) -> Result<Self, ApplicationError> {
        let unknown = || ApplicationError(format!("the validators of height {height} are not known"));
        let current = application.validators(height)?.ok_or_else(unknown)?;
        let neighbour = |height| Ok(application.validators(height)?.unwrap_or_else(|| Arc::clone(&current)));
        let (previous, next) = (height.as_u64().saturating_sub(1).max(1), height.next());
        Ok(Self { height, previous: neighbour(Height::new(previous))?, next: neighbour(next)?, current })
    }

    /// Who decides [`Self::height`].
    pub(crate) fn validators(&self) -> &ValidatorSet {
        &self.current
    }

    pub(crate) fn validators_of(&self, height: Height) -> &ValidatorSet {
        match height.cmp(&self.height) {
            Ordering::Less => &self.previous,
            Ordering::Equal => &self.current,
            Ordering::Greater => &self.next,
        }
    }
}

/// A checked message on its way to the core.
pub(crate) struct Delivery {
    pub(crate) message: CheckedMessage,
    /// Held by a message with a block while it waits.
    _room: Option<OwnedSemaphorePermit>,
}

/// Delivers messages to a running consensus loop. Cheap to clone.
#[derive(Clone)]
pub struct ConsensusHandle {
    pub(crate) context: SigningContext,
    pub(crate) view: watch::Receiver<Arc<View>>,
    pub(crate) status: watch::Receiver<ConsensusStatus>,
    pub(crate) snapshot: watch::Receiver<Option<Arc<ConsensusSnapshot>>>,
    pub(crate) mailbox: mpsc::Sender<Delivery>,
    /// Room for messages with a block.
    pub(crate) proposals: Arc<Semaphore>,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) prosecutor: Prosecutor,
    /// The validator whose key this node has.
    pub(crate) own: Option<ValidatorAddress>,
    /// What may be spent on messages of other heights than the current one.
    pub(crate) strangers: Arc<Mutex<Allowance>>,
    pub(crate) metrics: ConsensusMetrics,
}

impl ConsensusHandle {
    /// Most messages that wait for the core. When it is busy committing a block, gossip fills this first.
    pub(crate) const MAILBOX_MESSAGES_MAX: usize = 2_048;
    /// Most of them that carry a block, of at most 10 MiB each.
    pub(crate) const MAILBOX_PROPOSALS_MAX: usize = 8;

    /// Checks a message and, if it is good and there is room, queues it for the core; evidence goes to the application.
    /// Never waits for the core.
    ///
    /// A fault at another height than the current one is ignored, since that height may have other validators; of such
    /// faults only some a second are looked at.
    pub async fn deliver(&self, message: ConsensusMessage) -> Verdict {
        let view = Arc::clone(&self.view.borrow());
        let height = message.height();
        let message = match message {
            ConsensusMessage::Evidence(evidence) => return self.on_evidence(*evidence, view.height).await,
            message => message,
        };
        if height.next() < view.height {
            return Verdict::Ignore;
        }
        let cost = if height == view.height { Duration::ZERO } else { allowance::cost(&message) };
        if !self.strangers().take(cost, Instant::now()) {
            return self.dropped();
        }
        match self.check(message, Arc::clone(&view)).await {
            Ok(Ok(message)) => {
                self.strangers().give_back(cost);
                self.enqueue(message, view.height)
            }
            Ok(Err(fault)) => {
                tracing::debug!(%fault, %height, "message refused");
                self.metrics.messages_refused.inc();
                if height == view.height { Verdict::Reject } else { Verdict::Ignore }
            }
            // The runtime is shutting down.
            Err(_) => Verdict::Ignore,
        }
    }

    fn strangers(&self) -> MutexGuard<'_, Allowance> {
        // A number is never half changed.
        self.strangers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn on_evidence(&self, evidence: Evidence, current: Height) -> Verdict {
        match self.prosecutor.judge(evidence, current).await {
            Ok(Judgement::New) => Verdict::Accept,
            Ok(Judgement::Useless) => Verdict::Ignore,
            Ok(Judgement::False) => {
                self.metrics.messages_refused.inc();
                Verdict::Reject
            }
            Err(error) => {
                // Whoever decides here will meet the same error, and end the node.
                tracing::error!(%error, "evidence of a peer is lost");
                Verdict::Ignore
            }
        }
    }

    /// One signature is checked in place; many signatures, or the roots of a whole block, on the blocking pool.
    async fn check(
        &self,
        message: ConsensusMessage,
        view: Arc<View>,
    ) -> Result<Result<CheckedMessage, MessageFault>, tokio::task::JoinError> {
        let context = self.context;
        let check = move |message: ConsensusMessage| {
            let validators = view.validators_of(message.height());
            CheckedMessage::check(message, validators, &context)
        };
        match message {
            ConsensusMessage::Vote(_) => Ok(check(message)),
            message => tokio::task::spawn_blocking(move || check(message)).await,
        }
    }

    fn enqueue(&self, message: CheckedMessage, current: Height) -> Verdict {
        let height = message.height();
        if height > current.next() {
            self.application.behind(height);
        }
        let too_far = height.as_u64().saturating_sub(current.as_u64()) > FutureMessages::HEIGHTS_MAX
            || self.is_beyond_lookahead(message.get());
        if too_far && !self.is_signed_by_us(message.get()) {
            return Verdict::Ignore;
        }
        let room = match message.get() {
            ConsensusMessage::Proposal(_) => match Arc::clone(&self.proposals).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return self.dropped(),
            },
            _ => None,
        };
        match self.mailbox.try_send(Delivery { message, _room: room }) {
            Err(_) => self.dropped(),
            // A late message helps its sender, but nobody else; one too far ahead only warns us.
            Ok(()) if height < current || too_far => Verdict::Ignore,
            Ok(()) => Verdict::Accept,
        }
    }

    /// Such a message matters wherever it belongs: it may show that our key signs elsewhere.
    fn is_signed_by_us(&self, message: &ConsensusMessage) -> bool {
        self.own.is_some_and(|own| last_signature_of(own, message, &self.context).is_some())
    }

    /// Whether Malachite would drop the message for its round. Certificates are how a node catches up: they have no
    /// such bound.
    fn is_beyond_lookahead(&self, message: &ConsensusMessage) -> bool {
        let round = match message {
            ConsensusMessage::Vote(signed) => signed.vote.round,
            ConsensusMessage::Proposal(message) => message.proposal.proposal.round,
            _ => return false,
        };
        self.is_round_beyond_lookahead(message.height(), round)
    }

    pub(crate) fn is_round_beyond_lookahead(&self, height: Height, round: Round) -> bool {
        let status = self.status();
        let ahead = round.as_u32().saturating_sub(status.round.as_u32());
        height == status.height && ahead > MAX_FUTURE_ROUND_LOOKAHEAD
    }

    fn dropped(&self) -> Verdict {
        self.metrics.messages_dropped.inc();
        Verdict::Ignore
    }

    /// Where consensus is now.
    pub fn status(&self) -> ConsensusStatus {
        *self.status.borrow()
    }

    /// Who has voted where, for people; `None` before the loop has turned once.
    pub fn snapshot(&self) -> Option<Arc<ConsensusSnapshot>> {
        self.snapshot.borrow().clone()
    }

    /// Follows where consensus is.
    pub fn subscribe(&self) -> watch::Receiver<ConsensusStatus> {
        self.status.clone()
    }
}
