//! Why consensus stops. All of these are this node's fault; what peers do wrong is a [`crate::MessageFault`].

use crate::config::ConfigError;
use crate::{ApplicationError, SignStateMismatch};
use heddle_primitives::{CertifiedBlockError, Height};
use std::io;

/// Why the pure core cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The sign-state file holds something else: signing on could contradict what was signed before.
    #[error("the sign-state file is not readable: {0}")]
    SignState(alloy_rlp::Error),
    /// The sign-state file says nothing about this key on this chain.
    #[error(
        "the sign state does not fit: {0}; start with the sign state of this key (--sign-state), or import it first"
    )]
    ForeignSignState(SignStateMismatch),
    /// The log holds something that is not a record.
    #[error("record {index} of the consensus log is not readable: {reason}")]
    Record {
        /// Position in the log.
        index: usize,
        /// The RLP rule it breaks.
        reason: alloy_rlp::Error,
    },
    /// Replaying the log gave another message than the one it records as signed.
    #[error("replay of the consensus log diverged: {0}")]
    Replay(String),
    /// The core decided on a certificate that does not verify.
    #[error("decided height {height} on a certificate that does not verify: {reason}")]
    Decision {
        /// The height.
        height: Height,
        /// Why the certificate fails.
        reason: CertifiedBlockError,
    },
    /// Malachite reports a state that cannot be.
    #[error("consensus core: {0}")]
    Internal(String),
}

/// Why the consensus loop ended. The node must stop: it exits non-zero.
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// A configured value is out of range.
    #[error("consensus configuration: {0}")]
    Config(#[from] ConfigError),
    /// The log or the sign-state file could not be written; nothing that depends on it was published.
    #[error("cannot write the consensus log: {0}")]
    Log(#[source] io::Error),
    /// The core cannot go on.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The application failed.
    #[error("{action} at height {height}: {source}")]
    Application {
        /// What it was asked to do.
        action: &'static str,
        /// At which height.
        height: Height,
        /// Its error.
        source: ApplicationError,
    },
    /// A task of the loop panicked or was cancelled by the runtime.
    #[error("a consensus task died: {0}")]
    Task(#[from] tokio::task::JoinError),
    /// The chain's side of the wiring is gone.
    #[error("the chain no longer reports committed blocks")]
    ChainGone,
}
