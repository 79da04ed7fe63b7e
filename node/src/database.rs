//! The database of a data directory, and the chain in it.

use crate::cache::CacheSize;
use crate::keys;
use crate::progress::Progress;
use heddle_chain::{Chain, ChainConfig, ChainError};
use heddle_primitives::Genesis;
use heddle_state::{HASHED_KEYS, StateError};
use heddle_storage::{Database, StorageError, Table};
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
    keys::file::create_directory(datadir)?;
    let directory = datadir.join("db");
    let database = open(&directory, cache)?;
    Chain::open(genesis, database, config).map_err(|error| name_repair(&directory, error))
}

fn no_database(datadir: &Path) -> String {
    format!("{} holds no database: name the data directory of a node with --datadir", datadir.display())
}

/// Opens the database that a data directory has, for tools.
///
/// # Errors
/// When there is none, or another process holds it.
pub fn open_existing(datadir: &Path) -> Result<Database, Box<dyn Error>> {
    let directory = datadir.join("db");
    if !directory.is_dir() {
        return Err(no_database(datadir).into());
    }
    open(&directory, CacheSize::default())
}

/// Opens the chain of a data directory to be read as it is now, although a node may be running on it; without a genesis file,
/// by that of the last opening.
///
/// # Errors
/// When there is none, it is of another chain, or it has not begun.
pub fn open_chain_read_only(genesis: Option<&Path>, datadir: &Path) -> Result<Chain, Box<dyn Error>> {
    let directory = datadir.join("db");
    if !directory.is_dir() {
        return Err(no_database(datadir).into());
    }
    let database = Database::open_read_only(&directory, &CacheSize::default().database())?;
    let genesis = known_genesis(genesis, &database)?;
    let config = ChainConfig { snapshot_interval: 0, ..ChainConfig::default() };
    Ok(Chain::open_read_only(genesis, database, config)?)
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
    });
    database.map_err(|error| name_repair(directory, ChainError::Storage(error)))
}

/// Damage is named with its repair; what a validator signed is remembered elsewhere, so no repair here can lose it.
fn name_repair(directory: &Path, error: ChainError) -> Box<dyn Error> {
    let is_damage = |error: &StorageError| matches!(error, StorageError::Engine(_) | StorageError::Corrupt { .. });
    let is_damage = match &error {
        ChainError::Corrupt(_) | ChainError::State(StateError::Corrupt { .. }) => true,
        ChainError::Storage(error) | ChainError::State(StateError::Storage(error)) => is_damage(error),
        _ => false,
    };
    let directory = directory.display();
    match is_damage {
        // The engine has only words for what the system said.
        true if error.to_string().contains("No space left on device") => {
            format!("{error}: free space on the disk of {directory}, and run it again").into()
        }
        true => {
            format!("{error}: if {directory} is damaged, restore it from a copy, or move it away and sync anew").into()
        }
        false => error.into(),
    }
}

/// Opens the chain that a database holds; without a genesis file, by that of the last opening.
///
/// # Errors
/// When the database does not know its genesis file, or is of another chain.
pub fn open_existing_chain(genesis: Option<&Path>, database: Database) -> Result<Chain, Box<dyn Error>> {
    let genesis = known_genesis(genesis, &database)?;
    Ok(Chain::open(genesis, database, ChainConfig::default())?)
}

fn known_genesis(genesis: Option<&Path>, database: &Database) -> Result<Genesis, Box<dyn Error>> {
    match genesis {
        Some(path) => Ok(Genesis::read(path)?),
        None => Ok(Chain::stored_genesis(database)?
            .ok_or("the database does not know its genesis file: name it with --chain")?),
    }
}
