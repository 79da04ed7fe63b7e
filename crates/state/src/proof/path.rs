//! The nodes on the path to a key.

use crate::StateError;
use crate::trie::branch::encode_leaf;
use crate::trie::source::Source;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::nodes::RlpNode;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// The nodes from the root of a trie to where a key's path ends, without those that their parents embed, and the value
/// if it ends at the key's leaf.
pub(super) fn prove(source: &impl Source, root: B256, key: B256) -> Result<(Vec<Bytes>, Option<Vec<u8>>), StateError> {
    let key = Nibbles::unpack_array(&key);
    let mut walk = Walk { source, key, nodes: Vec::new() };
    let value = if root == EMPTY_ROOT_HASH { None } else { walk.run(root)? };
    Ok((walk.nodes, value))
}

struct Walk<'s, S> {
    source: &'s S,
    key: Nibbles,
    nodes: Vec<Bytes>,
}

impl<S: Source> Walk<'_, S> {
    fn run(&mut self, root: B256) -> Result<Option<Vec<u8>>, StateError> {
        let mut path = Nibbles::new();
        let mut reference = RlpNode::word_rlp(&root);
        let Some(mut branch) = self.source.branch(&path)? else { return self.leaf(&path, &reference) };
        loop {
            self.add(&path, branch.encode_top(), &reference)?;
            if !self.key.slice(path.len()..).starts_with(&branch.extension) {
                return Ok(None);
            }
            if !branch.extension.is_empty() {
                let node = branch.encode_branch();
                let child = RlpNode::from_rlp(&node);
                self.add(&path, node, &child)?;
                path = path.join(&branch.extension);
            }
            let nibble = self.key.get_unchecked(path.len());
            path.push(nibble);
            reference = branch.child(nibble).clone();
            if reference.is_empty() {
                return Ok(None);
            }
            if !branch.is_branch(nibble) {
                return self.leaf(&path, &reference);
            }
            branch = self.source.branch(&path)?.ok_or_else(|| self.source.corrupt(&path, "a branch is missing"))?;
        }
    }

    fn leaf(&mut self, path: &Nibbles, reference: &RlpNode) -> Result<Option<Vec<u8>>, StateError> {
        let leaf = self.source.leaf(path)?.ok_or_else(|| self.source.corrupt(path, "a leaf is missing"))?;
        self.add(path, encode_leaf(&leaf.key, path.len(), &leaf.value), reference)?;
        Ok((leaf.key == self.key).then(|| leaf.value.into_owned()))
    }

    /// Adds a node, unless its parent embeds it.
    fn add(&mut self, path: &Nibbles, node: Vec<u8>, reference: &RlpNode) -> Result<(), StateError> {
        let is_root = self.nodes.is_empty();
        let expected = if is_root { RlpNode::word_rlp(&keccak256(&node)) } else { RlpNode::from_rlp(&node) };
        if expected != *reference {
            return Err(self.source.corrupt(path, "a node is not what its parent says"));
        }
        if is_root || reference.is_hash() {
            self.nodes.push(node.into());
        }
        Ok(())
    }
}
