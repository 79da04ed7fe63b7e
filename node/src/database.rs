//! The database of a data directory, and the chain in it.

use crate::cache::CacheSize;
use crate::progress::Progress;
use heddle_chain::{Chain, ChainConfig};
use heddle_primitives::Genesis;
use heddle_state::HASHED_KEYS;
use heddle_storage::{Database, Table};
use std::error::Error;
use std::path::Path;

/// Opens the database of a data directory and the chain in it; the genesis block is written at the first start.
///
/// # Errors
/// When another process holds the directory, or it holds another chain.
pub fn open_chain(
    genesis: Genesis,
    datadir: &Path,
    cache: CacheSize,
    config: ChainConfig,
) -> Result<Chain, Box<dyn Error>> {
    std::fs::create_dir_all(datadir).map_err(|error| format!("cannot create {}: {error}", datadir.display()))?;
    let database = open(&datadir.join("db"), cache)?;
    Ok(Chain::open(genesis, database, config)?)
}

/// Opens the database that a data directory has, for tools.
///
/// # Errors
/// When there is none, or another process holds it.
pub fn open_existing(datadir: &Path) -> Result<Database, Box<dyn Error>> {
    let directory = datadir.join("db");
    if !directory.is_dir() {
        return Err(format!("{} holds no database", datadir.display()).into());
    }
    open(&directory, CacheSize::default())
}

/// Opens a database, and brings an older one to the format of this version, which can take a while.
fn open(directory: &Path, cache: CacheSize) -> Result<Database, Box<dyn Error>> {
    let mut shown: Option<(Table, Progress)> = None;
    let database = Database::open_migrating(directory, &cache.database(), &[HASHED_KEYS], &mut |now| {
        let (table, rows) = (now.table, now.rows_estimate.max(now.rows_done));
        if shown.as_ref().is_none_or(|(shown, _)| *shown != table) {
            shown = Some((table, Progress::new("migrate", rows)));
        }
        if let Some((_, progress)) = &mut shown {
            progress.at(now.rows_done, || format!("table {} from format {}", table.name(), now.from));
        }
    })?;
    Ok(database)
}

/// Opens the chain that a database holds; without a genesis file, by that of the last opening.
///
/// # Errors
/// When the database does not know its genesis file, or is of another chain.
pub fn open_existing_chain(genesis: Option<&Path>, database: Database) -> Result<Chain, Box<dyn Error>> {
    let genesis = match genesis {
        Some(path) => Genesis::read(path)?,
        None => Chain::stored_genesis(&database)?
            .ok_or("the database does not know its genesis file: name it with --chain")?,
    };
    Ok(Chain::open(genesis, database, ChainConfig::default())?)
}
