//! Real blocks, one line each, and what the larger ones have in common.

use heddle_workload::mainnet::{MainnetBlock, files, rules};
use heddle_workload::measure::{Measurement, Plan, measure};
use serde_json::Value;

/// Blocks of fewer transactions are left out of median and worst.
const TRANSACTIONS_MIN: usize = 100;

/// Measures the blocks of the fixtures, with access lists of their own making.
pub(crate) fn measure_all(plan: &Plan) -> Vec<Value> {
    let Some(paths) = files().unwrap() else {
        println!("mainnet-blocks: skipped, no fixtures");
        return Vec::new();
    };
    let rules = rules().with_early_access_lists(true);
    let mut measured = Vec::new();
    for path in paths {
        let block = MainnetBlock::read(&rules, &path).unwrap();
        let figures = measure(&block.case(&rules), plan).unwrap_or_else(|error| panic!("{}: {error}", block.name));
        if measured.is_empty() {
            print_columns(&figures);
        }
        print_line(&block.name, &figures);
        measured.push((block.name, figures));
    }
    print_summary(&measured);
    measured.iter().map(|(name, figures)| figures.to_json(name)).collect()
}

fn print_columns(figures: &Measurement) {
    println!("mainnet-blocks: the ratio to sequential of each mode and thread count");
    print!("{:<22} {:>5} {:>6} {:>9} {:>6} {:>6} {:>9}", "", "txs", "Mgas", "seq. ms", "ideal", "bare", "w/o list");
    for run in &figures.runs {
        print!(" {:>14}", format!("{} {}", run.mode, run.threads));
    }
    println!();
}

fn print_line(name: &str, figures: &Measurement) {
    let Measurement { transactions, gas_used, bare, plain, sequential, ideal, runs } = figures;
    let (mgas, milliseconds) = (*gas_used as f64 / 1e6, sequential.as_secs_f64() * 1e3);
    print!("{name:<22} {transactions:>5} {mgas:>6.1} {milliseconds:>9.2} {ideal:>6.2}");
    print!(" {:>6.2} {:>9.2}", figures.ratio(*bare), figures.ratio(*plain));
    for run in runs {
        print!(" {:>14.2}", figures.ratio(run.time));
    }
    println!();
}

fn print_summary(measured: &[(String, Measurement)]) {
    let mut large = measured.iter().map(|(_, figures)| figures).collect::<Vec<_>>();
    large.retain(|figures| figures.transactions >= TRANSACTIONS_MIN);
    let Some(first) = large.first() else { return };
    println!("{} blocks of {TRANSACTIONS_MIN} or more transactions:", large.len());
    for (index, run) in first.runs.iter().enumerate() {
        let mut ratios: Vec<_> = large.iter().map(|figures| figures.ratio(figures.runs[index].time)).collect();
        ratios.sort_by(f64::total_cmp);
        let (median, worst) = (ratios[ratios.len() / 2], ratios[0]);
        println!("  {:<12} {:>2} threads: median {median:.2}, worst {worst:.2}", run.mode, run.threads);
    }
}
