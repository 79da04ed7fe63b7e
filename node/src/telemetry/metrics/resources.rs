//! What a node takes of its machine: database, caches, disk, threads. Read when it is asked, since none of it is an event.

use super::scribe::Scribe;
use heddle_chain::{Chain, ChainStats};
use heddle_storage::{EngineStats, TableEngine};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::{self, Debug, Error};
use std::path::PathBuf;
use tokio::runtime::Handle;

/// Reads the chain, the disk and the runtime when it is asked.
pub struct Resources {
    chain: Chain,
    datadir: PathBuf,
}

impl Resources {
    /// Of a chain in this directory.
    pub fn new(chain: Chain, datadir: PathBuf) -> Self {
        Self { chain, datadir }
    }
}

impl Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").field("datadir", &self.datadir).finish_non_exhaustive()
    }
}

impl Collector for Resources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut scribe = Scribe(encoder);
        // What cannot be read is left out: the other metrics say why, or are of use without it.
        if let Ok(stats) = self.chain.stats() {
            write_tables(&mut scribe, &stats.database.tables)?;
            write_engine(&mut scribe, &stats.database)?;
            write_caches(&mut scribe, &stats)?;
        }
        if let Ok(disk) = rustix::fs::statvfs(&self.datadir) {
            let (free, size) = (disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize);
            scribe.gauge("storage_disk_free_bytes", "Room on the data directory's file system", free)?;
            scribe.gauge("storage_disk_size_bytes", "Size of the data directory's file system", size)?;
        }
        match Handle::try_current() {
            Ok(runtime) => write_runtime(&mut scribe, &runtime),
            Err(_) => Ok(()),
        }
    }
}

fn write_tables(scribe: &mut Scribe<'_>, tables: &[TableEngine]) -> Result<(), Error> {
    let mut of_each = |name: &str, help: &str, value: fn(&TableEngine) -> u64| {
        scribe.gauges(name, help, "table", tables.iter().map(|table| (table.table.name(), value(table))))
    };
    let live = "About how many bytes of a table's files are neither overwritten nor removed";
    of_each("storage_table_live_bytes", live, |table| table.live_bytes)?;
    of_each("storage_table_file_bytes", "Bytes of a table's files", |table| table.file_bytes)?;
    of_each("storage_table_memory_bytes", "Bytes written and not yet in a file", |table| table.memtable_bytes)?;
    let pending = "About how many bytes compactions still have to rewrite";
    of_each("storage_table_pending_compaction_bytes", pending, |table| table.pending_compaction_bytes)?;
    let level0 = "Files that are not sorted among each other yet";
    of_each("storage_table_level0_files", level0, |table| table.level0_files)
}

fn write_engine(scribe: &mut Scribe<'_>, engine: &EngineStats) -> Result<(), Error> {
    scribe.gauge("storage_block_cache_bytes", "Bytes in the database's block cache", engine.block_cache_bytes)?;
    let capacity = engine.block_cache_capacity_bytes;
    scribe.gauge("storage_block_cache_capacity_bytes", "Most bytes in the database's block cache", capacity)?;
    let stopped = u64::from(engine.is_write_stopped);
    scribe.gauge("storage_writes_stopped", "1 while writes wait for flushes or compactions", stopped)?;
    let rate = "Bytes a second that writes are held to, so that compactions keep up; 0 when they are not";
    scribe.gauge("storage_write_limit_bytes_per_second", rate, engine.delayed_write_rate)?;
    scribe.gauge("storage_compactions_running", "Compactions that are running", engine.compactions_running)?;
    scribe.gauge("storage_flushes_running", "Flushes that are running", engine.flushes_running)?;
    let errors = "Failures of flushes and compactions";
    scribe.counter("storage_background_errors", errors, engine.background_errors)?;
    scribe.counter("storage_write_errors", "Writes to the database or its log that failed", engine.write_errors)
}

fn write_caches(scribe: &mut Scribe<'_>, stats: &ChainStats) -> Result<(), Error> {
    let state = &stats.state;
    let caches = [("accounts", state.accounts), ("slots", state.slots), ("trie_nodes", state.trie_nodes)];
    let hits = caches.map(|(name, cache)| (name, cache.hits));
    scribe.counters("state_cache_hits", "Reads of the state that a cache answered", "cache", hits)?;
    let misses = caches.map(|(name, cache)| (name, cache.misses));
    scribe.counters("state_cache_misses", "Reads of the state that no cache answered", "cache", misses)?;
    let bytes = caches.map(|(name, cache)| (name, cache.bytes));
    scribe.gauges("state_cache_bytes", "Bytes in a cache of the state", "cache", bytes)?;
    let capacity = caches.map(|(name, cache)| (name, cache.capacity_bytes));
    scribe.gauges("state_cache_capacity_bytes", "Most bytes in a cache of the state", "cache", capacity)?;
    let written = &state.written;
    let rows = [("accounts", written.accounts), ("slots", written.slots), ("trie_nodes", written.trie_nodes)];
    scribe.counters("state_rows_written", "Rows of the state that blocks wrote or removed", "kind", rows)?;
    scribe.counter("evm_code_cache_misses", "Reads of code that was not cached", stats.code.misses)?;
    scribe.gauge("evm_code_cache_bytes", "Bytes of cached code, jump tables included", stats.code.bytes)?;
    scribe.gauge("evm_code_cache_capacity_bytes", "Most bytes of cached code", stats.code.capacity_bytes)
}

fn write_runtime(scribe: &mut Scribe<'_>, runtime: &Handle) -> Result<(), Error> {
    let metrics = runtime.metrics();
    scribe.gauge("node_runtime_workers", "Threads that run tasks", metrics.num_workers())?;
    scribe.gauge("node_runtime_tasks", "Tasks that have not ended", metrics.num_alive_tasks())?;
    scribe.gauge("node_runtime_queued_tasks", "Tasks that wait for a thread", metrics.global_queue_depth())
}
