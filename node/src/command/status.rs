//! `heddle status`: nodes in a table.

use super::{Incomplete, Output};
use crate::operator::{Look, Node, disagreements, observe, table, url_of};
use crate::shutdown::StopFlag;
use clap::Args;
use serde_json::{Value, json};
use std::error::Error;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// What a line may have where nobody says how long it is.
const WIDTH_DEFAULT: usize = 160;
/// How often the wait between two looks is interrupted to see whether to stop.
const STOP_CHECK: Duration = Duration::from_millis(100);

/// Options of `heddle status`.
#[derive(Args)]
pub struct StatusArgs {
    /// Nodes: URLs of their JSON-RPC (with the namespace `heddle`), their node.toml, or directories that have one.
    #[arg(value_name = "URL|DIR", default_value = "http://127.0.0.1:8545")]
    nodes: Vec<String>,
    /// Look again every so many seconds until a signal [1 to 3600; default: off, or 2 without a value].
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true, default_missing_value = "2", value_parser = clap::value_parser!(u64).range(1..=3600))]
    watch: Option<u64>,
    /// Print no table, only the JSON object: with --watch one a line.
    #[arg(long)]
    json: bool,
}

/// Runs `heddle status`.
pub fn run(args: StatusArgs) -> Result<Output, Box<dyn Error>> {
    let urls = args.nodes.iter().map(|name| url_of(name)).collect::<Result<Vec<_>, _>>()?;
    let Some(seconds) = args.watch else {
        let nodes = observe(&urls);
        if !args.json {
            show(&nodes, false);
        }
        let result = result(&nodes);
        return match nodes.iter().any(|node| node.answer.is_ok()) {
            true => Ok(Output::Result(result)),
            false => Err(Incomplete { cause: "no node answers: start one, or name others".into(), result }.into()),
        };
    };
    let stop = StopFlag::listen()?;
    loop {
        let nodes = observe(&urls);
        if !args.json {
            show(&nodes, true);
        }
        let result = result(&nodes);
        if args.json {
            writeln!(std::io::stdout(), "{result}")?;
        }
        if waited(Duration::from_secs(seconds), &stop) {
            // With --json the last line stands there already.
            return Ok(if args.json { Output::Document(String::new()) } else { Output::Result(result) });
        }
    }
}

/// Waits; true when it was told to stop.
fn waited(time: Duration, stop: &StopFlag) -> bool {
    let end = Instant::now() + time;
    while !stop.is_raised() && Instant::now() < end {
        std::thread::sleep(STOP_CHECK.min(end.saturating_duration_since(Instant::now())));
    }
    stop.is_raised()
}

/// Draws the table; over the last one where there is a terminal, and that is wanted.
fn show(nodes: &[Node], again: bool) {
    let lines = table(nodes, &disagreements(nodes), look());
    let clear = if again && std::io::stderr().is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    tell!("{clear}{}", lines.join("\n"));
}

/// What stderr can show; colours only where there are eyes to see them, and nobody has asked for none.
fn look() -> Look {
    let stderr = std::io::stderr();
    let is_terminal = stderr.is_terminal();
    let size = rustix::termios::tcgetwinsize(&stderr).ok().filter(|size| is_terminal && size.ws_col > 0);
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Look { width: size.map_or(WIDTH_DEFAULT, |size| size.ws_col.into()), colours: is_terminal && !no_color }
}

fn result(nodes: &[Node]) -> Value {
    let object = |node: &Node| match &node.answer {
        Ok(facts) => json!({ "url": node.name, "status": facts.status }),
        Err(failure) => json!({ "url": node.name, "error": failure.text, "fix": failure.fix }),
    };
    json!({ "nodes": nodes.iter().map(object).collect::<Vec<_>>(), "findings": disagreements(nodes) })
}
