//! Why the server does not start ([`RpcError`]), and why a call has no result ([`MethodError`], in go-ethereum's
//! codes and words).

use alloy_primitives::{Bytes, TxHash, U256};
use alloy_sol_types::{Panic, Revert, SolError};
use heddle_chain::{CallError, ChainError, Fault, SimulationError, TraceError, TransactionError};
use heddle_mempool::PoolError;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, error};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Why the server does not start. The operator's fault, except [`RpcError::Methods`].
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Another process has the port, or the address is not this machine's.
    #[error("JSON-RPC cannot listen on {address}: {source}")]
    Bind {
        /// Address and port.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Not an origin.
    #[error("CORS origin `{0}` is not valid, expected `*` or for example `https://example.org`")]
    CorsOrigin(String),
    /// Not a host.
    #[error("accepted host `{0}` is not valid, expected a name without a port, for example `node.example.org`, or `*`")]
    Host(String),
    /// The socket's file cannot be made.
    #[error("JSON-RPC cannot listen on the Unix socket {}: {source}", path.display())]
    Ipc {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `admin` on the open port.
    #[error(
        "the namespace `admin` is not served on the open port, where everybody who reaches it could use it: it is served with a token (--authrpc) and over the Unix socket (--ipcpath)"
    )]
    AdminInTheOpen,
    /// The system gives no threads.
    #[error("JSON-RPC cannot start its threads: {0}")]
    Threads(io::Error),
    /// The server failed while it started: our fault.
    #[error("JSON-RPC did not start: {0}")]
    Failed(#[from] tokio::task::JoinError),
    /// Two methods of one name: our fault.
    #[error("JSON-RPC methods: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MethodError {
    /// The arguments are malformed: the caller's fault (-32602).
    #[error("{0}")]
    InvalidParams(String),
    /// The arguments are well-formed and cannot be served: the caller's fault (-32000).
    #[error("{0}")]
    Rejected(String),
    /// More calls wait than may: nobody's fault (-32005).
    #[error("server is busy, try again")]
    Busy,
    /// The caller asks for more than one answer may hold, or than the server keeps (-32005).
    #[error("{0}")]
    LimitExceeded(String),
    /// The answer would be longer than one may be (-32008).
    #[error("Response is too big")]
    ResponseTooBig,
    /// The request names more than one may: the caller's fault, in the code that go-ethereum has for it (-38026).
    #[error("{0}")]
    TooManyItems(String),
    /// EIP-7966: the transaction was taken, and no block had it in time (4, with its hash).
    #[error("The transaction was added to the mempool but wasn't processed in {milliseconds} ms")]
    NotMinedInTime {
        /// The transaction.
        hash: TxHash,
        /// How long was waited.
        milliseconds: u64,
    },
    /// EIP-7966: the transaction was taken, and waits for others or for funds (5, with its hash).
    #[error("The transaction was added to the mempool but cannot be processed: {reason}")]
    NotReady {
        /// The transaction.
        hash: TxHash,
        /// What it waits for.
        reason: String,
    },
    /// No subscription of this name: the caller's fault (-32601).
    #[error("no \"{0}\" subscription in eth namespace")]
    UnknownSubscription(String),
    /// The EVM reverted: the called contract's decision (3, with the revert data).
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// Blocks that cannot be simulated: the caller's fault, with the codes that `eth_simulateV1` has for each reason.
    #[error("{1}")]
    Simulation(i32, String),
    /// The node failed: ours (-32603). The cause goes to the log, not to the caller.
    #[error("internal error")]
    Internal(String),
}

impl MethodError {
    const REVERTED_CODE: i32 = 3;
    const REJECTED_CODE: i32 = -32000;
    /// EIP-1474's "limit exceeded".
    const LIMIT_EXCEEDED_CODE: i32 = -32005;
    const TOO_MANY_ITEMS_CODE: i32 = -38026;
    const NOT_MINED_IN_TIME_CODE: i32 = 4;
    const NOT_READY_CODE: i32 = 5;

    /// Its JSON-RPC code.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => error::INVALID_PARAMS_CODE,
            Self::Rejected(_) => Self::REJECTED_CODE,
            Self::Busy | Self::LimitExceeded(_) => Self::LIMIT_EXCEEDED_CODE,
            Self::ResponseTooBig => error::OVERSIZED_RESPONSE_CODE,
            Self::TooManyItems(_) => Self::TOO_MANY_ITEMS_CODE,
            Self::NotMinedInTime { .. } => Self::NOT_MINED_IN_TIME_CODE,
            Self::NotReady { .. } => Self::NOT_READY_CODE,
            Self::UnknownSubscription(_) => error::METHOD_NOT_FOUND_CODE,
            Self::Reverted(_) => Self::REVERTED_CODE,
            Self::Simulation(code, _) => *code,
            Self::Internal(_) => error::INTERNAL_ERROR_CODE,
        }
    }
}

/// Too many calls of one address.
pub(crate) fn rate_limited(wait: Duration) -> ErrorObjectOwned {
    let message = format!("too many requests, try again in {} s", wait.as_secs() + 1);
    ErrorObjectOwned::owned(MethodError::LIMIT_EXCEEDED_CODE, message, None::<()>)
}

impl From<MethodError> for ErrorObjectOwned {
    fn from(error: MethodError) -> Self {
        let data = match &error {
            MethodError::Reverted(output) => Some(output.clone()),
            MethodError::NotMinedInTime { hash, .. } | MethodError::NotReady { hash, .. } => {
                Some(Bytes::copy_from_slice(hash.as_slice()))
            }
            MethodError::Internal(cause) => {
                tracing::error!(%cause, "JSON-RPC call failed");
                None
            }
            _ => None,
        };
        Self::owned(error.code(), error.to_string(), data)
    }
}

impl From<ChainError> for MethodError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Call(error) => error.into(),
            ChainError::Trace(error) => error.into(),
            ChainError::Simulation(error) => error.into(),
            ChainError::LogRange { from, to, .. } if from <= to => Self::LimitExceeded(error.to_string()),
            error if error.logs_ended_at().is_some() => Self::LimitExceeded(error.to_string()),
            error if error.fault() == Fault::Ours => Self::Internal(error.to_string()),
            error => Self::Rejected(error.to_string()),
        }
    }
}

impl From<CallError> for MethodError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Reverted(output) => Self::Reverted(output),
            CallError::State(_) | CallError::Internal(_) => Self::Internal(error.to_string()),
            error => Self::Rejected(error.to_string()),
        }
    }
}

impl From<TraceError> for MethodError {
    fn from(error: TraceError) -> Self {
        match error {
            TraceError::TooLarge(_) => Self::LimitExceeded(error.to_string()),
            TraceError::Timeout(_) | TraceError::Tracer(_) => Self::Rejected(error.to_string()),
            TraceError::Call(error) => error.into(),
            TraceError::Execution(_) | TraceError::Internal(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<SimulationError> for MethodError {
    fn from(error: SimulationError) -> Self {
        let code = match &error {
            SimulationError::Call(error) => return error.clone().into(),
            SimulationError::BlockNumber { .. } => -38020,
            SimulationError::BlockTimestamp { .. } => -38021,
            SimulationError::TooManyBlocks => -38026,
            SimulationError::BlockGas { .. } => -38015,
            SimulationError::Transaction { error, .. } => transaction_code(error),
        };
        Self::Simulation(code, error.to_string())
    }
}

/// The code that `eth_simulateV1` has for the rule that a transaction breaks.
fn transaction_code(error: &TransactionError) -> i32 {
    match error {
        TransactionError::NonceTooLow { .. } => -38010,
        TransactionError::NonceTooHigh { .. } => -38011,
        // It has none of its own, and go-ethereum gives it this one.
        TransactionError::NonceOverflow => error::INTERNAL_ERROR_CODE,
        TransactionError::BaseFee { .. } => -38012,
        TransactionError::IntrinsicGas { .. } | TransactionError::FloorGas { .. } => -38013,
        TransactionError::Funds { .. } | TransactionError::CostOverflow => -38014,
        TransactionError::BlockGas { .. } => -38015,
        TransactionError::SenderCode => -38024,
        TransactionError::InitCodeSize { .. } => -38025,
        _ => error::INVALID_PARAMS_CODE,
    }
}

impl From<PoolError> for MethodError {
    fn from(error: PoolError) -> Self {
        match error.fault() {
            heddle_mempool::Fault::Ours => Self::Internal(error.to_string()),
            heddle_mempool::Fault::Peer | heddle_mempool::Fault::Caller => Self::Rejected(error.to_string()),
        }
    }
}

/// `execution reverted`, with the reason when the data is Solidity's `Error(string)` or `Panic(uint256)`.
pub(crate) fn revert_message(output: &[u8]) -> String {
    let reason = if let Ok(revert) = Revert::abi_decode(output) {
        revert.reason
    } else if let Ok(panic) = Panic::abi_decode(output) {
        panic_reason(panic.code)
    } else {
        return "execution reverted".to_owned();
    };
    format!("execution reverted: {reason}")
}

/// go-ethereum's words for Solidity's panic codes.
fn panic_reason(code: U256) -> String {
    let reason = match u64::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}"),
    };
    reason.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reverts_carry_code_reason_and_data() {
        let output = Bytes::from(Revert::from("not the owner").abi_encode());
        let error = ErrorObjectOwned::from(MethodError::Reverted(output.clone()));
        assert_eq!((error.code(), error.message()), (3, "execution reverted: not the owner"));
        assert_eq!(error.data().unwrap().get(), format!("\"{output}\""));

        let message = |output: Vec<u8>| MethodError::Reverted(output.into()).to_string();
        let panic = |code: u64| message(Panic { code: U256::from(code) }.abi_encode());
        assert_eq!(panic(0x11), "execution reverted: arithmetic underflow or overflow");
        assert_eq!(panic(0x99), "execution reverted: unknown panic code: 0x99");
        assert_eq!(message(vec![]), "execution reverted");
        assert_eq!(message(vec![0x08, 0xc3, 0x79, 0xa0, 1]), "execution reverted");
    }

    #[test]
    fn a_busy_server_says_so_with_a_code_of_its_own() {
        let error = ErrorObjectOwned::from(MethodError::Busy);
        assert_eq!((error.code(), error.message()), (-32005, "server is busy, try again"));
    }

    #[test]
    fn internal_causes_stay_inside() {
        let error = ErrorObjectOwned::from(MethodError::Internal("disk on fire".to_owned()));
        assert_eq!((error.code(), error.message(), error.data().is_none()), (-32603, "internal error", true));
    }
}
