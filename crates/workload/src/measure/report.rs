//! Figures as a table and as JSON.

use super::{Measurement, Run, Steps};
use serde_json::{Value, json};
use std::fmt;
use std::time::Duration;

impl Measurement {
    /// How many times as fast as the sequential mode something is: above 1 is faster.
    pub fn ratio(&self, time: Duration) -> f64 {
        self.sequential.as_secs_f64() / time.as_secs_f64()
    }

    /// Million gas a second.
    pub fn mgas_per_second(&self, time: Duration) -> f64 {
        self.gas_used as f64 / 1e6 / time.as_secs_f64()
    }

    fn write_line(&self, f: &mut fmt::Formatter<'_>, mode: &str, threads: usize, time: Duration) -> fmt::Result {
        let (milliseconds, mgas) = (time.as_secs_f64() * 1e3, self.mgas_per_second(time));
        let ratio = self.ratio(time);
        write!(f, "\n  {mode:<12} {threads:>7} {milliseconds:>10.3} {mgas:>9.0} {ratio:>7.2}")
    }

    /// The figures for programs.
    pub fn to_json(&self, name: &str) -> Value {
        let run = |run: &Run| {
            json!({
                "mode": run.mode,
                "threads": run.threads,
                "seconds": rounded(run.time.as_secs_f64(), 6),
                "mgasPerSecond": rounded(self.mgas_per_second(run.time), 1),
                "ratio": rounded(self.ratio(run.time), 3),
                "aborts": run.steps.map(|steps| steps.aborts),
                "notExecuting": run.steps.and_then(|steps| steps.not_executing).map(|share| rounded(share, 3)),
            })
        };
        json!({
            "workload": name,
            "txs": self.transactions,
            "gasUsed": self.gas_used,
            "bareSeconds": rounded(self.bare.as_secs_f64(), 6),
            "withoutListSeconds": rounded(self.plain.as_secs_f64(), 6),
            "sequentialSeconds": rounded(self.sequential.as_secs_f64(), 6),
            "sequentialMgasPerSecond": rounded(self.mgas_per_second(self.sequential), 1),
            "sequentialOverBare": rounded(self.ratio(self.bare), 3),
            "idealRatio": rounded(self.ideal, 2),
            "runs": self.runs.iter().map(run).collect::<Vec<_>>(),
        })
    }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (value * scale).round() / scale
}

impl fmt::Display for Measurement {
    /// The block, then a line a mode and thread count.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transactions, gas_used, .. } = self;
        let mgas = *gas_used as f64 / 1e6;
        writeln!(f, "{transactions} transactions, {mgas:.1} Mgas; dependencies allow a ratio of {:.1}", self.ideal)?;
        write!(f, "  mode         threads         ms    Mgas/s   ratio   aborts  not executing")?;
        self.write_line(f, "bare loop", 1, self.bare)?;
        self.write_line(f, "without list", 1, self.plain)?;
        self.write_line(f, "sequential", 1, self.sequential)?;
        for run in &self.runs {
            self.write_line(f, run.mode, run.threads.get(), run.time)?;
            if let Some(Steps { aborts, not_executing }) = run.steps {
                write!(f, " {aborts:>8}")?;
                not_executing.map_or(Ok(()), |share| write!(f, " {:>13.0} %", share * 100.0))?;
            }
        }
        Ok(())
    }
}
