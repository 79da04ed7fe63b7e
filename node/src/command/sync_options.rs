//! Options of how a node comes to the head, and of what it serves to others that do.

use clap::{Args, ValueEnum, ValueHint};
use heddle_primitives::Checkpoint;
use heddle_sync::ServeConfig;
use std::path::PathBuf;
use std::time::Duration;

/// How a new node comes to the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SyncMode {
    /// Execute every block from genesis on.
    #[default]
    Full,
    /// Fetch a recent state, proven against a final header, and execute the blocks after it.
    Snapshot,
    /// As `snapshot`, from the file that `--snapshot.file` names.
    FromFile,
}

/// What a node that began with a state fetches of the blocks before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum BackfillMode {
    /// Nothing more than executing the next blocks needs.
    None,
    /// All headers.
    #[default]
    Headers,
    /// All headers, bodies and receipts.
    Blocks,
}

/// Options of `heddle node` about catching up; part of [`NodeArgs`](super::NodeArgs).
#[derive(Args, Clone, Debug)]
pub struct SyncOptions {
    /// How a new node comes to the head; one that has blocks goes on from them.
    #[arg(id = "sync", long = "sync", env = "HEDDLE_SYNC", value_enum, default_value_t, help_heading = "Sync")]
    pub mode: SyncMode,
    /// A block that must be on the chain, from a source that you trust [default: none].
    ///
    /// The node refuses any other chain. For a state sync it must be younger than --trusting-period.
    #[arg(
        id = "checkpoint",
        long = "checkpoint",
        env = "HEDDLE_CHECKPOINT",
        value_name = "HEIGHT:HASH",
        help_heading = "Sync"
    )]
    pub checkpoint: Option<Checkpoint>,
    /// Days after which a checkpoint is refused [1 to 3650].
    ///
    /// Whoever validated then may have sold the keys since.
    #[arg(id = "trusting-period", long = "trusting-period", env = "HEDDLE_TRUSTING_PERIOD", value_name = "DAYS", default_value_t = 14, value_parser = clap::value_parser!(u32).range(1..=3_650), help_heading = "Sync")]
    trusting_period: u32,
    /// What to fetch of the blocks before the state that the node began with.
    #[arg(
        id = "backfill",
        long = "backfill",
        env = "HEDDLE_BACKFILL",
        value_enum,
        default_value_t,
        help_heading = "Sync"
    )]
    pub backfill: BackfillMode,
    /// The archive for `--sync from-file`, as `heddle snapshot create` writes it [default: none].
    #[arg(id = "snapshot.file", long = "snapshot.file", env = "HEDDLE_SNAPSHOT_FILE", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Sync")]
    pub snapshot_file: Option<PathBuf>,
    /// Blocks between two states that are served to new nodes; 0 serves none [0 to 18446744073709551615].
    #[arg(
        id = "snapshot.interval",
        long = "snapshot.interval",
        env = "HEDDLE_SNAPSHOT_INTERVAL",
        value_name = "BLOCKS",
        default_value_t = 1_000,
        help_heading = "Sync"
    )]
    pub snapshot_interval: u64,
    /// Most that new nodes are sent of states, all together, in MiB a second [1 to 10000].
    #[arg(id = "snapshot.bandwidth", long = "snapshot.bandwidth", env = "HEDDLE_SNAPSHOT_BANDWIDTH", value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Sync")]
    snapshot_bandwidth: u32,
    /// Most of one core that serving states takes, in percent [1 to 100].
    #[arg(id = "snapshot.share", long = "snapshot.share", env = "HEDDLE_SNAPSHOT_SHARE", value_name = "PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u32).range(1..=100), help_heading = "Sync")]
    snapshot_share: u32,
}

impl SyncOptions {
    /// How old a checkpoint may be.
    pub fn trusting_period(&self) -> Duration {
        Duration::from_secs(24 * 3_600 * u64::from(self.trusting_period))
    }

    /// What serving states may take.
    pub fn serving(&self) -> ServeConfig {
        let bytes_per_second = u64::from(self.snapshot_bandwidth) << 20;
        ServeConfig { bytes_per_second, share_percent: self.snapshot_share, ..ServeConfig::default() }
    }
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            mode: SyncMode::Full,
            checkpoint: None,
            trusting_period: 14,
            backfill: BackfillMode::Headers,
            snapshot_file: None,
            snapshot_interval: 1_000,
            snapshot_bandwidth: 32,
            snapshot_share: 25,
        }
    }
}
