//! Nodes in memory, and their RLP.

use alloy_primitives::B256;
use alloy_rlp::Error;
use alloy_trie::Nibbles;
use alloy_trie::nodes::{BranchNode, ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode};

/// What a parent knows of a node.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// There is none.
    #[default]
    Empty,
    /// It has a row and was not read.
    Stored(B256),
    /// It is in memory.
    Loaded(Box<Node>),
}

/// The children of a branch, by nibble.
pub(super) type Children = Box<[Link; 16]>;

/// A node in memory.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// The rest of a key, and its value.
    Leaf { key: Nibbles, value: Vec<u8> },
    /// Nibbles that all keys below share; the child is a branch.
    Extension { key: Nibbles, child: Link },
    /// Keys that differ in the next nibble. Keys are equally long, so a branch has no value of its own.
    Branch(Children),
}

impl From<Node> for Link {
    fn from(node: Node) -> Self {
        Self::Loaded(Box::new(node))
    }
}

impl Node {
    /// Reads a row; `nibbles_left` is the length of a key less the length of the path.
    pub(super) fn decode(row: &[u8], nibbles_left: usize) -> alloy_rlp::Result<Self> {
        match alloy_rlp::decode_exact(row)? {
            TrieNode::Leaf(leaf) if leaf.key.len() == nibbles_left && !leaf.value.is_empty() => {
                Ok(Self::Leaf { key: leaf.key, value: leaf.value })
            }
            TrieNode::Extension(extension) if !extension.key.is_empty() && extension.key.len() < nibbles_left => {
                let child = Link::decode(&extension.child, nibbles_left - extension.key.len())?;
                Ok(Self::Extension { key: extension.key, child })
            }
            TrieNode::Branch(branch) if nibbles_left > 0 => {
                let mut children = Children::default();
                for (nibble, child) in branch.state_mask.iter().zip(&branch.stack) {
                    *child_mut(&mut children, nibble) = Link::decode(child, nibbles_left - 1)?;
                }
                Ok(Self::Branch(children))
            }
            _ => Err(Error::Custom("not a node of this depth")),
        }
    }

    /// A branch under `common` with two children, each given with its nibble.
    pub(super) fn fork(common: Nibbles, one: (u8, Link), other: (u8, Link)) -> Self {
        let mut children = Children::default();
        for (nibble, child) in [one, other] {
            *child_mut(&mut children, nibble) = child;
        }
        let branch = Self::Branch(children);
        if common.is_empty() { branch } else { Self::Extension { key: common, child: branch.into() } }
    }

    /// A branch below `prefix`, which may be empty.
    pub(super) fn extend(prefix: Nibbles, branch: Link) -> Link {
        if prefix.is_empty() { branch } else { Self::Extension { key: prefix, child: branch }.into() }
    }
}

impl Link {
    fn decode(reference: &RlpNode, nibbles_left: usize) -> alloy_rlp::Result<Self> {
        match reference.as_hash() {
            Some(hash) => Ok(Self::Stored(hash)),
            None => Node::decode(reference, nibbles_left).map(Self::from),
        }
    }
}

/// The child at a nibble, which is less than 16.
pub(super) fn child_mut(children: &mut Children, nibble: u8) -> &mut Link {
    &mut children[usize::from(nibble & 0x0f)]
}

pub(super) fn encode_leaf(key: &Nibbles, value: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(LeafNodeRef::new(key, value))
}

pub(super) fn encode_extension(key: &Nibbles, child: &RlpNode) -> Vec<u8> {
    alloy_rlp::encode(ExtensionNodeRef::new(key, child))
}

/// Encodes a branch from the references of its sixteen children; an empty reference is no child.
pub(super) fn encode_branch(references: impl Iterator<Item = RlpNode>) -> Vec<u8> {
    let mut branch = BranchNode::default();
    for (reference, nibble) in references.zip(0..) {
        if !reference.is_empty() {
            branch.state_mask.set_bit(nibble);
            branch.stack.push(reference);
        }
    }
    alloy_rlp::encode(branch)
}
