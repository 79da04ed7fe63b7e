//! Branches: the rows of the tries, and the RLP nodes that they stand for.

use alloy_primitives::B256;
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{Nibbles, TrieMask};

/// Nibbles of a key: all keys are hashes.
pub(crate) const KEY_NIBBLES: usize = 64;
/// First byte of the RLP of a hash.
const HASH_HEADER: u8 = EMPTY_STRING_CODE + 32;
/// First byte of the RLP of the shortest list. A node is a list, and one that its parent embeds is shorter than 32 bytes.
const EMPTY_LIST: u8 = 0xc0;
const EMBEDDED_LIST_MAX: u8 = EMPTY_LIST + 30;
/// Most bytes of a branch node: a header of 3, sixteen hashes of 33, and no value of its own.
const BRANCH_BYTES_MAX: usize = 3 + 16 * 33 + 1;

/// A branch node with the extension node above it, if there is one: the value of [`Table::TrieNodes`] at the path that
/// leads to the extension.
///
/// [`Table::TrieNodes`]: heddle_storage::Table::TrieNodes
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Branch {
    /// Nibbles that all keys below share; empty for no extension.
    pub(crate) extension: Nibbles,
    /// The nibbles whose child is a leaf, which has no row: it is derived from the flat tables.
    pub(crate) leaves: TrieMask,
    /// What the branch node holds for each child: its hash, or the child itself when shorter than 32 bytes, as RLP; empty
    /// for no child.
    pub(crate) children: [RlpNode; 16],
}

impl Branch {
    /// The child at a nibble, which is less than 16; empty for none.
    pub(crate) fn child(&self, nibble: u8) -> &RlpNode {
        &self.children[usize::from(nibble & 0x0f)]
    }

    /// Sets the child at a nibble, which is less than 16.
    pub(crate) fn set_child(&mut self, nibble: u8, child: RlpNode, is_leaf: bool) {
        match is_leaf {
            true => self.leaves.set_bit(nibble),
            false => self.leaves.unset_bit(nibble),
        }
        self.children[usize::from(nibble & 0x0f)] = child;
    }

    /// Whether the child at a nibble is a branch, and so has a row.
    pub(crate) fn is_branch(&self, nibble: u8) -> bool {
        !self.child(nibble).is_empty() && !self.leaves.is_bit_set(nibble)
    }

    /// The nibbles with a child.
    pub(crate) fn nibbles(&self) -> TrieMask {
        let bits = self.children.iter().zip(0..).filter(|(child, _)| !child.is_empty());
        TrieMask::new(bits.fold(0, |mask, (_, nibble)| mask | 1 << nibble))
    }

    /// The row: the extension's length and nibbles, a byte each; the masks of children and of leaves, two bytes each; the
    /// children.
    pub(crate) fn encode_row(&self) -> Vec<u8> {
        let mut row = Vec::with_capacity(BRANCH_BYTES_MAX + 2 * self.extension.len());
        self.encode_row_into(&mut row);
        row
    }

    /// As [`Self::encode_row`]; `row` is empty.
    pub(crate) fn encode_row_into(&self, row: &mut Vec<u8>) {
        row.push(self.extension.len() as u8);
        row.extend(self.extension.iter());
        row.extend(self.nibbles().get().to_be_bytes());
        row.extend(self.leaves.get().to_be_bytes());
        self.children.iter().for_each(|child| row.extend_from_slice(child));
    }

    /// Reads the row at a path of `depth` nibbles; the error says what is wrong with it.
    pub(crate) fn decode_row(row: &[u8], depth: usize) -> Result<Box<Self>, &'static str> {
        let (&length, row) = row.split_first().ok_or("an empty row")?;
        let (extension, row) = row.split_at_checked(length.into()).ok_or("a short extension")?;
        let (&[a, b, c, d], mut row) = row.split_first_chunk().ok_or("no masks")?;
        let nibbles = TrieMask::new(u16::from_be_bytes([a, b]));
        let leaves = TrieMask::new(u16::from_be_bytes([c, d]));
        if depth + extension.len() >= KEY_NIBBLES || extension.iter().any(|nibble| *nibble > 0x0f) {
            return Err("not an extension of this depth");
        }
        if nibbles.count_bits() < 2 || !leaves.is_subset_of(nibbles) {
            return Err("not the masks of a branch");
        }
        let mut branch = Box::<Self>::default();
        branch.extension = Nibbles::from_nibbles_unchecked(extension);
        branch.leaves = leaves;
        for nibble in nibbles.iter() {
            let (child, rest) = split_reference(row).ok_or("not a reference to a child")?;
            branch.children[usize::from(nibble)] = child;
            row = rest;
        }
        if row.is_empty() { Ok(branch) } else { Err("bytes after the last child") }
    }

    /// RLP of the branch node.
    pub(crate) fn encode_branch(&self) -> Vec<u8> {
        let mut node = Vec::with_capacity(BRANCH_BYTES_MAX);
        self.encode_branch_into(&mut node);
        node
    }

    /// RLP of the topmost node: the extension if there is one, or else the branch.
    pub(crate) fn encode_top(&self) -> Vec<u8> {
        let mut node = Vec::with_capacity(BRANCH_BYTES_MAX);
        self.encode_top_into(&mut node);
        node
    }

    /// What a parent holds for it; `buffer` is overwritten.
    pub(crate) fn reference(&self, buffer: &mut Vec<u8>) -> RlpNode {
        buffer.clear();
        self.encode_top_into(buffer);
        RlpNode::from_rlp(buffer)
    }

    fn encode_top_into(&self, node: &mut Vec<u8>) {
        self.encode_branch_into(node);
        if !self.extension.is_empty() {
            let branch = RlpNode::from_rlp(node);
            node.clear();
            ExtensionNodeRef::new(&self.extension, &branch).encode(node);
        }
    }

    fn encode_branch_into(&self, node: &mut Vec<u8>) {
        let payload_length = 1 + self.children.iter().map(|child| child.len().max(1)).sum::<usize>();
        Header { list: true, payload_length }.encode(node);
        for child in &self.children {
            match child.is_empty() {
                true => node.push(EMPTY_STRING_CODE),
                false => node.extend_from_slice(child),
            }
        }
        // Keys are equally long, so a branch has no value of its own.
        node.push(EMPTY_STRING_CODE);
    }
}

/// RLP of a leaf below a path of `depth` nibbles.
pub(crate) fn encode_leaf(key: &Nibbles, depth: usize, value: &[u8]) -> Vec<u8> {
    alloy_rlp::encode(LeafNodeRef::new(&key.slice(depth..), value))
}

/// Hash of a root node, which is hashed at any length.
pub(crate) fn hash_root(node: &[u8]) -> B256 {
    alloy_primitives::keccak256(node)
}

fn split_reference(row: &[u8]) -> Option<(RlpNode, &[u8])> {
    let length = match *row.first()? {
        HASH_HEADER => 33,
        header @ EMPTY_LIST..=EMBEDDED_LIST_MAX => usize::from(header - EMPTY_LIST) + 1,
        _ => return None,
    };
    let (reference, rest) = row.split_at_checked(length)?;
    Some((RlpNode::from_raw(reference)?, rest))
}
