//! The database of a data directory, and the chain in it.

use heddle_chain::{Chain, ChainConfig};
use heddle_primitives::Genesis;
use heddle_storage::{Database, DatabaseConfig};
use std::error::Error;
use std::path::Path;

/// Opens the database of a data directory and the chain in it; the genesis block is written at the first start.
///
/// # Errors
/// When another process holds the directory, or it holds another chain.
pub fn open_chain(genesis: Genesis, datadir: &Path, config: ChainConfig) -> Result<Chain, Box<dyn Error>> {
    std::fs::create_dir_all(datadir).map_err(|error| format!("cannot create {}: {error}", datadir.display()))?;
    let database = Database::open(&datadir.join("db"), &DatabaseConfig::default())?;
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
    Ok(Database::open(&directory, &DatabaseConfig::default())?)
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
