//! `heddle-simulation`: runs seeds, and shows the first that breaks an invariant.

use clap::{Parser, Subcommand};
use heddle_simulation::{Choice, Failure, Plan, Profile, Summary, measure, run_seeds, stay_on_this_thread};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::error::Error;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Runs whole nodes in virtual time under seeded faults, and checks that they stay safe and go on.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which seeds to run: one, or A..B without B.
    #[arg(long, value_name = "A..B", default_value = "0..100", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// How many nodes [default: drawn from the seed].
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=64))]
    nodes: Option<u8>,
    /// How many of them are Byzantine, fewer than a third [default: drawn from the seed].
    #[arg(long)]
    byzantine: Option<u8>,
    /// How the set of validators changes [default: drawn from the seed, or fixed with --nodes].
    #[arg(long)]
    plan: Option<Plan>,
    /// How hard it is [default: drawn from the seed].
    #[arg(long)]
    profile: Option<Profile>,
    /// How many lines of the trace a violation shows [default: 200].
    #[arg(long)]
    lines: Option<usize>,
    /// Worlds that run at the same time [default: one a core].
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Subcommand)]
enum Command {
    /// Measures consensus of 4 to 100 validators in five regions instead.
    Figures {
        /// How many validators.
        #[arg(long, value_delimiter = ',', default_values_t = [4, 16, 64, 100])]
        validators: Vec<u8>,
    },
}

/// Prints a line a network, and all of them as JSON.
fn figures(validators: &[u8]) -> Result<ExitCode, Box<dyn Error>> {
    stay_on_this_thread()?;
    let mut report = Vec::new();
    for validators in validators {
        // Without load, and with one transaction in 200 ms.
        for interval_ms in [1_000_000, 200] {
            let figures = measure(usize::from(*validators), interval_ms)?;
            eprintln!("{figures:?}");
            report.push(json!({
                "validators": figures.validators,
                "transactionIntervalMs": figures.transaction_interval_ms,
                "blocks": figures.blocks,
                "latencyMs": figures.latency_ms,
                "latencyDelays": figures.latency_delays,
                "messagesPerBlockAndNode": figures.messages,
                "bytesPerBlockAndNode": figures.bytes,
            }));
        }
    }
    println!("{}", json!({ "figures": report }));
    Ok(ExitCode::SUCCESS)
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is not a number"));
    let seeds = match text.split_once("..") {
        Some((first, end)) => number(first)?..number(end)?,
        None => number(text)?..number(text)?.saturating_add(1),
    };
    if seeds.is_empty() { Err("no seed is in that range".to_owned()) } else { Ok(seeds) }
}

/// Sums over all runs.
#[derive(Default)]
struct Totals {
    seeds: AtomicU64,
    heights: AtomicU64,
    events: AtomicU64,
    crashes: AtomicU64,
    refused: AtomicU64,
    rounds_max: AtomicU64,
    resumed_after_max: AtomicU64,
}

impl Totals {
    fn add(&self, summary: &Summary) {
        self.seeds.fetch_add(1, Ordering::Relaxed);
        self.heights.fetch_add(summary.height, Ordering::Relaxed);
        self.events.fetch_add(summary.events, Ordering::Relaxed);
        self.crashes.fetch_add(summary.crashes, Ordering::Relaxed);
        self.refused.fetch_add(summary.refused, Ordering::Relaxed);
        self.rounds_max.fetch_max(summary.rounds_max.into(), Ordering::Relaxed);
        self.resumed_after_max.fetch_max(summary.resumed_after, Ordering::Relaxed);
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    if let Some(Command::Figures { validators }) = &args.command {
        return figures(validators);
    }
    let choice = Choice {
        nodes: args.nodes.map(usize::from),
        byzantine: args.byzantine.map(usize::from),
        profile: args.profile,
        plan: args.plan,
        lines: args.lines,
    };
    let threads = args.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
    let bar = ProgressBar::new(args.seeds.end - args.seeds.start);
    bar.set_style(ProgressStyle::with_template("{pos}/{len} seeds  {per_sec}  {elapsed}  {wide_bar}")?);
    let (totals, started) = (Totals::default(), Instant::now());
    let done = |_, summary: &Summary| {
        totals.add(summary);
        bar.inc(1);
    };
    // A panic of a node is a violation and is shown as one.
    std::panic::set_hook(Box::new(|_| {}));
    let result = run_seeds(args.seeds.clone(), choice, threads, &done);
    bar.finish_and_clear();
    let seconds = started.elapsed().as_secs_f64();
    let seeds = totals.seeds.load(Ordering::Relaxed);
    let failure = result.err();
    if let Some(failure) = &failure {
        show(failure);
    }
    let rate = seeds as f64 / seconds;
    eprintln!("{seeds} seeds in {seconds:.1} s, {rate:.1} seeds/s");
    let report = json!({
        "seeds": seeds,
        "seconds": seconds,
        "seedsPerSecond": rate,
        "heights": totals.heights,
        "events": totals.events,
        "crashes": totals.crashes,
        "refusedSignatures": totals.refused,
        "roundsMax": totals.rounds_max,
        "resumedAfterSecondsMax": totals.resumed_after_max.load(Ordering::Relaxed) as f64 / 1e6,
        "failedSeed": failure.as_ref().map(|failure| failure.scenario.seed),
        "violation": failure.as_ref().map(|failure| failure.violation.reason.clone()),
    });
    println!("{report}");
    Ok(if failure.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints what happened last, what was broken, and how to see it again.
fn show(failure: &Failure) {
    let Failure { scenario, violation } = failure;
    for line in &violation.trace {
        eprintln!("{line}");
    }
    eprintln!("\nseed {}: {}", scenario.seed, violation.reason);
    eprintln!("{scenario:?}\n");
    eprintln!("replay: {}", failure.command());
}
