//! Logs, the metrics server, and traces of transactions.

mod metrics;
mod server;
pub mod traces;

pub use metrics::{ChainMetrics, NodeRegistry};
pub use server::{Health, MetricsServer};

use clap::ValueEnum;
use std::error::Error;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Form of the log on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line an event, for people.
    Text,
    /// One JSON object an event, for programs.
    Json,
}

/// Malachite and libp2p log every step at info; what they say there, our own crates say better.
const QUIETER: &str = "arc_malachitebft_core_consensus=warn,\
    arc_malachitebft_core_driver=warn,arc_malachitebft_core_votekeeper=warn,libp2p=warn,libp2p_swarm=warn,\
    libp2p_gossipsub=error,libp2p_mdns=error,libp2p_kad=warn";

/// Checks a log filter.
///
/// # Errors
/// Names what `tracing` filters accept.
pub fn parse_filter(text: &str) -> Result<String, String> {
    let accepted = "expected off, error, warn, info, debug, trace, or target=level pairs";
    // `tracing` takes a lone word for a target, so that a misspelt level would silence everything.
    let is_directive = |part: &str| part.contains('=') || (!part.is_empty() && part.parse::<LevelFilter>().is_ok());
    if let Some(word) = text.split(',').map(str::trim).find(|part| !is_directive(part)) {
        return Err(format!("`{word}` is no level; {accepted}"));
    }
    EnvFilter::builder().parse(text).map(|_| text.to_owned()).map_err(|error| format!("{error}; {accepted}"))
}

/// Starts logging to stderr; what a library says at info is left out unless the filter names it.
///
/// # Errors
/// When the filter does not parse, or logging was started before.
pub fn init_logging(filter: &str, format: LogFormat) -> Result<(), Box<dyn Error>> {
    let filter = EnvFilter::builder().parse(format!("{QUIETER},{filter}"))?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let started = match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| format!("cannot start logging: {error}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_levels() {
        for good in ["info", "WARN", "off", "info,heddle_network=debug", "heddle=trace, warn"] {
            assert!(parse_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "nonsense", "info,loud", "heddle=loud"] {
            assert!(parse_filter(bad).is_err(), "{bad}");
        }
    }
}
