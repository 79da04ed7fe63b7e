//! `heddle health`: one question to a running node, for supervisors that run a command in its container.

use super::{Incomplete, accounts};
use clap::{Args, ValueEnum, ValueHint};
use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;

/// Options of `heddle health`.
#[derive(Args)]
pub struct HealthArgs {
    /// Where the node serves its probes: the address of its `--metrics`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9001", value_hint = ValueHint::Url)]
    url: String,
    /// What to ask.
    #[arg(long, value_enum, default_value_t)]
    probe: Probe,
    /// How long the answer may take [10ms to 1h].
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = accounts::parse_block_time)]
    timeout: Duration,
}

/// What can be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Probe {
    /// Whether the node is alive; if not, a restart may help.
    #[default]
    Health,
    /// Whether it can serve now: it is at the head of the chain and has peers.
    Ready,
    /// Whether its start is over.
    Startup,
}

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Ready => "ready",
            Self::Startup => "startup",
        }
    }
}

/// Runs `heddle health`: an answer other than 200 is a failure with the node's own sentence, and a result all the same.
pub fn run(args: HealthArgs) -> Result<Value, Box<dyn Error>> {
    let url = format!("{}/{}", args.url.trim_end_matches('/'), args.probe.name());
    let (status, answer) = ask(&url, args.timeout).map_err(|error| format!("{url}: {error}"))?;
    let result = json!({ "probe": args.probe.name(), "status": status, "answer": answer });
    if status != 200 {
        let cause = format!("{url}: {status}: {answer}").into();
        return Err(Incomplete { cause, result }.into());
    }
    tell!("{answer}");
    Ok(result)
}

/// The status and the text of an answer, whatever they are.
fn ask(url: &str, timeout: Duration) -> Result<(u16, String), ureq::Error> {
    // Past every proxy: it is this machine that is asked, or one beside it.
    let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).proxy(None).http_status_as_error(false);
    let mut response = ureq::Agent::from(config.build()).get(url).call()?;
    let answer = response.body_mut().read_to_string()?;
    Ok((response.status().as_u16(), answer.trim_end().to_owned()))
}
