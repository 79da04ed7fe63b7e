//! An incremental Merkle-Patricia trie whose leaves are the rows of the flat tables.
//!
//! Only branches have rows, each at the path where its parent points to it, together with the extension above it if there
//! is one (module `branch`). A leaf is derived from its flat row, so a trie of one leaf has no row at all. A subtrie's path
//! never changes, so rows that no change touches stay as they are.
//!
//! An update ([`update`]) is one recursive pass over sorted changes, which are split by nibble at each branch: a branch that
//! changes is read, encoded and hashed once, however many keys change below it, and different subtries are changed at
//! once. A node other than a branch is read only where a new key meets another's leaf, or where a branch keeps one leaf.
//! Nothing is written: the result is the new root and the rows that differ, so an update can also be run over other rows
//! than the stored ones ([`Source`]).

pub(crate) mod branch;
pub(crate) mod source;
pub(crate) mod update;

#[cfg(test)]
mod tests;

pub(crate) use source::StoredTrie;
pub(crate) use update::{Change, TrieUpdate, update};
