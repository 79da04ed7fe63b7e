//! `heddle bench rpc`: requests a second and their times, beside Anvil on the same kind of chain.

mod anvil;
mod load;
mod local;
mod questions;
mod traffic;

use super::processes::{NodeProcess, free_port};
use crate::shutdown::StopFlag;
use anvil::Anvil;
use clap::Args;
use load::Measured;
use local::Local;
use questions::{Question, questions};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;
use traffic::Traffic;

/// Connections that ask at the same time, each as soon as it has its last answer.
const CONNECTIONS: usize = 32;
/// Anvil keeps all in memory, and gets blocks one request at a time: no more of those with logs than questions reach.
const ANVIL_LOG_BLOCKS_MAX: u64 = 2_000;

/// Options of `heddle bench rpc`.
#[derive(Args)]
pub struct RpcArgs {
    /// Blocks with ten logs each [1000 to 10000000].
    #[arg(long, value_name = "BLOCKS", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..=10_000_000))]
    blocks: u64,
    /// Transactions of the largest block [1000 to 20000].
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=20_000))]
    transactions: u64,
    /// How long each question is asked, in seconds [1 to 600].
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// The program `anvil` to compare with [default: the one on the path, if there is one].
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    anvil: Option<PathBuf>,
    /// Where the database goes [default: the system's directory for temporary files].
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    dir: Option<PathBuf>,
    /// Only the JSON object, no text.
    #[arg(long)]
    json: bool,
}

/// Runs `heddle bench rpc`.
pub fn run(args: &RpcArgs) -> Result<Value, Box<dyn Error>> {
    let stop = StopFlag::listen()?;
    let directory = match &args.dir {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let traffic = Traffic::new(args.transactions)?;
    let local = Local::make(directory.path(), &traffic, args.blocks, !args.json, &stop)?;
    let searches = local.searches()?;
    let asked = questions(&traffic, args.blocks);
    let datadir = local.close();
    let genesis = traffic.write_genesis(directory.path())?;
    let node = NodeProcess::start(&genesis, &datadir, free_port()?, &[])?;
    let ours = measure(node.address(), &asked, args, "heddle", &stop)?;
    drop(node);
    let theirs = match anvil::find(args.anvil.as_deref()) {
        Some(program) => {
            let blocks = args.blocks.min(ANVIL_LOG_BLOCKS_MAX);
            let anvil = Anvil::start(&program, &genesis, &traffic, blocks, &stop)?;
            Some(measure(anvil.address(), &questions(&traffic, blocks), args, "anvil", &stop)?)
        }
        None => None,
    };
    Ok(report(args, &asked, &searches, &ours, theirs.as_deref()))
}

/// Asks one question after the other.
fn measure(
    server: std::net::SocketAddr,
    asked: &[Question],
    args: &RpcArgs,
    name: &str,
    stop: &StopFlag,
) -> Result<Vec<Measured>, Box<dyn Error>> {
    let measured = asked.iter().map(|question| {
        if stop.is_raised() {
            return Err("stopped by a signal".into());
        }
        let measured = load::run(server, CONNECTIONS, Duration::from_secs(args.seconds), &question.calls)
            .map_err(|error| format!("{name}, {}: {error}", question.name))?;
        if !args.json {
            let Measured { p50, p99, .. } = measured;
            tell!(
                "{name:<8} {:<48} {:>10.1}/s  p50 {p50:>9.2?}  p99 {p99:>9.2?}",
                question.name,
                measured.per_second()
            );
        }
        Ok(measured)
    });
    measured.collect()
}

fn report(
    args: &RpcArgs,
    asked: &[Question],
    searches: &Value,
    ours: &[Measured],
    theirs: Option<&[Measured]>,
) -> Value {
    let named = |measured: &[Measured]| -> Map<String, Value> {
        let named = asked.iter().zip(measured);
        named.map(|(question, measured)| (question.name.to_owned(), measured.report())).collect()
    };
    let ratios: Option<Map<String, Value>> = theirs.map(|theirs| {
        let pairs = asked.iter().zip(ours.iter().zip(theirs));
        let ratio = |(question, (ours, theirs)): (&Question, (&Measured, &Measured))| {
            let ratio = ours.per_second() / theirs.per_second().max(1e-9);
            if !args.json {
                tell!("{:<48} {ratio:>8.2} times Anvil", question.name);
            }
            (question.name.to_owned(), json!((ratio * 1e3).round() / 1e3))
        };
        pairs.map(ratio).collect()
    });
    json!({
        "blocks": args.blocks,
        "logs": args.blocks * traffic::LOGS_PER_BLOCK,
        "connections": CONNECTIONS,
        "seconds": args.seconds,
        "searches": searches,
        "heddle": named(ours),
        "anvil": theirs.map(named),
        "ratios": ratios,
    })
}
