//! `heddle key install`: keys from a secret store's mount, into files of the node's own.

use super::super::sign_state::{self, Place};
use crate::keys::{self, EncryptedKey, FileError, KeyFile};
use clap::{Args, ValueHint};
use heddle_network::NodeKey;
use serde_json::{Value, json};
use std::error::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Options of `heddle key install`.
#[derive(Args)]
pub struct InstallArgs {
    /// Directory with `node.key`; and `validator.key` and `sign-state.json`, for a validator.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    from: PathBuf,
    /// Directory for the key files; made when absent, for this user alone.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    to: PathBuf,
    /// What the validator's key signed last; its directory is made when absent. It must outlive the keys' files.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    sign_state: PathBuf,
}

/// Runs `heddle key install`.
pub fn run(args: &InstallArgs) -> Result<Value, Box<dyn Error>> {
    let node_key = args.from.join("node.key");
    let content = mounted(&node_key)?.ok_or_else(|| format!("{} does not exist", node_key.display()))?;
    let peer = |content: &[u8]| Ok(NodeKey::from_hex(std::str::from_utf8(content)?)?.peer_id());
    let peer_id = install(&content, &node_key, &args.to.join("node.key"), peer)?;
    Ok(json!({ "peerId": peer_id.to_string(), "validator": install_validator(args)? }))
}

/// The validator's key and its sign state; null where there is none.
fn install_validator(args: &InstallArgs) -> Result<Value, Box<dyn Error>> {
    let from = args.from.join("validator.key");
    let Some(content) = mounted(&from)? else { return Ok(Value::Null) };
    let key = args.to.join("validator.key");
    install(&content, &from, &key, |content| Ok(KeyFile::parse(content, &from)?.public_key()))?;
    keys::file::create_directory(keys::file::directory_of(&args.sign_state))?;
    let (is_new, export) = (!args.sign_state.try_exists()?, args.from.join("sign-state.json"));
    let place = Place { key, sign_state: Some(args.sign_state.clone()) };
    let imported = sign_state::import(&place, &export)?;
    if is_new {
        tell_new_sign_state(&args.sign_state, &export, &imported);
    }
    Ok(imported)
}

/// A sign state that was lost looks like one that never was.
fn tell_new_sign_state(path: &Path, export: &Path, imported: &Value) {
    let signed = imported["height"].as_u64();
    let signed = signed.map_or("nothing signed".to_owned(), |height| format!("height {height} signed last"));
    tell!(
        "warning: {} did not exist and was made from {}: {signed}. That is right when this key starts here for the first \
         time, and has signed nothing since that export was written. Otherwise what it signed is lost, and it may \
         contradict itself: stop this node.",
        path.display(),
        export.display()
    );
}

/// What a secret store has mounted; `None` when it has not. Whoever mounts it guards it: its owner and mode are the store's.
fn mounted(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
    let failed = |error: io::Error| match error.kind() {
        // What a kubelet makes of a `subPath` that is not there.
        ErrorKind::IsADirectory => format!("{} is a directory: the Secret has no key of this name", path.display()),
        _ => format!("cannot read {}: {error}", path.display()),
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let bytes_max = EncryptedKey::FILE_BYTES_MAX;
    let mut content = Zeroizing::new(Vec::with_capacity(bytes_max + 64));
    file.take(bytes_max as u64 + 1).read_to_end(&mut content).map_err(failed)?;
    match content.len() > bytes_max {
        true => Err(format!("{} is longer than {bytes_max} bytes: it is no key", path.display())),
        false => Ok(Some(content)),
    }
}

/// Writes a key file, unless it is there with the same key; returns whose key it is.
fn install<T: PartialEq>(
    content: &[u8],
    from: &Path,
    to: &Path,
    identify: impl Fn(&[u8]) -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let found = identify(content).map_err(|error| format!("{}: {error}", from.display()))?;
    match keys::file::read(to, EncryptedKey::FILE_BYTES_MAX) {
        Err(error) if error.is_absence() => keys::file::create(to, content)?,
        Err(error) => return Err(error.into()),
        // The same key in another form: it may have been encrypted, or its passphrase changed.
        Ok(present) if identify(&present).is_ok_and(|present| present == found) => keys::file::put(to, content)?,
        Ok(_) => return Err(FileError::Exists(to.into()).into()),
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
