//! Evidence on its way to the application: from the core, or from a peer.

use crate::{Application, ApplicationError, ConsensusMetrics};
use heddle_primitives::{EVIDENCE_AGE_MAX, Evidence, Height, SigningContext, ValidatorAddress};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a peer's evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// It proves something, and was not known.
    New,
    /// Nothing is to be done about it.
    Useless,
    /// It proves nothing.
    False,
}

/// Gives evidence to the application, one piece a validator: the first that it keeps ends in a block. Clones share
/// what they know.
#[derive(Clone)]
pub(crate) struct Prosecutor {
    pub(crate) context: SigningContext,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) metrics: ConsensusMetrics,
    /// Against whom the application has evidence, or wants none.
    pub(crate) accused: Arc<Mutex<BTreeSet<ValidatorAddress>>>,
}

impl Prosecutor {
    /// Beyond so many, the application alone knows who is accused.
    const ACCUSED_MAX: usize = 1_024;

    fn accused(&self) -> std::sync::MutexGuard<'_, BTreeSet<ValidatorAddress>> {
        self.accused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives evidence whose signatures verify to the application. True when it is new, and peers should hear of it.
    pub(crate) async fn report(&self, evidence: Evidence) -> Result<bool, ApplicationError> {
        let culprit = evidence.validator();
        if self.accused().contains(&culprit) {
            return Ok(false);
        }
        let new = self.application.report_evidence(evidence.clone()).await?;
        if new {
            self.metrics.evidence.get_or_create(&(&evidence).into()).inc();
            tracing::warn!(validator = %culprit, height = %evidence.height(), "validator signed conflicting messages");
        }
        let mut accused = self.accused();
        if accused.len() < Self::ACCUSED_MAX {
            accused.insert(culprit);
        }
        Ok(new)
    }

    /// Judges a peer's evidence while `current` is decided. What is of no use costs no signature check.
    pub(crate) async fn judge(&self, evidence: Evidence, current: Height) -> Result<Judgement, ApplicationError> {
        let (height, culprit) = (evidence.height(), evidence.validator());
        let too_old = current.as_u64().saturating_sub(height.as_u64()) > EVIDENCE_AGE_MAX;
        if height > current || too_old || self.accused().contains(&culprit) {
            return Ok(Judgement::Useless);
        }
        match self.proves(&evidence).await? {
            None => Ok(Judgement::Useless),
            Some(false) => Ok(Judgement::False),
            Some(true) => Ok(if self.report(evidence).await? { Judgement::New } else { Judgement::Useless }),
        }
    }

    /// Whether the evidence convicts a validator of its height; `None` when those are not known. An old height may be
    /// read from disk, so this runs on the blocking pool.
    async fn proves(&self, evidence: &Evidence) -> Result<Option<bool>, ApplicationError> {
        let (application, evidence, context) = (Arc::clone(&self.application), evidence.clone(), self.context);
        let verify = move || {
            let validators = application.validators(evidence.height())?;
            Ok(validators.map(|validators| evidence.verify(&validators, &context).is_ok()))
        };
        tokio::task::spawn_blocking(verify).await.map_err(|error| ApplicationError(error.to_string()))?
    }
}
