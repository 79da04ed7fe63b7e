//! How it can end, and whose fault it is.

use alloy_primitives::B256;
use heddle_primitives::Height;

/// What a peer sent that an honest one does not send.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum StateFault {
    /// An offer of a state after a block that is not the final one of that height.
    #[error("offered the state after block {height} with hash {offered}, the final one is {hash}")]
    ForgedOffer {
        /// The height.
        height: Height,
        /// The hash that the peer offered.
        offered: B256,
        /// The final block's hash.
        hash: B256,
    },
    /// A header, certificate or end of an epoch that does not verify.
    #[error("sent what is not of this chain: {0}")]
    InvalidHeader(String),
    /// A piece that is not one of the state.
    #[error("sent what is not of the state: {0}")]
    InvalidPiece(String),
}

/// Why the chain that the peers follow is refused.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CheckpointError {
    /// The validators decided another block at the checkpoint's height.
    #[error("the chain has block {hash} at the checkpoint's height {height}, not {expected}")]
    Contradicted {
        /// The checkpoint's height.
        height: Height,
        /// The final block's hash.
        hash: B256,
        /// The checkpoint's.
        expected: B256,
    },
    /// Validators of a time so long ago may have left, and lose nothing by signing another chain.
    #[error(
        "the checkpoint {height} is of {timestamp} (Unix time), which is before the trusting period began at {not_before}; \
         choose a newer one"
    )]
    TooOld {
        /// The checkpoint's height.
        height: Height,
        /// Its block's timestamp, in Unix seconds.
        timestamp: u64,
        /// The earliest that is trusted.
        not_before: u64,
    },
}

/// How fetching a state ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The chain starts after this height now.
    Synced(Height),
    /// Nobody has a state to offer: the blocks lead to the head.
    NoSnapshots,
    /// The chain is not the one that the operator wants. Nothing of it was adopted.
    Refused(CheckpointError),
}
