//! Options of how many calls of JSON-RPC run and wait, and for how long.

use clap::Args;
use heddle_rpc::RpcLimits;
use std::time::Duration;

/// Options of `heddle node` about the turns of calls; part of [`RpcLimitOptions`](super::rpc_limit_options::RpcLimitOptions).
#[derive(Args, Clone, Debug)]
pub struct RpcTurnOptions {
    /// EVM calls that run at a time; more wait [1 to 1024; default: two a core, at least 4].
    #[arg(id = "rpc.calls", long = "rpc.calls", env = "HEDDLE_RPC_CALLS", value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_024), help_heading = "JSON-RPC limits")]
    calls: Option<u32>,
    /// Reads of the database that run at a time; more wait [1 to 1024].
    #[arg(id = "rpc.max-blocking-io-requests", long = "rpc.max-blocking-io-requests", env = "HEDDLE_RPC_MAX_BLOCKING_IO_REQUESTS", value_name = "COUNT", default_value_t = RpcLimits::default().reads as u32, value_parser = clap::value_parser!(u32).range(1..=1_024), help_heading = "JSON-RPC limits")]
    reads: u32,
    /// Searches over many blocks, for logs for example, that run at a time; more wait [1 to 256].
    #[arg(id = "rpc.scans", long = "rpc.scans", env = "HEDDLE_RPC_SCANS", value_name = "COUNT", default_value_t = RpcLimits::default().scans as u32, value_parser = clap::value_parser!(u32).range(1..=256), help_heading = "JSON-RPC limits")]
    scans: u32,
    /// Calls, reads and searches that wait for their turn, as many of each; more are told to try again [1 to 65536].
    #[arg(id = "rpc.queue", long = "rpc.queue", env = "HEDDLE_RPC_QUEUE", value_name = "COUNT", default_value_t = RpcLimits::default().calls_queued as u32, value_parser = clap::value_parser!(u32).range(1..=65_536), help_heading = "JSON-RPC limits")]
    queue: u32,
    /// How long `eth_sendRawTransactionSync` waits for a block unless its caller says, in seconds [1 to 3600].
    #[arg(id = "rpc.txsync.defaulttimeout", long = "rpc.txsync.defaulttimeout", env = "HEDDLE_RPC_TXSYNC_DEFAULTTIMEOUT", value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    sync_wait: u64,
    /// How long it waits at most, whatever its caller says, in seconds [1 to 3600].
    #[arg(id = "rpc.txsync.maxtimeout", long = "rpc.txsync.maxtimeout", env = "HEDDLE_RPC_TXSYNC_MAXTIMEOUT", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    sync_wait_max: u64,
}

impl RpcTurnOptions {
    /// The bounds, and the usual ones of other things.
    pub fn limits(&self) -> RpcLimits {
        let standard = RpcLimits::default();
        RpcLimits {
            calls: self.calls.map_or(standard.calls, |calls| calls as usize),
            reads: self.reads as usize,
            scans: self.scans as usize,
            calls_queued: self.queue as usize,
            sync_wait: Duration::from_secs(self.sync_wait.min(self.sync_wait_max)),
            sync_wait_max: Duration::from_secs(self.sync_wait_max),
            ..standard
        }
    }
}
