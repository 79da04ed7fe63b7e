//! The keys of a network's nodes, made once, and what of them is public.

use super::files::write_public;
use crate::keys::{self, KeyFile};
use alloy_primitives::B256;
use ed25519_dalek::VerifyingKey;
use heddle_primitives::ConsensusKey;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::{Path, PathBuf};

/// File of the consensus key in a node's directory of keys; its sign state stands beside it.
pub const VALIDATOR_KEY: &str = "validator.key";
/// File of the network key there.
pub const NODE_KEY: &str = "node.key";

/// What others know a node by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// The node's name in its network.
    pub name: String,
    /// Name of its network key.
    pub peer_id: String,
    /// Its consensus key; absent when it only follows the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<B256>,
}

impl Identity {
    /// Makes the keys of a node in a directory of its own.
    ///
    /// # Errors
    /// When the consensus key or its sign state is there already; nothing is overwritten.
    pub fn create(directory: &Path, name: String, is_validator: bool) -> Result<Self, Box<dyn Error>> {
        let mut public_key = None;
        if is_validator {
            let key = KeyFile::Plain(ConsensusKey::generate());
            keys::create(&directory.join(VALIDATOR_KEY), &key)?;
            public_key = Some(B256::from(key.public_key().to_bytes()));
        }
        let peer_id = keys::load_or_create_node_key(&directory.join(NODE_KEY))?.peer_id().to_string();
        Ok(Self { name, peer_id, public_key })
    }

    /// The key that verifies its votes, if it is a validator.
    ///
    /// # Errors
    /// When the file was spoilt.
    pub fn verifying_key(&self) -> Result<Option<VerifyingKey>, String> {
        let spoilt = |key, error| format!("the public key {key} of {} is none: {error}", self.name);
        let key = self.public_key.map(|key| VerifyingKey::from_bytes(&key.0).map_err(|error| spoilt(key, error)));
        key.transpose()
    }
}

/// The public parts of all identities, in the order in which they were made. They stand in a file of their own: later
/// runs need no key, which by then may be on another machine, or another user's.
#[derive(Debug, Default)]
pub struct Identities {
    /// Where they are kept; nowhere in a layout that is written once.
    file: Option<PathBuf>,
    list: Vec<Identity>,
}

impl Identities {
    /// Reads the file of a network's directory; none at the first run.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn open(out: &Path) -> Result<Self, String> {
        let file = out.join("identities.json");
        let list = match std::fs::read(&file) {
            Ok(content) => serde_json::from_slice(&content)
                .map_err(|error| format!("{} is not what this command wrote: {error}", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(format!("cannot read {}: {error}", file.display())),
        };
        Ok(Self { file: Some(file), list })
    }

    /// All of them.
    pub fn all(&self) -> &[Identity] {
        &self.list
    }

    /// The node of this name, and its place among all.
    pub fn get(&self, name: &str) -> Option<(usize, &Identity)> {
        self.list.iter().enumerate().find(|(_, identity)| identity.name == name)
    }

    /// Adds one that was just made.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn add(&mut self, identity: Identity) -> Result<(), Box<dyn Error>> {
        self.list.push(identity);
        match &self.file {
            Some(file) => Ok(write_public(file, &(serde_json::to_string_pretty(&self.list)? + "\n"))?),
            None => Ok(()),
        }
    }
}
