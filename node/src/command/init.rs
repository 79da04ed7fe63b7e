//! `heddle init`: the genesis block in a new data directory.

use crate::cache::CacheSize;
use crate::database;
use clap::{Args, ValueHint};
use heddle_chain::ChainConfig;
use heddle_primitives::Genesis;
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;

/// Options of `heddle init`.
#[derive(Args)]
pub struct InitArgs {
    /// The genesis file, in geth's JSON form.
    #[arg(long, value_name = "GENESIS", value_hint = ValueHint::FilePath)]
    chain: PathBuf,
    /// The data directory; one that holds another chain is refused.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    datadir: PathBuf,
}

/// Runs `heddle init`.
pub fn run(args: InitArgs) -> Result<Value, Box<dyn Error>> {
    let genesis = Genesis::read(&args.chain)?;
    let chain = database::open_chain(genesis, &args.datadir, CacheSize::default(), ChainConfig::default())?;
    let head = chain.head();
    tell!("{} holds block {} of chain {}", args.datadir.display(), head.header.number, chain.genesis().hash());
    Ok(json!({
        "datadir": args.datadir,
        "genesisHash": chain.genesis().hash(),
        "number": head.header.number,
        "hash": head.header.seal(),
    }))
}
