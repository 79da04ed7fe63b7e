//! The conformance runner's command line.

use clap::Parser;
use heddle_conformance::{Case, Mode, Options, Place, SKIPS, Totals, Verdict, files, fixtures, run, unpack};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs Ethereum's test suites: ethereum/tests and the fixtures of execution-spec-tests, told by content.
///
/// Prints one line a failure and ends with `N passed, M failed, K skipped`; exits with 1 if any failed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Directories and files of fixtures; without any, the archive in $HEDDLE_FIXTURES or ../shared/fixtures.
    paths: Vec<PathBuf>,
    /// How blocks are executed.
    #[arg(long, value_enum, default_value = "sequential")]
    mode: Mode,
    /// Files judged at once; all cores unless given.
    #[arg(long)]
    threads: Option<usize>,
    /// Count a refusal for another reason than the fixture names as a failure.
    #[arg(long)]
    strict_exceptions: bool,
    /// Print what is skipped and why, and run nothing.
    #[arg(long)]
    list_skips: bool,
}

fn main() -> ExitCode {
    match start(Arguments::parse()) {
        Ok(totals) if totals.failed == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn start(arguments: Arguments) -> Result<Totals, Box<dyn Error>> {
    if arguments.list_skips {
        for skip in SKIPS {
            println!("{}\n    {}", skip.reason, skip.applies_to);
        }
        return Ok(Totals::default());
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = arguments.threads.unwrap_or(cores).max(1);
    let options = Options { mode: arguments.mode, threads, strict_exceptions: arguments.strict_exceptions };
    let paths = match arguments.paths.is_empty() {
        false => arguments.paths,
        true => {
            let fixtures = fixtures();
            let unpacked = unpack(&fixtures)?;
            vec![unpacked.ok_or_else(|| format!("there is no archive of tests in {}", fixtures.display()))?]
        }
    };
    let files = files(&paths)?;
    if files.is_empty() {
        return Err("there are no JSON files to judge".into());
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} files, {elapsed} elapsed, {eta} to go")?;
    let progress = ProgressBar::new(files.len() as u64).with_style(style);
    let observe = |place: Place<'_>, case: &Case| report(place, case, &options, &progress);
    let totals = run(&files, &options, observe, || progress.inc(1))?;
    progress.finish_and_clear();
    if totals.other_reason > 0 {
        println!("{} refused for another reason than the fixture names", totals.other_reason);
    }
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    Ok(totals)
}

fn report(place: Place<'_>, case: &Case, options: &Options, progress: &ProgressBar) {
    let reason = match &case.verdict {
        Verdict::Failed(reason) => reason,
        Verdict::PassedForOtherReason(reason) if options.strict_exceptions => reason,
        _ => return,
    };
    let label = if case.label.is_empty() { String::new() } else { format!(" [{}]", case.label) };
    let line = format!("FAILED {} {}{label}: {reason}", place.file.display(), place.test).replace('\n', " ");
    progress.suspend(|| println!("{line}"));
}
