//! An incremental Merkle-Patricia trie over stored nodes.
//!
//! Nodes are stored by path. A trie loads the nodes that its changes touch, changes them in memory, and reports how the
//! stored ones differ afterwards. A node shorter than 32 bytes is embedded in its parent (Yellow Paper, appendix D) and has
//! no row; the root has a row at any length. A subtree's path never changes, so what was not loaded stays as it is.

mod node;

use crate::StateError;
use crate::rows::TrieId;
use alloy_primitives::{B256, keccak256};
use alloy_trie::nodes::RlpNode;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use heddle_storage::{Snapshot, Table};
use node::{Children, Link, Node};
use rayon::prelude::*;
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// Nibbles of a key: all keys are hashes.
const KEY_NIBBLES: usize = 64;

/// From how many changes on the subtrees of the root are changed at once; fewer cost less than handing them out.
const PARALLEL_CHANGES_MIN: usize = 32;

/// A key and its new value; `None` removes it.
pub(crate) type Change = (B256, Option<Vec<u8>>);

/// A trie being changed.
pub(crate) struct Trie<'a> {
    snapshot: &'a Snapshot,
    id: TrieId,
    root: Link,
    /// The rows that were read, by path: those whose node is gone at the end must be deleted.
    loaded: BTreeMap<Nibbles, Vec<u8>>,
}

/// What changes of a trie come to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TrieUpdate {
    /// The new root hash.
    pub(crate) root: B256,
    /// Keys of [`Table::TrieNodes`] with their new rows; `None` deletes.
    pub(crate) nodes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl<'a> Trie<'a> {
    /// Opens the stored trie.
    pub(crate) fn open(snapshot: &'a Snapshot, id: TrieId) -> Result<Self, StateError> {
        let mut trie = Self { snapshot, id, root: Link::Empty, loaded: BTreeMap::new() };
        let path = Nibbles::new();
        if let Some(row) = snapshot.get(Table::TrieNodes, id.node_key(&path))? {
            trie.root = Link::from(trie.decode(path, row)?);
        }
        Ok(trie)
    }

    /// Applies changes in their order: a value, which must not be empty, sets its key, and `None` removes it.
    pub(crate) fn apply(&mut self, changes: Vec<Change>) -> Result<(), StateError> {
        let root = std::mem::take(&mut self.root);
        self.root = match self.load(root, Nibbles::new())? {
            Some(Node::Branch(children)) if changes.len() >= PARALLEL_CHANGES_MIN => {
                self.apply_in_parallel(children, changes)?
            }
            root => self.apply_below(root.map_or(Link::Empty, Link::from), 0, changes)?,
        };
        Ok(())
    }

    /// Applies changes to the sixteen subtrees below a branch at the root, which have no node in common.
    fn apply_in_parallel(&mut self, mut children: Children, changes: Vec<Change>) -> Result<Link, StateError> {
        let mut groups = vec![Vec::new(); children.len()];
        for (key, value) in changes {
            groups[usize::from(key[0] >> 4)].push((key, value));
        }
        let subtrees = children.par_iter_mut().zip(groups).map(|(child, changes)| {
            let mut subtree = Trie { snapshot: self.snapshot, id: self.id, root: Link::Empty, loaded: BTreeMap::new() };
            *child = subtree.apply_below(std::mem::take(child), 1, changes)?;
            Ok(subtree.loaded)
        });
        for loaded in subtrees.collect::<Result<Vec<_>, StateError>>()? {
            self.loaded.extend(loaded);
        }
        self.branch(Nibbles::new(), children)
    }

    /// What becomes of a link at the first `depth` nibbles that the keys share.
    fn apply_below(&mut self, mut link: Link, depth: usize, changes: Vec<Change>) -> Result<Link, StateError> {
        for (key, value) in changes {
            let key = Nibbles::unpack(key);
            link = match value {
                Some(value) => self.insert_below(link, &key, depth, value)?.into(),
                None => self.remove_below(link, &key, depth)?,
            };
        }
        Ok(link)
    }

    /// Hashes what changed.
    pub(crate) fn finish(mut self) -> TrieUpdate {
        let mut nodes = Vec::new();
        let mut put = Vec::new();
        let root = match &self.root {
            Link::Empty => EMPTY_ROOT_HASH,
            Link::Stored(hash) => *hash,
            Link::Loaded(node) => {
                encode_subtree(node, Nibbles::new(), &mut put);
                // A subtree comes before the node above it, so the root is last.
                put.last().map_or(EMPTY_ROOT_HASH, |(_, row)| keccak256(row))
            }
        };
        for (path, row) in put {
            if self.loaded.remove(&path).as_ref() != Some(&row) {
                nodes.push((self.id.node_key(&path), Some(row)));
            }
        }
        nodes.extend(self.loaded.keys().map(|path| (self.id.node_key(path), None)));
        TrieUpdate { root, nodes }
    }

    /// The node with `value` at `key` that replaces `link`, which stands at the first `depth` nibbles of the key.
    fn insert_below(&mut self, link: Link, key: &Nibbles, depth: usize, value: Vec<u8>) -> Result<Node, StateError> {
        let rest = key.slice(depth..);
        match self.load(link, key.slice(..depth))? {
            None => Ok(Node::Leaf { key: rest, value }),
            Some(Node::Branch(mut children)) => {
                let child = node::child_mut(&mut children, key.get_unchecked(depth));
                *child = self.insert_below(std::mem::take(child), key, depth + 1, value)?.into();
                Ok(Node::Branch(children))
            }
            Some(Node::Leaf { key: suffix, .. }) if suffix == rest => Ok(Node::Leaf { key: rest, value }),
            Some(Node::Leaf { key: suffix, value: other }) => {
                let common = rest.common_prefix_length(&suffix);
                let leaf = |key: Nibbles, value| Node::Leaf { key: key.slice(common + 1..), value }.into();
                let old = (suffix.get_unchecked(common), leaf(suffix, other));
                let new = (rest.get_unchecked(common), leaf(rest, value));
                Ok(Node::fork(rest.slice(..common), old, new))
            }
            Some(Node::Extension { key: prefix, child }) => {
                let common = rest.common_prefix_length(&prefix);
                if common == prefix.len() {
                    let child = self.insert_below(child, key, depth + common, value)?.into();
                    return Ok(Node::Extension { key: prefix, child });
                }
                let old = (prefix.get_unchecked(common), Node::extend(prefix.slice(common + 1..), child));
                let leaf = Node::Leaf { key: rest.slice(common + 1..), value };
                Ok(Node::fork(rest.slice(..common), old, (rest.get_unchecked(common), leaf.into())))
            }
        }
    }

    /// What replaces `link`, which stands at the first `depth` nibbles of the key, without that key.
    fn remove_below(&mut self, link: Link, key: &Nibbles, depth: usize) -> Result<Link, StateError> {
        let (path, rest) = (key.slice(..depth), key.slice(depth..));
        match self.load(link, path)? {
            None => Ok(Link::Empty),
            Some(Node::Leaf { key: suffix, .. }) if suffix == rest => Ok(Link::Empty),
            Some(Node::Extension { key: prefix, child }) if rest.starts_with(&prefix) => {
                let child = self.remove_below(child, key, depth + prefix.len())?;
                self.merge(path, prefix, child)
            }
            Some(Node::Branch(mut children)) => {
                let child = node::child_mut(&mut children, key.get_unchecked(depth));
                *child = self.remove_below(std::mem::take(child), key, depth + 1)?;
                self.branch(path, children)
            }
            Some(other) => Ok(other.into()),
        }
    }

    /// What stands at `path` for a branch that may have lost children.
    fn branch(&mut self, path: Nibbles, mut children: Children) -> Result<Link, StateError> {
        let mut present = children.iter_mut().zip(0..).filter(|(child, _)| **child != Link::Empty);
        match (present.next(), present.next()) {
            (None, _) => Ok(Link::Empty),
            (Some((child, nibble)), None) => {
                let child = std::mem::take(child);
                self.merge(path, Nibbles::from_nibbles_unchecked([nibble]), child)
            }
            _ => Ok(Node::Branch(children).into()),
        }
    }

    /// `prefix` at `path` and what follows it, as one node where the rules allow no two.
    fn merge(&mut self, path: Nibbles, prefix: Nibbles, child: Link) -> Result<Link, StateError> {
        let merged = match self.load(child, path.join(&prefix))? {
            None => return Ok(Link::Empty),
            Some(Node::Leaf { key, value }) => Node::Leaf { key: prefix.join(&key), value },
            Some(Node::Extension { key, child }) => Node::Extension { key: prefix.join(&key), child },
            Some(branch) => Node::Extension { key: prefix, child: branch.into() },
        };
        Ok(merged.into())
    }

    /// The node that a link at a path leads to, read if it must be.
    fn load(&mut self, link: Link, path: Nibbles) -> Result<Option<Node>, StateError> {
        match link {
            Link::Empty => Ok(None),
            Link::Loaded(node) => Ok(Some(*node)),
            Link::Stored(_) => {
                let key = self.id.node_key(&path);
                let row = self.snapshot.get(Table::TrieNodes, &key)?;
                let row = row.ok_or_else(|| StateError::corrupt(Table::TrieNodes, &key, "a node is missing"))?;
                self.decode(path, row).map(Some)
            }
        }
    }

    fn decode(&mut self, path: Nibbles, row: Vec<u8>) -> Result<Node, StateError> {
        let node = Node::decode(&row, KEY_NIBBLES.saturating_sub(path.len()))
            .map_err(|error| StateError::corrupt(Table::TrieNodes, &self.id.node_key(&path), error))?;
        self.loaded.insert(path, row);
        Ok(node)
    }
}

/// Encodes a node and the loaded ones below it, adds the rows they need to `put`, those below first, and returns the
/// reference that the parent holds.
fn encode_subtree(node: &Node, path: Nibbles, put: &mut Vec<(Nibbles, Vec<u8>)>) -> RlpNode {
    let row = match node {
        Node::Leaf { key, value } => node::encode_leaf(key, value),
        Node::Extension { key, child } => node::encode_extension(key, &encode_link(child, path.join(key), put)),
        Node::Branch(children) if path.is_empty() => {
            // The widest point of the trie: its sixteen subtrees are hashed at once.
            let encoded = children.par_iter().enumerate().map(|(nibble, child)| {
                let mut put = Vec::new();
                (encode_link(child, Nibbles::from_nibbles_unchecked([nibble as u8]), &mut put), put)
            });
            let encoded: Vec<_> = encoded.collect();
            node::encode_branch(encoded.into_iter().map(|(reference, mut below)| {
                put.append(&mut below);
                reference
            }))
        }
        Node::Branch(children) => node::encode_branch(children.iter().enumerate().map(|(nibble, child)| {
            let mut path = path;
            path.push(nibble as u8);
            encode_link(child, path, put)
        })),
    };
    let reference = RlpNode::from_rlp(&row);
    if reference.is_hash() || path.is_empty() {
        put.push((path, row));
    }
    reference
}

/// The reference that a parent holds for a link; empty for none.
fn encode_link(link: &Link, path: Nibbles, put: &mut Vec<(Nibbles, Vec<u8>)>) -> RlpNode {
    match link {
        Link::Empty => RlpNode::default(),
        Link::Stored(hash) => RlpNode::word_rlp(hash),
        Link::Loaded(node) => encode_subtree(node, path, put),
    }
}
