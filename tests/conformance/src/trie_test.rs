//! Trie tests: keys and values, and the root of the trie that has them.

use crate::number::parse_bytes;
use crate::skips;
use crate::verdict::Verdict;
use alloy_primitives::{B256, keccak256};
use alloy_trie::{HashBuilder, Nibbles};
use heddle_state::verify_range;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct TrieTest {
    #[serde(rename = "in")]
    input: Input,
    root: B256,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    /// In any order.
    Map(BTreeMap<String, Option<String>>),
    /// In this order; a later value replaces an earlier one, and `null` removes it.
    List(Vec<(String, Option<String>)>),
}

/// Judges a test; the keys of a secure trie are hashed.
pub(crate) fn run(test: Value, is_secure: bool) -> Verdict {
    judge(test, is_secure).unwrap_or_else(Verdict::Failed)
}

fn judge(test: Value, is_secure: bool) -> Result<Verdict, String> {
    let test: TrieTest = serde_json::from_value(test).map_err(|error| format!("not a trie test: {error}"))?;
    let changes = match test.input {
        Input::Map(map) => map.into_iter().collect(),
        Input::List(list) => list,
    };
    let mut leaves = BTreeMap::new();
    for (key, value) in changes {
        let key = bytes(&key)?;
        let key = if is_secure { keccak256(&key).to_vec() } else { key };
        match value {
            Some(value) => leaves.insert(key, bytes(&value)?),
            None => leaves.remove(&key),
        };
    }
    let keys = leaves.keys().zip(leaves.keys().skip(1));
    if keys.into_iter().any(|(key, next)| next.starts_with(key)) {
        return Ok(Verdict::Skipped(skips::TRIE_VALUE_IN_BRANCH.reason));
    }
    let mut builder = HashBuilder::default();
    for (key, value) in &leaves {
        builder.add_leaf(Nibbles::unpack(key), value);
    }
    let root = builder.root();
    if root != test.root {
        return Err(format!("root: expected {}, got {root}", test.root));
    }
    if is_secure {
        check_by_state_trie(test.root, leaves)?;
    }
    Ok(Verdict::Passed)
}

/// The trie of the node's own state, which has hashed keys only: its verifier must rebuild the same root.
fn check_by_state_trie(root: B256, leaves: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<(), String> {
    let leaves: Vec<_> = leaves.into_iter().map(|(key, value)| (B256::from_slice(&key), value)).collect();
    match verify_range(root, B256::ZERO, &leaves, &[]) {
        Ok(false) => Ok(()),
        Ok(true) => Err("the state's trie claims more keys than there are".to_owned()),
        Err(error) => Err(format!("the state's trie: {error}")),
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    if text.starts_with("0x") { Ok(parse_bytes(text)?.to_vec()) } else { Ok(text.as_bytes().to_vec()) }
}
