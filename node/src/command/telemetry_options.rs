//! Options of what a node tells of itself.

use crate::telemetry::traces::{Sampling, TracesConfig, parse_endpoint};
use crate::telemetry::{self, LogFormat};
use clap::Args;
use std::net::SocketAddr;

/// Options of `heddle node` about metrics, logs and traces; part of [`NodeArgs`](super::NodeArgs).
#[derive(Args, Clone, Debug)]
pub struct TelemetryOptions {
    /// Serve /metrics, and the probes /startup, /health and /ready, on this address and port [default: none].
    #[arg(
        id = "metrics",
        long = "metrics",
        env = "HEDDLE_METRICS",
        value_name = "ADDR:PORT",
        help_heading = "Telemetry"
    )]
    pub metrics: Option<SocketAddr>,
    /// Export traces of transactions to this OTLP/HTTP collector, for example http://127.0.0.1:4318 [default: none].
    #[arg(
        id = "tracing-otlp.url",
        long = "tracing-otlp",
        env = "HEDDLE_TRACING_OTLP",
        value_name = "URL",
        help_heading = "Telemetry"
    )]
    tracing_otlp: Option<String>,
    /// Part of the transactions to trace [0 to 1].
    ///
    /// Nodes with the same part trace the same ones.
    #[arg(
        id = "tracing-otlp.sample",
        long = "tracing-otlp.sample",
        env = "HEDDLE_TRACING_OTLP_SAMPLE",
        value_name = "RATIO",
        default_value = "0.01",
        help_heading = "Telemetry"
    )]
    tracing_otlp_sample: Sampling,
    /// What to log: off, error, warn, info, debug, trace, or a filter such as `info,heddle_network=debug`.
    #[arg(id = "log.level", long = "log.level", env = "HEDDLE_LOG_LEVEL", value_name = "FILTER", default_value = "info", value_parser = telemetry::parse_filter, help_heading = "Logging")]
    pub log_level: String,
    /// Form of the log on stderr.
    #[arg(
        id = "log.format",
        long = "log.format",
        env = "HEDDLE_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Logging"
    )]
    pub log_format: LogFormat,
}

impl TelemetryOptions {
    /// Where traces go, if anywhere.
    ///
    /// # Errors
    /// What is wrong with the URL. The parser of the command line would repeat it, and with it a password.
    pub fn traces(&self) -> Result<Option<TracesConfig>, String> {
        let Some(url) = &self.tracing_otlp else { return Ok(None) };
        let endpoint = parse_endpoint(url).map_err(|error| format!("--tracing-otlp: {error}"))?;
        Ok(Some(TracesConfig { endpoint, sampling: self.tracing_otlp_sample }))
    }
}
