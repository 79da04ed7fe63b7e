//! A sign state on its way between machines.

use alloy_primitives::B256;
use heddle_consensus::{SignState, SignStateRecord, SignStep};
use heddle_primitives::{Height, Round};
use serde::{Deserialize, Serialize};

/// The one known value of `format`.
const FORMAT: &str = "heddle-sign-state/1";

/// The JSON form; the last four fields are null while the key signed nothing.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignStateExport {
    format: String,
    public_key: B256,
    genesis_hash: B256,
    height: Option<Height>,
    round: Option<Round>,
    step: Option<StepName>,
    digest: Option<B256>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StepName {
    Propose,
    Prevote,
    Precommit,
}

impl From<SignStateRecord> for SignStateExport {
    fn from(record: SignStateRecord) -> Self {
        let step = |step| match step {
            SignStep::Propose => StepName::Propose,
            SignStep::Prevote => StepName::Prevote,
            SignStep::Precommit => StepName::Precommit,
        };
        Self {
            format: FORMAT.into(),
            public_key: record.public_key.into(),
            genesis_hash: record.genesis_hash,
            height: record.last.map(|last| last.height),
            round: record.last.map(|last| last.round),
            step: record.last.map(|last| step(last.step)),
            digest: record.last.map(|last| last.digest),
        }
    }
}

impl SignStateExport {
    /// The record that it is of.
    ///
    /// # Errors
    /// What is none of the form.
    pub fn record(self) -> Result<SignStateRecord, String> {
        if self.format != FORMAT {
            return Err(format!("`format` is not {FORMAT}"));
        }
        let last = match (self.height, self.round, self.step, self.digest) {
            (Some(height), Some(round), Some(step), Some(digest)) => {
                let step = match step {
                    StepName::Propose => SignStep::Propose,
                    StepName::Prevote => SignStep::Prevote,
                    StepName::Precommit => SignStep::Precommit,
                };
                Some(SignState { height, round, step, digest })
            }
            (None, None, None, None) => None,
            _ => return Err("`height`, `round`, `step` and `digest` belong together".into()),
        };
        if last.is_some() && self.genesis_hash.is_zero() {
            return Err("`genesisHash` is zero, but something was signed".into());
        }
        Ok(SignStateRecord { public_key: self.public_key.0, genesis_hash: self.genesis_hash, last })
    }
}
