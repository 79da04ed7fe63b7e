//! Range proofs, as snap sync uses them: some leaves that follow each other in a trie, and the trie's nodes above both
//! ends, prove that the trie holds these leaves between the ends and no other.
//!
//! The proof is checked from the root down, so that only nodes of the very trie are ever decoded: a node at an end is
//! found among those given by the hash that its parent holds; a subtree wholly between the ends is built from the
//! leaves and must give what its parent holds; a subtree outside says nothing, except that there is more. Where subtrees
//! do not give what their parents hold, the rest still is what it is: so leaves of one trie are compared with another.

use crate::rows::LAST_KEY;
use alloy_primitives::map::HashMap;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::nodes::{BranchNode, ExtensionNodeRef, LeafNodeRef, RlpNode, TrieNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// Nibbles of a key.
const KEY_NIBBLES: usize = 64;
/// The most nodes on the paths to both ends.
const PROOF_NODES_MAX: usize = 2 * (KEY_NIBBLES + 1);

/// Why a range proof proves nothing. All of it is the prover's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeProofError {
    /// A key is not greater than the one before it.
    #[error("the key at position {index} of the range is not greater than the one before it")]
    Order {
        /// Position of the later key.
        index: usize,
    },
    /// A key lies before the start.
    #[error("key {key} lies before the start of the range {start}")]
    BeforeStart {
        /// The first key.
        key: B256,
        /// The start asked for.
        start: B256,
    },
    /// Tries hold no empty values.
    #[error("the value at position {index} of the range is empty")]
    EmptyValue {
        /// Its position.
        index: usize,
    },
    /// More nodes than two paths have.
    #[error("{nodes} proof nodes are more than the paths to two keys have ({PROOF_NODES_MAX})")]
    TooManyNodes {
        /// How many were given.
        nodes: usize,
    },
    /// A node above an end of the range was not given.
    #[error("the proof lacks the node with hash {0}")]
    MissingNode(B256),
    /// A node of the trie does not decode.
    #[error("a proof node is not a trie node: {0}")]
    InvalidNode(alloy_rlp::Error),
    /// The answer goes on behind the first key that is enough.
    #[error("key {key} lies behind the end of the range {last}, and is not the first that does")]
    BehindEnd {
        /// The key.
        key: B256,
        /// The end asked for.
        last: B256,
    },
    /// Not one to as many tries as were asked for.
    #[error("{found} ranges answer a request of 1 to {asked}")]
    Count {
        /// How many ranges there are.
        found: usize,
        /// How many were asked for.
        asked: usize,
    },
    /// The trie holds something else there.
    #[error("the keys from {from} to {to} of the trie are not those of the range")]
    Mismatch {
        /// The first key of the subtree that differs.
        from: B256,
        /// Its last key.
        to: B256,
    },
}

/// Checks that the trie with this root holds, from `start` to the last key of `leaves` inclusive, exactly these leaves;
/// to the end of the trie when there are none. Without proof nodes the leaves must be the whole trie. Returns whether
/// the trie holds more keys behind the last.
///
/// A leaf is a hashed key and what the trie holds there: an account's RLP, or the RLP of a slot's value. `proof` is
/// the nodes on the paths to `start` and to the last key, in any order; others are ignored.
///
/// # Errors
/// The prover's, whatever it sent.
pub fn verify_range<V: AsRef<[u8]>>(
    root: B256,
    start: B256,
    leaves: &[(B256, V)],
    proof: &[Bytes],
) -> Result<bool, RangeProofError> {
    let end = leaves.last().map_or(LAST_KEY, |(last, _)| *last);
    let mut range = Range::new(start, end, proof)?;
    check_leaves(start, leaves)?;
    range.check_root(root, leaves)?;
    match range.differences.first() {
        None => Ok(range.is_more),
        Some((from, to)) => Err(RangeProofError::Mismatch { from: *from, to: *to }),
    }
}

/// Compares the leaves that are known of a trie, from `first` to `last`, both included and leaves or not, with the trie
/// that has this root: returns the ranges in which it may hold others, in order and without gaps in between that are
/// not equal. `proof` is the nodes on the paths to `first` and to `last`. The coarser the leaves are hashed together, the
/// longer the ranges: about a sixteenth of what lies between the ends.
///
/// # Errors
/// The prover's, whatever the leaves are, unless these are out of order or out of the range.
pub(crate) fn differences<V: AsRef<[u8]>>(
    root: B256,
    (first, last): (B256, B256),
    leaves: &[(B256, V)],
    proof: &[Bytes],
) -> Result<Vec<(B256, B256)>, RangeProofError> {
    if proof.is_empty() && root != EMPTY_ROOT_HASH {
        return Err(RangeProofError::MissingNode(root));
    }
    let mut range = Range::new(first, last, proof)?;
    check_leaves(first, leaves)?;
    range.check_root(root, leaves)?;
    let clip = |(from, to): (B256, B256)| (from.max(first), to.min(last));
    Ok(range.differences.into_iter().map(clip).collect())
}

fn check_leaves<V: AsRef<[u8]>>(start: B256, leaves: &[(B256, V)]) -> Result<(), RangeProofError> {
    if let Some((key, _)) = leaves.first().filter(|(key, _)| *key < start) {
        return Err(RangeProofError::BeforeStart { key: *key, start });
    }
    if let Some(index) = leaves.windows(2).position(|pair| pair[0].0 >= pair[1].0) {
        return Err(RangeProofError::Order { index: index + 1 });
    }
    match leaves.iter().position(|(_, value)| value.as_ref().is_empty()) {
        Some(index) => Err(RangeProofError::EmptyValue { index }),
        None => Ok(()),
    }
}

/// What is claimed of the keys from `first` to `last`, both included, and what supports the claim.
struct Range<'a> {
    first: B256,
    last: B256,
    nodes: HashMap<B256, &'a Bytes>,
    is_more: bool,
    /// The keys of subtrees that hold something else than claimed, each from its first to its last, in order.
    differences: Vec<(B256, B256)>,
}

impl<'a> Range<'a> {
    /// Without proof nodes the claim is one of the whole trie.
    fn new(first: B256, last: B256, proof: &'a [Bytes]) -> Result<Self, RangeProofError> {
        if proof.len() > PROOF_NODES_MAX {
            return Err(RangeProofError::TooManyNodes { nodes: proof.len() });
        }
        let (first, last) = if proof.is_empty() { (B256::ZERO, LAST_KEY) } else { (first, last) };
        let nodes = proof.iter().map(|node| (keccak256(node), node)).collect();
        Ok(Self { first, last, nodes, is_more: false, differences: Vec::new() })
    }

    /// Notes that a subtree is not what was claimed.
    fn differ(&mut self, prefix: &Prefix) -> Result<(), RangeProofError> {
        self.differences.push((prefix.low, prefix.high()));
        Ok(())
    }

    /// A root is referred to by hash, however short it is.
    fn check_root<V: AsRef<[u8]>>(&mut self, root: B256, leaves: &[(B256, V)]) -> Result<(), RangeProofError> {
        let prefix = Prefix::default();
        if root == EMPTY_ROOT_HASH {
            return if leaves.is_empty() { Ok(()) } else { self.differ(&prefix) };
        }
        if self.holds(&prefix) {
            let found = build_subtree(leaves, 0).map(keccak256);
            return if found == Some(root) { Ok(()) } else { self.differ(&prefix) };
        }
        self.check_node(&RlpNode::word_rlp(&root), prefix, leaves)
    }

    /// Checks the subtree at a prefix; `leaves` are those claimed with this prefix.
    fn check<V: AsRef<[u8]>>(
        &mut self,
        reference: &RlpNode,
        prefix: Prefix,
        leaves: &[(B256, V)],
    ) -> Result<(), RangeProofError> {
        if prefix.high() < self.first {
            return Ok(());
        }
        if prefix.low > self.last {
            self.is_more = true;
            return Ok(());
        }
        if !self.holds(&prefix) {
            return self.check_node(reference, prefix, leaves);
        }
        let found = build_subtree(leaves, prefix.nibbles).map(|node| RlpNode::from_rlp(&node));
        if found.as_ref() == Some(reference) { Ok(()) } else { self.differ(&prefix) }
    }

    /// Checks a subtree across an end of the range: its node must be known.
    fn check_node<V: AsRef<[u8]>>(
        &mut self,
        reference: &RlpNode,
        prefix: Prefix,
        leaves: &[(B256, V)],
    ) -> Result<(), RangeProofError> {
        match self.resolve(reference)? {
            TrieNode::Branch(branch) => self.check_branch(&branch, prefix, leaves),
            TrieNode::Extension(extension) => {
                let child = prefix.extend(&extension.key)?;
                // The trie holds nothing beside the extension.
                if child.select(leaves).len() != leaves.len() {
                    return self.differ(&prefix);
                }
                self.check(&extension.child, child, leaves)
            }
            TrieNode::Leaf(leaf) => {
                let key = prefix.extend(&leaf.key)?.low;
                self.is_more |= key > self.last;
                let is_inside = self.first <= key && key <= self.last;
                match leaves {
                    [] if !is_inside => Ok(()),
                    [(claimed, value)] if is_inside && *claimed == key && value.as_ref() == leaf.value => Ok(()),
                    _ => self.differ(&prefix),
                }
            }
            TrieNode::EmptyRoot => self.differ(&prefix),
        }
    }

    fn check_branch<V: AsRef<[u8]>>(
        &mut self,
        branch: &BranchNode,
        prefix: Prefix,
        leaves: &[(B256, V)],
    ) -> Result<(), RangeProofError> {
        for (nibble, reference) in branch.as_ref().children() {
            let child = prefix.extend(&Nibbles::from_nibbles_unchecked([nibble]))?;
            let leaves = child.select(leaves);
            match reference {
                Some(reference) => self.check(reference, child, leaves)?,
                None if leaves.is_empty() => {}
                None => self.differ(&child)?,
            }
        }
        Ok(())
    }

    fn resolve(&self, reference: &RlpNode) -> Result<TrieNode, RangeProofError> {
        let node = match reference.as_hash() {
            Some(hash) => self.nodes.get(&hash).ok_or(RangeProofError::MissingNode(hash))?.as_ref(),
            None => reference.as_slice(),
        };
        alloy_rlp::decode_exact(node).map_err(RangeProofError::InvalidNode)
    }

    /// Whether every key with this prefix lies in the range.
    fn holds(&self, prefix: &Prefix) -> bool {
        self.first <= prefix.low && prefix.high() <= self.last
    }
}

/// The first nibbles of a key.
#[derive(Clone, Copy, Default)]
struct Prefix {
    /// The lowest key with this prefix.
    low: B256,
    /// How many nibbles, at most [`KEY_NIBBLES`].
    nibbles: usize,
}

impl Prefix {
    /// The highest key with this prefix.
    fn high(&self) -> B256 {
        let mut high = self.low;
        let bytes = self.nibbles / 2;
        high[bytes..].fill(0xff);
        if self.nibbles % 2 == 1 {
            high[bytes] = self.low[bytes] | 0x0f;
        }
        high
    }

    fn extend(mut self, nibbles: &Nibbles) -> Result<Self, RangeProofError> {
        if self.nibbles + nibbles.len() > KEY_NIBBLES {
            return Err(RangeProofError::InvalidNode(alloy_rlp::Error::Custom("a path is longer than a key")));
        }
        for nibble in nibbles.iter() {
            self.low[self.nibbles / 2] |= if self.nibbles.is_multiple_of(2) { nibble << 4 } else { nibble };
            self.nibbles += 1;
        }
        Ok(self)
    }

    /// The leaves with this prefix.
    fn select<'a, V>(&self, leaves: &'a [(B256, V)]) -> &'a [(B256, V)] {
        let (low, high) = (self.low, self.high());
        let from = leaves.partition_point(|(key, _)| *key < low);
        let to = leaves.partition_point(|(key, _)| *key <= high);
        &leaves[from..to]
    }
}

/// The RLP of the node above sorted leaves, which differ, but not in their first `depth` nibbles.
fn build_subtree<V: AsRef<[u8]>>(leaves: &[(B256, V)], depth: usize) -> Option<Vec<u8>> {
    let ((first, value), (last, _)) = (leaves.first()?, leaves.last()?);
    let path = Nibbles::unpack(first);
    if leaves.len() == 1 {
        return Some(alloy_rlp::encode(LeafNodeRef::new(&path.slice(depth..), value.as_ref())));
    }
    let fork = path.common_prefix_length(&Nibbles::unpack(last));
    let mut branch = BranchNode::default();
    let group_of = |key: &B256| key[fork / 2] >> (4 * (1 - fork % 2)) & 0x0f;
    for group in leaves.chunk_by(|(one, _), (other, _)| group_of(one) == group_of(other)) {
        branch.state_mask.set_bit(group_of(&group.first()?.0));
        branch.stack.push(RlpNode::from_rlp(&build_subtree(group, fork + 1)?));
    }
    let node = alloy_rlp::encode(branch);
    if fork == depth {
        return Some(node);
    }
    let child = RlpNode::from_rlp(&node);
    Some(alloy_rlp::encode(ExtensionNodeRef::new(&path.slice(depth..fork), &child)))
}

#[cfg(test)]
mod tests;
