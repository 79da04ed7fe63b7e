//! Nodes beside what is removed from a trie: a branch that is left with one child becomes a part of that child, which must
//! be known for that.

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{Header, PayloadView};
use std::collections::BTreeMap;

/// Nibbles of a key.
const KEY_NIBBLES: usize = 64;
/// An empty place in a branch.
const EMPTY: &[u8] = &[alloy_rlp::EMPTY_STRING_CODE];

/// The branches above the keys that are removed, by the nibbles that lead to each.
#[derive(Default)]
pub(super) struct Removed(BTreeMap<Vec<u8>, Children>);

/// The children of a branch, one bit each.
#[derive(Clone, Copy, Default)]
struct Children {
    all: u16,
    /// Those that a removed key leads through.
    touched: u16,
}

/// What a node of a trie is on the way to a key.
enum Step {
    Branch {
        children: u16,
    },
    /// An extension or leaf of so many nibbles.
    Skip(usize),
}

impl Removed {
    /// Adds a key that is removed, with the nodes on the path to it from the root on.
    pub(super) fn add(&mut self, key: B256, path: &[Bytes]) {
        let nibbles = nibbles(key);
        let mut depth = 0;
        for node in path {
            let Some(nibble) = nibbles.get(depth) else { return };
            match step(node) {
                Some(Step::Branch { children }) => {
                    let way = nibbles.get(..depth).unwrap_or_default().to_vec();
                    let branch = self.0.entry(way).or_default();
                    branch.all = children;
                    branch.touched |= 1_u16 << nibble;
                    depth += 1;
                }
                Some(Step::Skip(count)) => depth += count,
                None => return,
            }
        }
    }

    /// The first keys below the children that may be left alone.
    pub(super) fn siblings(&self) -> Vec<B256> {
        let alone = self.0.iter().filter_map(|(way, children)| {
            let untouched = children.all & !children.touched;
            (untouched.count_ones() == 1).then(|| first_key(way, untouched.trailing_zeros() as u8))
        });
        alone.collect()
    }
}

fn nibbles(key: B256) -> Vec<u8> {
    key.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]).collect()
}

fn first_key(way: &[u8], nibble: u8) -> B256 {
    let mut nibbles = Vec::from_iter(way.iter().copied().chain([nibble]));
    nibbles.resize(KEY_NIBBLES, 0);
    let bytes = nibbles.chunks_exact(2).map(|pair| pair.iter().fold(0_u8, |byte, nibble| (byte << 4) | nibble));
    B256::right_padding_from(&Vec::from_iter(bytes))
}

/// `None` for what is no node.
fn step(node: &[u8]) -> Option<Step> {
    let PayloadView::List(items) = Header::decode_raw(&mut &*node).ok()? else { return None };
    match items.as_slice() {
        [path, _] => {
            let path = Header::decode_bytes(&mut &**path, false).ok()?;
            let (flags, rest) = path.split_first()?;
            // The lowest bit of the first nibble says that another nibble follows in the same byte.
            Some(Step::Skip(2 * rest.len() + usize::from((flags >> 4) & 1)))
        }
        [children @ .., _] if children.len() == 16 => {
            let mask = children.iter().rev().fold(0_u16, |mask, child| (mask << 1) | u16::from(*child != EMPTY));
            Some(Step::Branch { children: mask })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A branch with these children.
    fn branch(children: &[usize]) -> Bytes {
        let item = |index: usize| if children.contains(&index) { B256::repeat_byte(7).to_vec() } else { Vec::new() };
        let items = Vec::from_iter((0..17).map(|index| Bytes::from(item(index))));
        alloy_rlp::encode(items).into()
    }

    fn extension(path: &[u8]) -> Bytes {
        alloy_rlp::encode(vec![Bytes::copy_from_slice(path), B256::repeat_byte(8).into()]).into()
    }

    #[test]
    fn the_only_other_child_is_named() {
        let mut key = B256::ZERO;
        key[0] = 0x12;
        key[1] = 0x34;
        let mut removed = Removed::default();
        removed.add(key, &[branch(&[1, 5, 7]), extension(&[0x12]), branch(&[3, 0xf])]);
        let mut sibling = B256::ZERO;
        (sibling[0], sibling[1]) = (0x12, 0xf0);
        assert_eq!(removed.siblings(), [sibling], "below the root two others stay");

        let mut other = B256::ZERO;
        other[0] = 0x50;
        removed.add(other, &[branch(&[1, 5, 7])]);
        let mut last = B256::ZERO;
        last[0] = 0x70;
        assert_eq!(removed.siblings(), [last, sibling], "now one");
    }

    #[test]
    fn what_is_no_node_ends_the_path() {
        let mut removed = Removed::default();
        for node in [&[][..], &[0x80], &[0xc0], &[0xc1, 0x80], &[0xff; 40]] {
            removed.add(B256::ZERO, &[Bytes::copy_from_slice(node)]);
        }
        assert_eq!(removed.siblings(), [] as [B256; 0]);
    }
}
