//! What an operator may choose about the RPC server.

use alloy_rpc_types_engine::JwtSecret;
use heddle_chain::{LogLimits, ProofLimits};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// A namespace of methods.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, strum::Display, strum::EnumString, strum::IntoStaticStr, strum::VariantArray,
)]
#[strum(serialize_all = "lowercase", parse_err_ty = ParseApiError, parse_err_fn = ParseApiError::of)]
pub enum Api {
    /// Blocks, transactions, state, calls, logs, subscriptions.
    Eth,
    /// The network: chain id, peers.
    Net,
    /// The client: version, Keccak-256.
    Web3,
    /// What waits in the mempool.
    Txpool,
    /// What other clients do not have: validators, commits, evidence, and how parallel blocks are.
    Heddle,
    /// Raw blocks and receipts, and go-ethereum's tracers.
    Debug,
    /// Parity's traces.
    Trace,
    /// What the Otterscan explorer asks for.
    Ots,
    /// What tools made for Erigon ask for.
    Erigon,
    /// Peers: never over TCP without a token.
    Admin,
    /// Building blocks that nobody proposes, for conformance tests.
    Testing,
}

/// A name that is no namespace: the caller's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown API namespace `{name}`, expected {}", Api::names().join(", "))]
pub struct ParseApiError {
    name: String,
}

impl ParseApiError {
    fn of(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl Api {
    /// All namespaces.
    pub const ALL: &[Self] = <Self as strum::VariantArray>::VARIANTS;

    /// What a node serves unless told otherwise: nothing that lets a caller make it work for seconds.
    pub const DEFAULT: [Self; 5] = [Self::Eth, Self::Net, Self::Web3, Self::Txpool, Self::Heddle];

    /// The name of all but [`Self::Admin`], where namespaces are named.
    const ALL_NAME: &str = "all";

    /// What `all` stands for: everything but the namespace whose caller rules the node.
    pub fn all_but_admin() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|api| *api != Self::Admin).collect()
    }

    /// What a node serves unless told otherwise. On a plain Ethereum chain there is no consensus to protect: `all`.
    pub fn defaults(is_heddle: bool) -> Vec<Self> {
        if is_heddle { Self::DEFAULT.to_vec() } else { Self::all_but_admin() }
    }

    /// The namespaces with these names, among which `all` may be.
    ///
    /// # Errors
    /// When a name is none.
    pub fn parse_names<T: AsRef<str>>(names: &[T]) -> Result<Vec<Self>, ParseApiError> {
        let mut apis = Vec::new();
        for name in names {
            match name.as_ref() {
                Self::ALL_NAME => apis.extend(Self::all_but_admin()),
                name => apis.push(name.parse()?),
            }
        }
        Ok(apis)
    }

    /// Their names.
    pub fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(Into::into).collect()
    }

    /// What [`Self::parse_names`] takes.
    pub fn names_and_all() -> Vec<&'static str> {
        [Self::names(), vec![Self::ALL_NAME]].concat()
    }
}

/// Traces that run at a time.
pub(crate) const TRACES: usize = 1;

/// Settings of [`RpcServer`](crate::RpcServer).
#[derive(Clone, Debug)]
pub struct RpcConfig {
    /// Whether there is an open port: everybody who reaches it may call.
    pub http: bool,
    /// Its address.
    pub addr: IpAddr,
    /// Its port, for HTTP and WebSocket; 0 lets the system choose.
    pub port: u16,
    /// Namespaces that are served there, never `admin`; methods of others do not exist.
    pub apis: Vec<Api>,
    /// Origins whose pages may read answers and open WebSockets; empty: none, `*`: all. Those of `localhost` may open
    /// WebSockets always.
    pub cors_origins: Vec<String>,
    /// Names that requests may give in `Host`, which stops DNS rebinding; addresses are always accepted, `*`: all names.
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A port for operators, which serves all namespaces.
    pub auth: Option<AuthConfig>,
    /// A Unix socket for operators, which serves all namespaces; its file has mode 0600.
    pub ipc: Option<PathBuf>,
    /// Bounds on what callers may ask.
    pub limits: RpcLimits,
}

/// A port that wants a token, as Ethereum's engine API does: a JWT of HS256, issued within the last minute.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
    /// As of the open port.
    pub hosts: Vec<String>,
    /// What tokens are signed with.
    pub secret: JwtSecret,
}

impl RpcConfig {
    /// The open port, and its address.
    pub fn socket_addr(&self) -> SocketAddr {
        SocketAddr::new(self.addr, self.port)
    }
}

impl Default for RpcConfig {
    fn default() -> Self {
        Self {
            http: true,
            addr: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8545,
            apis: Api::DEFAULT.to_vec(),
            cors_origins: Vec::new(),
            hosts: vec!["localhost".to_owned()],
            trusted_proxies: Vec::new(),
            auth: None,
            ipc: None,
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
    /// Time for a batch; calls that it has not come to by then are answered with an error.
    pub batch_time: Duration,
    /// Most arrays and objects that lie in each other, the call's own included.
    pub json_depth: usize,
    /// Most connections at a time, those that say nothing included.
    pub connections: u32,
    /// Time for the head of a request, from its first byte or the start of the connection.
    pub header_timeout: Duration,
    /// Time for the body of a request, and for a WebSocket's message.
    pub body_timeout: Duration,
    /// How long a connection may be silent between requests.
    pub idle_timeout: Duration,
    /// How long an answer may wait for a reader that takes less than 64 KiB a second of it.
    pub write_timeout: Duration,
    /// Most bytes of requests, answers and what subscriptions look for that are held at a time, for all callers: an address may
    /// hold as much as is left, so alone a half. Operators have a quarter as much beside.
    pub buffered_bytes: usize,
    /// Calls a second that an address may make, and as many at once; `None`: any number.
    pub calls_per_second: Option<NonZeroU32>,
    /// Most subscriptions of one WebSocket connection.
    pub subscriptions_per_connection: u32,
    /// Most EVM calls (`eth_call`, `eth_estimateGas`) running at a time, at least 1; more wait.
    pub calls: usize,
    /// Most gas of one EVM call, whatever it asks for.
    pub call_gas: u64,
    /// Most bytes of EVM memory of one EVM call.
    pub call_memory: u64,
    /// Most time that one EVM call runs, in all its attempts together, and one fee history; waiting for its turn does not
    /// count.
    pub call_time: Duration,
    /// Most database reads running at a time, at least 1; more wait.
    pub reads: usize,
    /// Most searches over many blocks (`eth_getLogs`, `eth_feeHistory`, `eth_getProof`) and executions of whole blocks
    /// (`heddle_blockParallelism`) running at a time, at least 1; more wait. They have their own bound because they are
    /// slow: cheap reads do not wait behind them.
    pub scans: usize,
    /// Most calls of each kind that wait, at least 1; more are told to try again. A call counts once more for each
    /// 256 KiB of its arguments.
    pub calls_queued: usize,
    /// Most traces (`debug_trace*`, `trace_*`, `ots_*`) that wait, at least 1: one runs at a time.
    pub traces_queued: usize,
    /// How long `eth_sendRawTransactionSync` waits for a block when its caller does not say, at least a millisecond.
    pub sync_wait: Duration,
    /// How long it waits at most.
    pub sync_wait_max: Duration,
    /// Most time that one trace runs.
    pub trace_time: Duration,
    /// Most blocks that one `trace_filter` executes.
    pub trace_blocks: u64,
    /// Whether `debug_trace*` take tracers in JavaScript. A loop of theirs ends after 200,000 rounds and a recursion after 128
    /// levels, but nothing bounds their memory, nor in effect the time of one of their functions: whoever may send one can
    /// stop the node.
    pub js_tracers: bool,
    /// Bounds on one `eth_getLogs`.
    pub logs: LogLimits,
    /// Most filters (`eth_newFilter` and its kin) kept at a time, of all callers; one counts once more for each 64
    /// addresses and topics that it looks for.
    pub filters: usize,
    /// Most slots of one `eth_getProof`.
    pub proof_slots: usize,
    /// How far back `eth_getProof` reaches.
    pub proofs: ProofLimits,
}

impl RpcLimits {
    /// What operators have beside what everybody has, so that nobody takes it from them: a quarter as much, and as many calls
    /// a second as they like.
    pub(crate) fn of_operators(&self) -> Self {
        const PART: usize = 4;
        Self {
            buffered_bytes: self.buffered_bytes / PART,
            calls_per_second: None,
            calls: self.calls.div_ceil(PART),
            reads: self.reads.div_ceil(PART),
            scans: self.scans.div_ceil(PART),
            calls_queued: self.calls_queued.div_ceil(PART),
            traces_queued: self.traces_queued.div_ceil(PART),
            ..self.clone()
        }
    }

    /// Most calls that run at a time, of all kinds and callers: so many threads are busy at most.
    pub(crate) fn running(&self) -> usize {
        let of_one = |limits: &Self| limits.calls.max(1) + limits.reads.max(1) + limits.scans.max(1) + TRACES;
        of_one(self) + of_one(&self.of_operators())
    }
}

impl Default for RpcLimits {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            request_bytes: 5 * 1024 * 1024,
            response_bytes: 25 * 1024 * 1024,
            batch_calls: 1_000,
            batch_time: Duration::from_secs(30),
            json_depth: 64,
            connections: 500,
            header_timeout: Duration::from_secs(5),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(10),
            buffered_bytes: 256 * 1024 * 1024,
            calls_per_second: None,
            subscriptions_per_connection: 64,
            calls: (2 * cores).max(4),
            call_gas: 50_000_000,
            call_memory: 64 * 1024 * 1024,
            call_time: Duration::from_secs(5),
            reads: 64,
            scans: 4,
            calls_queued: 256,
            traces_queued: 8,
            // Both are go-ethereum's.
            sync_wait: Duration::from_secs(20),
            sync_wait_max: Duration::from_secs(60),
            trace_time: Duration::from_secs(5),
            trace_blocks: 100,
            js_tracers: false,
            logs: LogLimits::default(),
            filters: 1_024,
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
            assert_eq!(api.to_string().parse().as_ref(), Ok(api));
        }
        let error = "debgu".parse::<Api>().unwrap_err();
        let expected = "unknown API namespace `debgu`, expected eth, net, web3, txpool, heddle, debug, trace, ots, erigon, admin, testing";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn all_is_all_but_admin() {
        let all = Api::parse_names(&["all"]).unwrap();
        assert_eq!(all.len(), Api::ALL.len() - 1);
        assert!(!all.contains(&Api::Admin));
        assert_eq!(Api::parse_names(&["eth", "admin"]), Ok(vec![Api::Eth, Api::Admin]));
        assert!(Api::parse_names(&["all", "every"]).is_err());
        assert_eq!((Api::defaults(true), Api::defaults(false)), (Api::DEFAULT.to_vec(), all));
    }
}
