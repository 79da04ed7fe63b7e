//! `heddle key`: validator keys.

use crate::keys;
use clap::{Subcommand, ValueHint};
use heddle_primitives::{ConsensusKey, Validator};
use serde_json::{Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Make and show validator keys.
#[derive(Subcommand)]
pub enum KeyCommand {
    /// Write a new ed25519 key to a file of mode 0600.
    Generate {
        /// The file; it must not exist.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: PathBuf,
    },
    /// Print the public key and the validator address of a key file.
    Show {
        /// The file.
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// Runs `heddle key`.
pub fn run(command: KeyCommand) -> Result<Value, Box<dyn Error>> {
    match command {
        KeyCommand::Generate { out } => {
            let key = ConsensusKey::generate();
            keys::write_secret(&out, &key.to_hex())?;
            Ok(describe(&key, &out))
        }
        KeyCommand::Show { file } => Ok(describe(&keys::read_consensus_key(&file)?, &file)),
    }
}

fn describe(key: &ConsensusKey, file: &Path) -> Value {
    let validator = Validator::new(key.public_key(), 1, Default::default());
    json!({
        "file": file,
        "publicKey": format!("0x{}", hex::encode(key.public_key().as_bytes())),
        "validatorAddress": validator.address,
    })
}
