//! Why the server does not start ([`RpcError`]), and why a call has no result ([`MethodError`], in go-ethereum's
//! codes and words).

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{Panic, Revert, SolError};
use heddle_chain::{CallError, ChainError, Fault};
use heddle_mempool::PoolError;
use jsonrpsee::server::RegisterMethodError;
use jsonrpsee::types::{ErrorObjectOwned, error};
use std::net::SocketAddr;

/// Why the server does not start. The operator's fault, except [`RpcError::Methods`].
#[derive(Debug, thiserror::Error)]
pub enum RpcError {
    /// Another process has the port, or the address is not this machine's.
    #[error("JSON-RPC cannot listen on {address}: {source}")]
    Bind {
        /// Address and port.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not an origin.
    #[error("CORS origin `{0}` is not valid, expected `*` or for example `https://example.org`")]
    CorsOrigin(String),
    /// Not a host.
    #[error("accepted host `{host}` is not valid: {reason}")]
    Host {
        /// As configured.
        host: String,
        /// What is wrong.
        reason: String,
    },
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
    /// No subscription of this name: the caller's fault (-32601).
    #[error("no \"{0}\" subscription in eth namespace")]
    UnknownSubscription(String),
    /// The EVM reverted: the called contract's decision (3, with the revert data).
    #[error("{}", revert_message(.0))]
    Reverted(Bytes),
    /// The node failed: ours (-32603). The cause goes to the log, not to the caller.
    #[error("internal error")]
    Internal(String),
}

impl MethodError {
    const REVERTED_CODE: i32 = 3;
    const REJECTED_CODE: i32 = -32000;
    /// EIP-1474's "limit exceeded".
    const BUSY_CODE: i32 = -32005;

    /// Its JSON-RPC code.
    pub(crate) fn code(&self) -> i32 {
        match self {
            Self::InvalidParams(_) => error::INVALID_PARAMS_CODE,
            Self::Rejected(_) => Self::REJECTED_CODE,
            Self::Busy => Self::BUSY_CODE,
            Self::UnknownSubscription(_) => error::METHOD_NOT_FOUND_CODE,
            Self::Reverted(_) => Self::REVERTED_CODE,
            Self::Internal(_) => error::INTERNAL_ERROR_CODE,
        }
    }
}

impl From<MethodError> for ErrorObjectOwned {
    fn from(error: MethodError) -> Self {
        let data = match &error {
            MethodError::Reverted(output) => Some(output),
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

impl From<PoolError> for MethodError {
    fn from(error: PoolError) -> Self {
        match error.fault() {
            heddle_mempool::Fault::Ours => Self::Internal(error.to_string()),
            heddle_mempool::Fault::Peer | heddle_mempool::Fault::Caller => Self::Rejected(error.to_string()),
        }
    }
}

/// `execution reverted`, with the reason when the data is Solidity's `Error(string)` or `Panic(uint256)`.
fn revert_message(output: &[u8]) -> String {
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
