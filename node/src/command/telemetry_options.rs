//! Options of what a node tells of itself.

use crate::telemetry::{self, LogFormat};
use clap::Args;
use std::net::SocketAddr;

/// Options of `heddle node` about metrics and logs; part of [`NodeArgs`](super::NodeArgs).
#[derive(Args, Clone, Debug)]
pub struct TelemetryOptions {
    /// Serve /metrics, and the probes /startup, /health and /ready, on this address and port.
    #[arg(
        id = "metrics",
        long = "metrics",
        env = "HEDDLE_METRICS",
        value_name = "ADDR:PORT",
        help_heading = "Telemetry"
    )]
    pub metrics: Option<SocketAddr>,
    /// What to log: error, warn, info, debug, trace, or a filter such as `info,heddle_network=debug`.
    #[arg(id = "log.level", long = "log.level", env = "HEDDLE_LOG_LEVEL", value_name = "FILTER", default_value = "info", value_parser = telemetry::parse_filter, help_heading = "Telemetry")]
    pub log_level: String,
    /// Form of the log on stderr.
    #[arg(
        id = "log.format",
        long = "log.format",
        env = "HEDDLE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Telemetry"
    )]
    pub log_format: LogFormat,
}
