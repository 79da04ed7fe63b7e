//! A trie from its leaves in order, as a stream: memory for one path of the trie, whatever its size.

use crate::StateError;
use crate::trie::branch::{Branch, encode_leaf, hash_root};
use alloy_primitives::B256;
use alloy_trie::nodes::RlpNode;
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// Takes the leaves of a trie, or of one subtrie of it, in order and gives its rows, each after those below it.
#[derive(Default)]
pub(crate) struct Rebuild {
    /// Nibbles above the subtrie, which all its keys share; 0 for the whole trie.
    above: usize,
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

/// The topmost node of a trie or a subtrie.
pub(crate) struct Top {
    /// Its RLP.
    pub(crate) node: Vec<u8>,
    /// Whether it is a leaf, which has no row.
    pub(crate) is_leaf: bool,
}

impl Rebuild {
    /// For the keys that share so many nibbles, of a trie that has others too.
    pub(crate) fn below(above: usize) -> Self {
        Self { above, ..Self::default() }
    }

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

    /// Gives the remaining rows of a whole trie, and returns its root hash.
    pub(crate) fn finish(self, sink: RowSink<'_>) -> Result<B256, StateError> {
        Ok(self.finish_top(sink)?.map_or(EMPTY_ROOT_HASH, |top| hash_root(&top.node)))
    }

    /// Gives the remaining rows, and returns the topmost node.
    pub(crate) fn finish_top(mut self, sink: RowSink<'_>) -> Result<Option<Top>, StateError> {
        let Some((last, value)) = self.last.take() else { return Ok(None) };
        let Some(depth) = self.open.last().map(|open| open.depth) else {
            return Ok(Some(Top { node: encode_leaf(&last, self.above, &value), is_leaf: true }));
        };
        self.place(&last, &value, depth);
        Ok(self.close(&last, None, sink)?.map(|node| Top { node, is_leaf: false }))
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
    /// all of them, and returns the topmost node.
    fn close(&mut self, key: &Nibbles, next: Option<usize>, sink: RowSink<'_>) -> Result<Option<Vec<u8>>, StateError> {
        while let Some(mut closed) = self.open.pop_if(|open| next.is_none_or(|depth| open.depth > depth)) {
            let parent = match next {
                Some(depth) => Some(self.open_at(depth)),
                None => self.open.last_mut(),
            };
            let Some(parent) = parent else {
                closed.branch.extension = key.slice(self.above..closed.depth);
                sink(&key.slice(..self.above), closed.branch.encode_row())?;
                return Ok(Some(closed.branch.encode_top()));
            };
            closed.branch.extension = key.slice(parent.depth + 1..closed.depth);
            sink(&key.slice(..parent.depth + 1), closed.branch.encode_row())?;
            let reference = RlpNode::from_rlp(&closed.branch.encode_top());
            parent.branch.set_child(key.get_unchecked(parent.depth), reference, false);
        }
        Ok(None)
    }
}
