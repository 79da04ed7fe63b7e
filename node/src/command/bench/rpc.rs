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
use load::{Measured, Span};
use local::Local;
use questions::{Question, questions};
use serde_json::{Map, Value, json};
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use traffic::Traffic;

/// Connections that ask at the same time, each as soon as it has its last answer.
const CONNECTIONS: usize = 32;
/// How long a server may take longer for a question than it is asked. What it has not answered by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
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
    let anvil_blocks = args.blocks.min(ANVIL_LOG_BLOCKS_MAX);
    let anvil = anvil::find(args.anvil.as_deref())
        .map(|program| Anvil::start(&program, &genesis, &traffic, anvil_blocks, !args.json, &stop));
    let anvil = anvil.transpose()?;
    let questions = asked.iter().zip(questions(&traffic, anvil_blocks));
    // One server after the other, question by question: what else the machine does meets both.
    let compared = questions.map(|(question, same)| {
        let ours = measure("heddle", node.address(), question, args, &stop)?;
        let theirs = anvil.as_ref().map(|anvil| measure("anvil", anvil.address(), &same, args, &stop));
        Ok(Compared { name: question.name, ours, theirs: theirs.transpose()? })
    });
    let compared = compared.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    if !args.json {
        compared.iter().for_each(Compared::tell);
    }
    Ok(report(args, &searches, &compared))
}

/// Asks a server a question.
fn measure(
    name: &str,
    server: SocketAddr,
    question: &Question,
    args: &RpcArgs,
    stop: &StopFlag,
) -> Result<Measured, Box<dyn Error>> {
    if stop.is_raised() {
        return Err("stopped by a signal".into());
    }
    let asking = Duration::from_secs(args.seconds);
    let span = Span { asking, most: asking + PATIENCE };
    let measured = load::run(server, CONNECTIONS, span, &question.calls)
        .map_err(|error| format!("{name}, {}: {error}", question.name))?;
    if !args.json {
        tell!("{name:<8} {:<48} {measured}", question.name);
    }
    Ok(measured)
}

/// What came of a question.
struct Compared {
    name: &'static str,
    ours: Measured,
    theirs: Option<Measured>,
}

impl Compared {
    /// How many times as fast as Anvil we are; at least so many times where Anvil was cut off, and not known where we were.
    fn ratio(&self) -> Option<f64> {
        let theirs = self.theirs.filter(|_| !self.ours.is_cut_off())?;
        let ratio = self.ours.per_second() / theirs.per_second().max(1e-9);
        Some((ratio * 1e3).round() / 1e3)
    }

    fn tell(&self) {
        if let Some(ratio) = self.ratio() {
            let least = if self.theirs.is_some_and(|theirs| theirs.is_cut_off()) { "more than " } else { "" };
            tell!("{:<48} {least}{ratio:.2} times Anvil", self.name);
        }
    }
}

fn report(args: &RpcArgs, searches: &Value, compared: &[Compared]) -> Value {
    let named = |value: fn(&Compared) -> Option<Value>| -> Map<String, Value> {
        compared.iter().filter_map(|compared| Some((compared.name.to_owned(), value(compared)?))).collect()
    };
    json!({
        "blocks": args.blocks,
        "logs": args.blocks * traffic::LOGS_PER_BLOCK,
        "connections": CONNECTIONS,
        "seconds": args.seconds,
        "searches": searches,
        "heddle": named(|compared| Some(compared.ours.report())),
        "anvil": named(|compared| compared.theirs.map(|theirs| theirs.report())),
        "ratios": named(|compared| compared.ratio().map(|ratio| json!(ratio))),
    })
}
