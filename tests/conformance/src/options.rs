//! How a run is asked for.

use clap::ValueEnum;

/// How valid blocks are executed; each mode must give what the fixtures say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// One transaction after the other.
    Sequential,
    /// Side by side, speculatively.
    Parallel,
    /// In order, and then again side by side by the access list that this gives: both must be equal.
    AccessList,
}

/// Settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How blocks are executed.
    pub mode: Mode,
    /// How many files are judged at once; at least 1.
    pub threads: usize,
    /// Whether a refusal for another reason than the fixture's is a failure.
    pub strict_exceptions: bool,
}
