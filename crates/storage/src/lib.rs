//! Bytes that survive a crash: RocksDB tables with atomic synced batches, the consensus log, the sign state.
//!
//! Rules of this crate:
//! - bytes only: what a key or a value means is its writer's business, stated at [`Table`];
//! - a call that promises durability returns after the disk has confirmed it, and an error means "not durable";
//! - damage is never read as absence: a record that does not check is an error that names the file;
//! - one process owns a directory, held by a lock that the system releases when the process ends.
//!
//! Modules: `database` (open, read, commit), `read_only` (looking into a database that another process owns), `scratch` (what can
//! be made again), `ingest` (rows in bulk), `snapshot` (consistent reads), `batch` (atomic writes), `pending` (reading what is being written), `table` (the
//! tables), `options` (RocksDB's), `wal`, `floor` and `manifest` (whether RocksDB's files end where they should), `migration` (from
//! one format to the next), `upkeep` (sizes, compaction), `engine` (what RocksDB says of itself), `log` (the consensus log), `frames` (how it is written), `sign_state` (the last
//! signed step), `lock` (one process a directory or sign state), `durable` (crash-safe file replacement), `config`, `error`.
//!
//! Everything here blocks; asynchronous callers go through a blocking thread.

mod batch;
mod config;
mod database;
mod durable;
mod engine;
mod error;
mod floor;
pub mod frames;
mod ingest;
mod lock;
mod log;
mod manifest;
mod migration;
mod options;
mod pending;
mod read_only;
mod scratch;
mod sign_state;
mod snapshot;
mod table;
mod upkeep;
mod wal;

pub use batch::Batch;
pub use config::DatabaseConfig;
pub use database::Database;
pub use engine::{EngineStats, TableEngine};
pub use error::StorageError;
pub use frames::LogDamage;
pub use ingest::SstWriter;
pub use lock::DirectoryLock;
pub use log::ConsensusLog;
pub use migration::{META_FORMAT_KEY, Migration, MigrationObserver, MigrationProgress, MigrationStep};
pub use pending::PendingBatch;
pub use sign_state::SignStateFile;
pub use snapshot::{Row, Rows, Snapshot};
pub use table::Table;
pub use upkeep::TableStats;
