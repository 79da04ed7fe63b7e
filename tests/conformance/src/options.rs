//! How a run is asked for.

use heddle_chain::ExecutionMode;

/// Settings of a run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How blocks are executed.
    pub mode: ExecutionMode,
    /// How many files are judged at once; at least 1.
    pub threads: usize,
    /// Whether a refusal for another reason than the fixture's is a failure.
    pub strict_exceptions: bool,
}
