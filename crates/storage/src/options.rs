//! RocksDB's options.

use crate::{DatabaseConfig, Table};
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, Env, LogLevel, Options,
};

/// Options of the database as a whole.
pub(crate) fn database(config: &DatabaseConfig) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_max_background_jobs(2);
    options.set_max_open_files(i32::from(config.open_files_max));
    options.set_db_write_buffer_size(config.write_buffer_bytes);
    // A table that is rarely written would otherwise keep old write-ahead logs alive for ever.
    options.set_max_total_wal_size(4 * config.write_buffer_bytes as u64);
    // Recovery stops at the first damage; whether it may is judged before (`wal`).
    options.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    options.set_track_and_verify_wals_in_manifest(true);
    // What bypasses the log ends at a batch in all tables, not at another one in each.
    options.set_atomic_flush(true);
    options.set_bytes_per_sync(1024 * 1024);
    options.set_log_level(LogLevel::Warn);
    options.set_max_log_file_size(1024 * 1024);
    options.set_keep_log_file_num(2);
    options
}

/// Every table, all of them behind one cache.
pub(crate) fn tables(config: &DatabaseConfig) -> [ColumnFamilyDescriptor; Table::ALL.len()] {
    let cache = Cache::new_lru_cache(config.block_cache_bytes);
    Table::ALL.map(|table| ColumnFamilyDescriptor::new(table.name(), self::table(table, &cache)))
}

/// A table that is written to files of their own, to be added to the database later.
pub(crate) fn files(table: Table, memory: Option<&Env>) -> Options {
    let mut options = self::table(table, &Cache::new_lru_cache(0));
    if let Some(memory) = memory {
        options.set_env(memory);
    }
    options
}

fn table(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_block_size(16 * 1024);
    // Filters and indices count against the cache's bound instead of growing with the database.
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
    if table.is_probed() {
        blocks.set_bloom_filter(10.0, false);
    }
    let mut options = Options::default();
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_block_based_table_factory(&blocks);
    options
}
