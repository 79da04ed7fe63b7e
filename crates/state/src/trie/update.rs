//! The update: one recursive pass over sorted changes.

use super::branch::{Branch, encode_leaf, hash_root};
use super::source::{Leaf, Source};
use crate::StateError;
use alloy_primitives::B256;
use alloy_trie::nodes::{LeafNodeRef, RlpNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use rayon::prelude::*;
use std::borrow::Cow;
use std::sync::Arc;

/// From how many changes on the subtries of a branch are changed at once; fewer cost less than handing them out.
const PARALLEL_CHANGES_MIN: usize = 64;

/// What becomes of a key.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    /// All nibbles of the key.
    pub(crate) key: Nibbles,
    /// The leaf's new value, not empty; `None` removes the key.
    pub(crate) value: Option<Cow<'a, [u8]>>,
    /// Whether the key is in the trie: only such a key may be removed.
    pub(crate) existed: bool,
}

/// Rows that differ after an update, by path; `None` deletes.
pub(crate) type Rows = Vec<(Nibbles, Option<Arc<[u8]>>)>;

/// What changes of a trie come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TrieUpdate {
    /// The new root hash.
    pub(crate) root: B256,
    /// The rows that differ, no path twice.
    pub(crate) rows: Rows,
}

/// Computes what changes, which are sorted by key and no key twice, make of the trie with this root.
///
/// # Errors
/// [`StateError::Corrupt`] when the trie lacks what its branches or the changes say is there; the disk's.
pub(crate) fn update(source: &impl Source, root: B256, changes: &[Change<'_>]) -> Result<TrieUpdate, StateError> {
    if changes.is_empty() {
        return Ok(TrieUpdate { root, rows: Rows::new() });
    }
    let pass = Pass { source };
    let mut output = Output::default();
    let path = Nibbles::new();
    let before = pass.open_root(root)?;
    let had_row = matches!(before, Node::Branch(_));
    let after = pass.apply(path, before, changes, &mut output)?;
    let root = match &after {
        Node::Empty => EMPTY_ROOT_HASH,
        Node::Leaf(leaf) => hash_root(&encode_leaf(&leaf.key, 0, &leaf.value)),
        Node::Branch(branch) => hash_root(&branch.encode_top()),
    };
    match after {
        Node::Branch(branch) => output.put(path, &branch),
        _ if had_row => output.rows.push((path, None)),
        _ => {}
    }
    Ok(TrieUpdate { root, rows: output.rows })
}

/// Where a pass puts its rows.
#[derive(Default)]
struct Output {
    rows: Rows,
    /// Memory for encoding one node at a time.
    buffer: Vec<u8>,
}

impl Output {
    fn put(&mut self, path: Nibbles, branch: &Branch) {
        self.buffer.clear();
        branch.encode_row_into(&mut self.buffer);
        self.rows.push((path, Some(self.buffer.as_slice().into())));
    }
}

/// The top of a subtrie in memory. Its row and its reference are made by whoever learns that it stays at its path:
/// a node below a branch that loses all other children moves up.
enum Node<'a> {
    Empty,
    Leaf(Leaf<'a>),
    Branch(Box<Branch>),
}

struct Pass<'s, S> {
    source: &'s S,
}

impl<S: Source> Pass<'_, S> {
    fn open_root(&self, root: B256) -> Result<Node<'static>, StateError> {
        let path = Nibbles::new();
        if root == EMPTY_ROOT_HASH {
            return Ok(Node::Empty);
        }
        if let Some(branch) = self.source.branch(&path)? {
            return Ok(Node::Branch(branch));
        }
        // Only the hash tells a trie of one leaf from one whose row is missing.
        let leaf = self.leaf(&path)?;
        if hash_root(&encode_leaf(&leaf.key, 0, &leaf.value)) != root {
            return Err(self.source.corrupt(&path, "the root is missing"));
        }
        Ok(Node::Leaf(leaf))
    }

    /// Changes the subtrie at a path, below which all changes are.
    fn apply<'c>(
        &self,
        path: Nibbles,
        node: Node<'c>,
        changes: &[Change<'c>],
        output: &mut Output,
    ) -> Result<Node<'c>, StateError> {
        match node {
            Node::Empty if changes.iter().any(|change| change.existed) => {
                Err(self.source.corrupt(&path, "a leaf is missing"))
            }
            Node::Empty => self.build(path, changes, output),
            Node::Leaf(leaf) => {
                let at = changes.partition_point(|change| change.key < leaf.key);
                let mut changes = changes.to_vec();
                if changes.get(at).is_none_or(|change| change.key != leaf.key) {
                    changes.insert(at, Change { key: leaf.key, value: Some(leaf.value), existed: false });
                }
                self.build(path, &changes, output)
            }
            Node::Branch(branch) => self.apply_to_branch(path, branch, changes, output),
        }
    }

    /// Makes a subtrie of the keys that are not removed; nothing else is in it.
    fn build<'c>(&self, path: Nibbles, changes: &[Change<'c>], output: &mut Output) -> Result<Node<'c>, StateError> {
        match changes {
            [] => Ok(Node::Empty),
            [Change { key, value, .. }] => Ok(match value.clone() {
                Some(value) => Node::Leaf(Leaf { key: *key, value }),
                None => Node::Empty,
            }),
            _ if changes.iter().any(|change| change.existed || change.value.is_none()) => {
                let kept = changes.iter().filter(|change| change.value.is_some());
                let added: Vec<_> = kept.map(|change| Change { existed: false, ..change.clone() }).collect();
                self.build(path, &added, output)
            }
            [first, .., last] => {
                let common = first.key.common_prefix_length(&last.key);
                let branch = Branch { extension: first.key.slice(path.len()..common), ..Branch::default() };
                self.apply_to_children(path, branch.into(), None, changes, output)
            }
        }
    }

    fn apply_to_branch<'c>(
        &self,
        path: Nibbles,
        mut branch: Box<Branch>,
        changes: &[Change<'c>],
        output: &mut Output,
    ) -> Result<Node<'c>, StateError> {
        let (Some(first), Some(last)) = (changes.first(), changes.last()) else { return Ok(Node::Branch(branch)) };
        let point = path.join(&branch.extension);
        // Sorted keys part from the branch's prefix first at one of the ends.
        let common = point.common_prefix_length(&first.key).min(point.common_prefix_length(&last.key));
        if common == point.len() {
            return self.apply_to_children(path, branch, None, changes, output);
        }
        let upper = Branch { extension: point.slice(path.len()..common), ..Branch::default() };
        branch.extension = point.slice(common + 1..);
        self.apply_to_children(path, upper.into(), Some((point.get_unchecked(common), branch)), changes, output)
    }

    /// Changes what is below a branch at a path; `open` is a child that is in memory and not yet set in the branch.
    fn apply_to_children<'c>(
        &self,
        path: Nibbles,
        mut branch: Box<Branch>,
        open: Option<(u8, Box<Branch>)>,
        changes: &[Change<'c>],
        output: &mut Output,
    ) -> Result<Node<'c>, StateError> {
        let point = path.join(&branch.extension);
        let touched = self.change_children(&point, &branch, open, changes, output)?;
        let mut kept = branch.nibbles();
        for (nibble, node) in &touched {
            match node {
                Node::Empty => kept.unset_bit(*nibble),
                _ => kept.set_bit(*nibble),
            }
        }
        let stays = kept.count_bits() > 1;
        let mut only = Node::Empty;
        for (nibble, node) in touched {
            let path = child_path(&point, nibble);
            if branch.is_branch(nibble) && !(stays && matches!(node, Node::Branch(_))) {
                output.rows.push((path, None));
            }
            if stays {
                let (child, is_leaf) = close(path, node, output);
                branch.set_child(nibble, child, is_leaf);
            } else if kept.is_bit_set(nibble) {
                only = node;
            }
        }
        match kept.first_set_bit_index() {
            _ if stays => Ok(Node::Branch(branch)),
            Some(nibble) => self.move_up(&point, &branch, nibble, only, output),
            None => Ok(Node::Empty),
        }
    }

    /// The children below `point` that changes or `open` touch, in the order of their nibbles, as they are afterwards.
    fn change_children<'c>(
        &self,
        point: &Nibbles,
        branch: &Branch,
        open: Option<(u8, Box<Branch>)>,
        changes: &[Change<'c>],
        output: &mut Output,
    ) -> Result<Vec<(u8, Node<'c>)>, StateError> {
        let mut groups: Vec<_> = changes
            .chunk_by(|a, b| a.key.get_unchecked(point.len()) == b.key.get_unchecked(point.len()))
            .map(|group| (group[0].key.get_unchecked(point.len()), group, None))
            .collect();
        if let Some((nibble, open)) = open {
            match groups.binary_search_by_key(&nibble, |group| group.0) {
                Ok(index) => groups[index].2 = Some(open),
                Err(index) => groups.insert(index, (nibble, &[], Some(open))),
            }
        }
        let change = |(nibble, changes, open): (u8, &[Change<'c>], Option<Box<Branch>>), output: &mut Output| {
            let path = child_path(point, nibble);
            let node = match open {
                Some(open) => self.apply_to_branch(path, open, changes, output),
                None => self.change_child(path, branch, nibble, changes, output),
            };
            Ok::<_, StateError>((nibble, node?))
        };
        if changes.len() < PARALLEL_CHANGES_MIN || groups.len() < 2 {
            return groups.into_iter().map(|group| change(group, output)).collect();
        }
        let changed = groups.into_par_iter().map(|group| {
            let mut output = Output::default();
            change(group, &mut output).map(|child| (child, output.rows))
        });
        let changed = changed.collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(changed.map(|(child, mut below)| (output.rows.append(&mut below), child).1).collect())
    }

    /// Changes the stored child at a nibble.
    fn change_child<'c>(
        &self,
        path: Nibbles,
        branch: &Branch,
        nibble: u8,
        changes: &[Change<'c>],
        output: &mut Output,
    ) -> Result<Node<'c>, StateError> {
        let node = if branch.is_branch(nibble) {
            Node::Branch(self.branch(&path)?)
        } else if branch.child(nibble).is_empty() {
            Node::Empty
        } else if changes.iter().any(|change| change.existed) {
            // That leaf is the one that is replaced or removed: there is nothing else to keep.
            return self.build(path, changes, output);
        } else {
            Node::Leaf(self.leaf(&path)?)
        };
        self.apply(path, node, changes, output)
    }

    /// What takes the place of a branch that keeps one child: that child, `changed` unless it was not touched.
    fn move_up<'c>(
        &self,
        point: &Nibbles,
        branch: &Branch,
        nibble: u8,
        changed: Node<'c>,
        output: &mut Output,
    ) -> Result<Node<'c>, StateError> {
        let path = child_path(point, nibble);
        let child = match changed {
            Node::Empty if branch.is_branch(nibble) => {
                output.rows.push((path, None));
                Node::Branch(self.branch(&path)?)
            }
            Node::Empty => Node::Leaf(self.leaf(&path)?),
            changed => changed,
        };
        Ok(match child {
            Node::Branch(mut child) => {
                let above = path.slice(point.len() - branch.extension.len()..);
                child.extension = above.join(&child.extension);
                Node::Branch(child)
            }
            other => other,
        })
    }

    fn branch(&self, path: &Nibbles) -> Result<Box<Branch>, StateError> {
        self.source.branch(path)?.ok_or_else(|| self.source.corrupt(path, "a branch is missing"))
    }

    fn leaf(&self, prefix: &Nibbles) -> Result<Leaf<'static>, StateError> {
        self.source.leaf(prefix)?.ok_or_else(|| self.source.corrupt(prefix, "a leaf is missing"))
    }
}

/// Makes the row of a node that stays at its path; returns what its parent holds for it, and whether it is a leaf.
fn close(path: Nibbles, node: Node<'_>, output: &mut Output) -> (RlpNode, bool) {
    match node {
        Node::Empty => (RlpNode::default(), false),
        Node::Leaf(leaf) => {
            output.buffer.clear();
            (LeafNodeRef::new(&leaf.key.slice(path.len()..), &leaf.value).rlp(&mut output.buffer), true)
        }
        Node::Branch(branch) => {
            output.put(path, &branch);
            (branch.reference(&mut output.buffer), false)
        }
    }
}

fn child_path(point: &Nibbles, nibble: u8) -> Nibbles {
    let mut path = *point;
    path.push(nibble);
    path
}
