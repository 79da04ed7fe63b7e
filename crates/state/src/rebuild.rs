//! A trie from its leaves in order, as a stream: memory for one path of the trie, whatever its size.

use crate::StateError;
use crate::trie::branch::{Branch, encode_leaf, hash_root};
use alloy_primitives::B256;
use alloy_trie::nodes::RlpNode;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// Takes the leaves of a trie in order and gives its rows, each after those below it.
#[derive(Default)]
pub(crate) struct Rebuild {
    /// The last leaf: where it hangs depends on the next one.
    last: Option<(Nibbles, Vec<u8>)>,
    /// The branches above it that are not complete.
    open: Vec<Open>,
}

struct Open {
    /// Nibbles above the branch's children.
    depth: usize,
    branch: Box<Branch>,
}

/// Takes the rows: a path and what [`Branch::encode_row`] makes of the branch there.
pub(crate) type RowSink<'a> = &'a mut dyn FnMut(&Nibbles, Vec<u8>) -> Result<(), StateError>;

impl Rebuild {
    /// Adds the next leaf. A key that is not greater than the last is ignored; sorted tables have none.
    pub(crate) fn add(&mut self, key: B256, value: Vec<u8>, sink: RowSink<'_>) -> Result<(), StateError> {
        let key = Nibbles::unpack_array(&key);
        if let Some((last, value)) = self.last.take_if(|(last, _)| *last < key) {
            let common = last.common_prefix_length(&key);
            self.place(&last, &value, common);
            self.close(&last, Some(common), sink)?;
        }
        self.last.get_or_insert((key, value));
        Ok(())
    }

    /// Gives the remaining rows, and returns the root hash.
    pub(crate) fn finish(mut self, sink: RowSink<'_>) -> Result<B256, StateError> {
        let Some((last, value)) = self.last.take() else { return Ok(EMPTY_ROOT_HASH) };
        let Some(depth) = self.open.last().map(|open| open.depth) else {
            return Ok(hash_root(&encode_leaf(&last, 0, &value)));
        };
        self.place(&last, &value, depth);
        Ok(self.close(&last, None, sink)?.unwrap_or(EMPTY_ROOT_HASH))
    }

    /// Hangs a leaf below the lowest open branch, which is a new one if the next key parts from it lower down.
    fn place(&mut self, key: &Nibbles, value: &[u8], common: usize) {
        let open = self.open_at(common);
        let leaf = RlpNode::from_rlp(&encode_leaf(key, open.depth + 1, value));
        open.branch.set_child(key.get_unchecked(open.depth), leaf, true);
    }

    /// The lowest open branch, after making sure that there is one at or below a depth.
    fn open_at(&mut self, depth: usize) -> &mut Open {
        if self.open.last().is_none_or(|open| open.depth < depth) {
            self.open.push(Open { depth, branch: Box::default() });
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// Completes the branches lower than where the next key parts from `key`, which all lead to; at the end of the trie
    /// all of them, and returns the root hash.
    fn close(&mut self, key: &Nibbles, next: Option<usize>, sink: RowSink<'_>) -> Result<Option<B256>, StateError> {
        while let Some(mut closed) = self.open.pop_if(|open| next.is_none_or(|depth| open.depth > depth)) {
            let parent = match next {
                Some(depth) => Some(self.open_at(depth)),
                None => self.open.last_mut(),
            };
            let Some(parent) = parent else {
                closed.branch.extension = key.slice(..closed.depth);
                sink(&Nibbles::new(), closed.branch.encode_row())?;
                return Ok(Some(hash_root(&closed.branch.encode_top())));
            };
            closed.branch.extension = key.slice(parent.depth + 1..closed.depth);
            sink(&key.slice(..parent.depth + 1), closed.branch.encode_row())?;
            let reference = RlpNode::from_rlp(&closed.branch.encode_top());
            parent.branch.set_child(key.get_unchecked(parent.depth), reference, false);
        }
        Ok(None)
    }
}
