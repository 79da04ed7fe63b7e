//! Evidence on its way to the application: from the core, or from a peer.

use crate::{Application, ApplicationError, ConsensusMetrics};
use heddle_primitives::{EVIDENCE_AGE_MAX, Evidence, Height, SigningContext, ValidatorAddress};
use std::collections::BTreeMap;
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

/// Gives evidence to the application, of each validator only what is newer than before. Clones share what they know.
#[derive(Clone)]
pub(crate) struct Prosecutor {
    pub(crate) context: SigningContext,
    pub(crate) application: Arc<dyn Application>,
    pub(crate) metrics: ConsensusMetrics,
    /// Of which height the last evidence against a validator was that the application has seen: older evidence would not
    /// outlive it.
    pub(crate) accused: Arc<Mutex<BTreeMap<ValidatorAddress, Height>>>,
}

impl Prosecutor {
    /// Beyond so many, the application alone knows who is accused.
    const ACCUSED_MAX: usize = 1_024;

    fn accused(&self) -> std::sync::MutexGuard<'_, BTreeMap<ValidatorAddress, Height>> {
        self.accused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the application has seen evidence as good as this.
    fn is_known(&self, evidence: &Evidence) -> bool {
        self.accused().get(&evidence.validator()).is_some_and(|height| *height >= evidence.height())
    }

    /// Gives evidence whose signatures verify to the application. True when it is new, and peers should hear of it.
    pub(crate) async fn report(&self, evidence: Evidence) -> Result<bool, ApplicationError> {
        let (culprit, height) = (evidence.validator(), evidence.height());
        if self.is_known(&evidence) {
            return Ok(false);
        }
        let new = self.application.report_evidence(evidence.clone()).await?;
        if new {
            self.metrics.evidence.get_or_create(&(&evidence).into()).inc();
            tracing::warn!(validator = %culprit, height = %evidence.height(), "validator signed conflicting messages");
        }
        let mut accused = self.accused();
        if accused.len() < Self::ACCUSED_MAX || accused.contains_key(&culprit) {
            accused.insert(culprit, height);
        }
        Ok(new)
    }

    /// Judges a peer's evidence while `current` is decided. What is of no use costs no signature check.
    pub(crate) async fn judge(&self, evidence: Evidence, current: Height) -> Result<Judgement, ApplicationError> {
        let height = evidence.height();
        let too_old = current.as_u64().saturating_sub(height.as_u64()) > EVIDENCE_AGE_MAX;
        if height > current || too_old || self.is_known(&evidence) {
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
