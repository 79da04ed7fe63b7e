//! Options of how much callers of JSON-RPC may take.

use super::rpc_turn_options::RpcTurnOptions;
use clap::Args;
use heddle_chain::LogLimits;
use heddle_rpc::RpcLimits;
use ipnet::IpNet;
use std::num::NonZeroU32;
use std::time::Duration;

const MIB: u32 = 1 << 20;

/// Options of `heddle node` about JSON-RPC's limits; part of [`RpcOptions`](super::rpc_options::RpcOptions).
#[derive(Args, Clone, Debug)]
pub struct RpcLimitOptions {
    /// Largest request, in MiB [1 to 1024].
    #[arg(id = "rpc.max-request-size", long = "rpc.max-request-size", env = "HEDDLE_RPC_MAX_REQUEST_SIZE", value_name = "MIB", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_024), help_heading = "JSON-RPC limits")]
    max_request_size: u32,
    /// Largest answer, in MiB; a batch has this much for all its calls [1 to 1024].
    #[arg(id = "rpc.max-response-size", long = "rpc.max-response-size", env = "HEDDLE_RPC_MAX_RESPONSE_SIZE", value_name = "MIB", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=1_024), help_heading = "JSON-RPC limits")]
    max_response_size: u32,
    /// Most calls in a batch [1 to 100000].
    #[arg(id = "rpc.batch-request-limit", long = "rpc.batch-request-limit", env = "HEDDLE_RPC_BATCH_REQUEST_LIMIT", value_name = "COUNT", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "JSON-RPC limits")]
    batch_request_limit: u32,
    /// Time for a batch, in seconds; what it has not come to by then is not carried out [1 to 3600].
    #[arg(id = "rpc.batch-timeout", long = "rpc.batch-timeout", env = "HEDDLE_RPC_BATCH_TIMEOUT", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    batch_timeout: u64,
    /// Most arrays and objects that may lie in each other in a call [2 to 128].
    #[arg(id = "rpc.max-depth", long = "rpc.max-depth", env = "HEDDLE_RPC_MAX_DEPTH", value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=128), help_heading = "JSON-RPC limits")]
    max_depth: u32,
    /// Most connections at a time, those that say nothing included [1 to 100000].
    #[arg(id = "rpc.max-connections", long = "rpc.max-connections", env = "HEDDLE_RPC_MAX_CONNECTIONS", value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000), help_heading = "JSON-RPC limits")]
    max_connections: u32,
    /// Most subscriptions of one connection [0 to 10000].
    #[arg(id = "rpc.max-subscriptions-per-connection", long = "rpc.max-subscriptions-per-connection", env = "HEDDLE_RPC_MAX_SUBSCRIPTIONS_PER_CONNECTION", value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=10_000), help_heading = "JSON-RPC limits")]
    max_subscriptions_per_connection: u32,
    /// Time for the head of a request, in seconds [1 to 3600].
    #[arg(id = "rpc.header-timeout", long = "rpc.header-timeout", env = "HEDDLE_RPC_HEADER_TIMEOUT", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    header_timeout: u64,
    /// Time for the body of a request and for a message over WebSocket, in seconds [1 to 3600].
    #[arg(id = "rpc.body-timeout", long = "rpc.body-timeout", env = "HEDDLE_RPC_BODY_TIMEOUT", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    body_timeout: u64,
    /// How long a connection may be silent between requests, in seconds [1 to 86400].
    #[arg(id = "rpc.idle-timeout", long = "rpc.idle-timeout", env = "HEDDLE_RPC_IDLE_TIMEOUT", value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = "JSON-RPC limits")]
    idle_timeout: u64,
    /// How long an answer may wait for a reader that takes less than 64 KiB a second of it, in seconds [1 to 3600].
    #[arg(id = "rpc.write-timeout", long = "rpc.write-timeout", env = "HEDDLE_RPC_WRITE_TIMEOUT", value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    write_timeout: u64,
    /// Memory for requests and for answers that wait for their readers, in MiB, for all callers; an address has at most half [1 to 1048576].
    #[arg(id = "rpc.max-buffered", long = "rpc.max-buffered", env = "HEDDLE_RPC_MAX_BUFFERED", value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_048_576), help_heading = "JSON-RPC limits")]
    max_buffered: u32,
    /// Most gas of one EVM call, whatever it asks for [1 to 18446744073709551615].
    #[arg(id = "rpc.gascap", long = "rpc.gascap", env = "HEDDLE_RPC_GASCAP", value_name = "GAS", default_value_t = 50_000_000, value_parser = clap::value_parser!(u64).range(1..), help_heading = "JSON-RPC limits")]
    gascap: u64,
    /// Most blocks of one search for logs [1 to 18446744073709551615].
    #[arg(id = "rpc.max-blocks-per-filter", long = "rpc.max-blocks-per-filter", env = "HEDDLE_RPC_MAX_BLOCKS_PER_FILTER", value_name = "BLOCKS", default_value_t = RpcLimits::default().logs.blocks_max, value_parser = clap::value_parser!(u64).range(1..), help_heading = "JSON-RPC limits")]
    max_blocks_per_filter: u64,
    /// Most logs that one search finds [1 to 4294967295].
    #[arg(id = "rpc.max-logs-per-response", long = "rpc.max-logs-per-response", env = "HEDDLE_RPC_MAX_LOGS_PER_RESPONSE", value_name = "LOGS", default_value_t = RpcLimits::default().logs.logs_max as u32, value_parser = clap::value_parser!(u32).range(1..), help_heading = "JSON-RPC limits")]
    max_logs_per_response: u32,
    /// Most time that an EVM call, a search for logs or a fee history takes, in seconds [1 to 3600].
    #[arg(id = "rpc.evmtimeout", long = "rpc.evmtimeout", env = "HEDDLE_RPC_EVMTIMEOUT", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    evm_timeout: u64,
    /// Most memory of one EVM call, in MiB [1 to 4096].
    #[arg(id = "rpc.evmmemory", long = "rpc.evmmemory", env = "HEDDLE_RPC_EVMMEMORY", value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4_096), help_heading = "JSON-RPC limits")]
    evm_memory: u32,
    /// Most time that one trace of `debug`, `trace` and `ots` takes, in seconds [1 to 3600].
    #[arg(id = "rpc.tracetimeout", long = "rpc.tracetimeout", env = "HEDDLE_RPC_TRACETIMEOUT", value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600), help_heading = "JSON-RPC limits")]
    trace_timeout: u64,
    /// Let callers of `debug_trace*` trace with JavaScript of their own: for trusted callers only.
    ///
    /// Nothing bounds its memory, nor in effect the time of one of its functions.
    #[arg(
        id = "rpc.jstracers",
        long = "rpc.jstracers",
        env = "HEDDLE_RPC_JSTRACERS",
        help_heading = "JSON-RPC limits"
    )]
    js_tracers: bool,
    /// Calls a second that one IP address (a /64 of IPv6) may make, each of a batch counted [default: any number].
    ///
    /// As many may come at once. Others are answered with HTTP's 429 and the error -32005.
    #[arg(
        id = "rpc.rate-limit",
        long = "rpc.rate-limit",
        env = "HEDDLE_RPC_RATE_LIMIT",
        value_name = "COUNT",
        help_heading = "JSON-RPC limits"
    )]
    rate_limit: Option<NonZeroU32>,
    /// Proxies that are believed when they name the caller in X-Forwarded-For, as ranges, separated by commas [default: none].
    #[arg(
        id = "rpc.trusted-proxies",
        long = "rpc.trusted-proxies",
        env = "HEDDLE_RPC_TRUSTED_PROXIES",
        value_name = "RANGE",
        value_delimiter = ',',
        help_heading = "JSON-RPC limits"
    )]
    trusted_proxies: Vec<IpNet>,
    #[command(flatten)]
    turns: RpcTurnOptions,
}

impl RpcLimitOptions {
    /// Proxies whose word is taken.
    pub fn trusted_proxies(&self) -> Vec<IpNet> {
        self.trusted_proxies.clone()
    }

    /// The bounds.
    pub fn limits(&self) -> RpcLimits {
        let standard = self.turns.limits();
        let seconds = Duration::from_secs;
        RpcLimits {
            request_bytes: self.max_request_size * MIB,
            response_bytes: self.max_response_size * MIB,
            batch_calls: self.batch_request_limit,
            batch_time: seconds(self.batch_timeout),
            json_depth: self.max_depth as usize,
            connections: self.max_connections,
            subscriptions_per_connection: self.max_subscriptions_per_connection,
            header_timeout: seconds(self.header_timeout),
            body_timeout: seconds(self.body_timeout),
            idle_timeout: seconds(self.idle_timeout),
            write_timeout: seconds(self.write_timeout),
            buffered_bytes: self.max_buffered as usize * MIB as usize,
            call_gas: self.gascap,
            logs: LogLimits {
                blocks_max: self.max_blocks_per_filter,
                logs_max: self.max_logs_per_response as usize,
                time_max: seconds(self.evm_timeout),
                ..standard.logs
            },
            call_time: seconds(self.evm_timeout),
            call_memory: u64::from(self.evm_memory) * u64::from(MIB),
            trace_time: seconds(self.trace_timeout),
            js_tracers: self.js_tracers,
            calls_per_second: self.rate_limit,
            ..standard
        }
    }
}
