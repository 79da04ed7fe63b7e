//! How blocks are executed, as an operator chooses it.

use clap::ValueEnum;
use heddle_chain::{ChainConfig, ExecutionMode};
use std::num::NonZeroUsize;

/// How the transactions of a block are executed; every mode gives the same bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Side by side on all threads.
    #[default]
    Parallel,
    /// One after the other.
    Sequential,
}

/// The mode, and on how many threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Execution {
    /// The mode.
    pub mode: ModeArg,
    /// Threads that execute a block; one a core when absent.
    pub threads: Option<NonZeroUsize>,
}

impl Execution {
    /// The settings of a chain that executes like this.
    pub fn apply(self, config: ChainConfig) -> ChainConfig {
        let execution = match self.mode {
            ModeArg::Parallel => ExecutionMode::Parallel,
            ModeArg::Sequential => ExecutionMode::Sequential,
        };
        ChainConfig { execution, execution_threads: self.threads, ..config }
    }
}

/// Reads a number of threads, 1 to 1024.
///
/// # Errors
/// In words, for another text.
pub fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    let threads = text.parse().ok().filter(|threads: &NonZeroUsize| threads.get() <= 1024);
    threads.ok_or_else(|| "expected a number of threads, 1 to 1024".to_owned())
}
