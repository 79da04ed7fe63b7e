//! What an operator may choose about the RPC server.

use heddle_chain::{LogLimits, ProofLimits};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

/// A namespace of methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Blocks, transactions, state, calls, logs, subscriptions.
    Eth,
    /// The network: chain id, peers.
    Net,
    /// The client: version, Keccak-256.
    Web3,
    /// What other clients do not have: validators, commits, evidence, and how parallel blocks are.
    Heddle,
}

/// A name that is no namespace: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown API namespace `{0}`, expected eth, net, web3 or heddle")]
pub struct ParseApiError(String);

impl Api {
    /// All namespaces.
    pub const ALL: [Self; 4] = [Self::Eth, Self::Net, Self::Web3, Self::Heddle];
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eth => "eth",
            Self::Net => "net",
            Self::Web3 => "web3",
            Self::Heddle => "heddle",
        })
    }
}

impl FromStr for Api {
    type Err = ParseApiError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|api| api.to_string() == name).ok_or_else(|| ParseApiError(name.to_owned()))
    }
}

/// Settings of [`RpcServer`](crate::RpcServer).
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Address to listen on.
    pub addr: IpAddr,
    /// Port for HTTP and WebSocket; 0 lets the system choose.
    pub port: u16,
    /// Namespaces that are served; methods of others do not exist.
    pub apis: Vec<Api>,
    /// Origins whose pages may read answers; empty: none, `*`: all.
    pub cors_origins: Vec<String>,
    /// `Host` headers that are accepted (`name:port`, or `name:*` for any port), which stops DNS rebinding;
    /// empty: any.
    pub hosts: Vec<String>,
    /// Bounds on what callers may ask.
    pub limits: RpcLimits,
}

impl RpcConfig {
    /// Where the server listens.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8545,
            apis: Api::ALL.to_vec(),
            cors_origins: Vec::new(),
            hosts: Vec::new(),
            limits: RpcLimits::default(),
        }
    }
}

/// Bounds on what callers may ask.
#[derive(Clone, Debug)]
pub struct RpcLimits {
    /// Largest request body or WebSocket message, in bytes.
    pub request_bytes: u32,
    /// Largest answer, in bytes; a batch has this much for all its calls.
    pub response_bytes: u32,
    /// Most calls in a batch.
    pub batch_calls: u32,
    /// Most HTTP requests and WebSocket connections served at a time.
    pub connections: u32,
    /// Most subscriptions of one WebSocket connection.
    pub subscriptions_per_connection: u32,
    /// Most EVM calls (`eth_call`, `eth_estimateGas`) running at a time, at least 1; more wait.
    pub calls: usize,
    /// Most gas of one EVM call, whatever it asks for.
    pub call_gas: u64,
    /// Most database reads running at a time, at least 1; more wait.
    pub reads: usize,
    /// Most searches over many blocks (`eth_getLogs`, `eth_feeHistory`, `eth_getProof`) and executions of whole blocks
    /// (`heddle_blockParallelism`) running at a time, at least 1; more wait. They have their own bound because they are
    /// slow: cheap reads do not wait behind them.
    pub scans: usize,
    /// Most calls of each kind that wait, at least 1; more are told to try again. A call counts once more for each
    /// 256 KiB of its arguments.
    pub calls_queued: usize,
    /// Bounds on one `eth_getLogs`.
    pub logs: LogLimits,
    /// Most slots of one `eth_getProof`.
    pub proof_slots: usize,
    /// How far back `eth_getProof` reaches.
    pub proofs: ProofLimits,
}

impl Default for RpcLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            request_bytes: 5 * 1024 * 1024,
            response_bytes: 25 * 1024 * 1024,
            batch_calls: 1_000,
            connections: 500,
            subscriptions_per_connection: 64,
            calls: (2 * cores).max(4),
            call_gas: 50_000_000,
            reads: 64,
            scans: 4,
            calls_queued: 256,
            logs: LogLimits::default(),
            proof_slots: 1_024,
            proofs: ProofLimits::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_parse_as_they_print() {
        for api in Api::ALL {
            assert_eq!(api.to_string().parse(), Ok(api));
        }
        let error = "debug".parse::<Api>().unwrap_err();
        assert_eq!(error.to_string(), "unknown API namespace `debug`, expected eth, net, web3 or heddle");
    }
}
