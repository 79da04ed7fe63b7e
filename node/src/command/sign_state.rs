//! `heddle sign-state`: what a validator's key signed last, on its way between machines.

use crate::keys::{self, KeyFile, SignStateExport, SignStateStore};
use clap::{Args, Subcommand, ValueHint};
use heddle_consensus::SignStateRecord;
use serde_json::{Value, json};
use std::error::Error;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Longest export, in bytes.
const EXPORT_BYTES_MAX: u64 = 64 * 1024;

/// Move what a validator's key signed last between machines.
#[derive(Subcommand)]
pub enum SignStateCommand {
    /// Write the sign state of a key to a JSON file, for `import` elsewhere.
    ///
    /// Refused while a node runs with the key. Do not start it here again afterwards: two machines with one key contradict
    /// each other, whatever their sign states say.
    Export {
        #[command(flatten)]
        place: Place,
        /// The file to write; it must not exist.
        #[arg(value_name = "OUT.json", value_hint = ValueHint::FilePath)]
        out: PathBuf,
    },
    /// Take up an export. What is here is never lowered: the higher of the two wins.
    Import {
        #[command(flatten)]
        place: Place,
        /// The export.
        #[arg(value_name = "IN.json", value_hint = ValueHint::FilePath)]
        input: PathBuf,
    },
    /// Print the sign state of a key; a node may be running with it.
    Show {
        #[command(flatten)]
        place: Place,
    },
}

/// Whose sign state, and where.
#[derive(Args)]
pub struct Place {
    /// The validator's key file; needs no passphrase.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) key: PathBuf,
    /// The sign state [default: the key file's name with `.sign-state` after it].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) sign_state: Option<PathBuf>,
}

impl Place {
    fn public_key(&self) -> Result<[u8; 32], Box<dyn Error>> {
        Ok(KeyFile::read(&self.key)?.public_key().to_bytes())
    }

    fn absence(&self) -> String {
        format!("{} does not exist: name the key's sign state with --sign-state", self.path().display())
    }

    fn path(&self) -> PathBuf {
        self.sign_state.clone().unwrap_or_else(|| keys::sign_state_path(&self.key))
    }
}

/// Runs `heddle sign-state`.
pub fn run(command: SignStateCommand) -> Result<Value, Box<dyn Error>> {
    match command {
        SignStateCommand::Export { place, out } => export(&place, &out),
        SignStateCommand::Import { place, input } => import(&place, &input),
        SignStateCommand::Show { place } => {
            let record = SignStateStore::read(&place.path())?;
            let record = record.ok_or_else(|| place.absence())?;
            check_key(&place, &record)?;
            Ok(json!(SignStateExport::from(record)))
        }
    }
}

fn export(place: &Place, out: &Path) -> Result<Value, Box<dyn Error>> {
    // Held until the export is written, so that no node starts signing meanwhile.
    let (_file, record) = SignStateStore::open_any(&place.path())?;
    let record = record.ok_or_else(|| place.absence())?;
    check_key(place, &record)?;
    let export = json!(SignStateExport::from(record));
    keys::file::write_new(out, format!("{export:#}\n").as_bytes())?;
    Ok(export)
}

/// Takes up an export: the sign state of `place` is raised to it, never lowered.
///
/// # Errors
/// When it is another key's or another chain's, or a file cannot be used.
pub(super) fn import(place: &Place, input: &Path) -> Result<Value, Box<dyn Error>> {
    let imported = read(input).map_err(|reason| format!("{}: {reason}", input.display()))?;
    check_key(place, &imported).map_err(|error| format!("{}: {error}", input.display()))?;
    let (mut file, found) = SignStateStore::open_any(&place.path())?;
    let mut record = found.unwrap_or(SignStateRecord::fresh(imported.public_key));
    check_key(place, &record)?;
    let merged = merge(&mut record, &imported);
    merged.map_err(|reason| format!("{} and {}: {reason}", place.path().display(), input.display()))?;
    if found != Some(record) {
        file.replace(&alloy_rlp::encode(record))?;
    }
    Ok(json!(SignStateExport::from(record)))
}

/// Raises a record to another one of the same key.
fn merge(record: &mut SignStateRecord, imported: &SignStateRecord) -> Result<(), String> {
    let Some(signed) = imported.last else { return Ok(()) };
    record.bind(imported.public_key, imported.genesis_hash).map_err(|mismatch| mismatch.to_string())?;
    record.raise(signed);
    match record.last {
        Some(last)
            if (last.height, last.round, last.step) == (signed.height, signed.round, signed.step) && last != signed =>
        {
            Err("both signed at the same height, round and step, and not the same: this key signed on two machines"
                .into())
        }
        _ => Ok(()),
    }
}

fn check_key(place: &Place, record: &SignStateRecord) -> Result<(), Box<dyn Error>> {
    let mut bound = *record;
    Ok(bound.bind(place.public_key()?, record.genesis_hash)?)
}

fn read(input: &Path) -> Result<SignStateRecord, String> {
    let file = std::fs::File::open(input).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    file.take(EXPORT_BYTES_MAX).read_to_end(&mut text).map_err(|error| error.to_string())?;
    let export: SignStateExport = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    export.record()
}

#[cfg(test)]
mod tests;
