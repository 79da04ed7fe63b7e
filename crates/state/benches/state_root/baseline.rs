//! The same roots by `alloy_trie`'s `HashBuilder`, from memory.

use crate::workload::{SLOTS, SLOTS_CHANGED, Workload, account, address, has_storage, value};
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::nodes::BranchNodeCompact;
use alloy_trie::{EMPTY_ROOT_HASH, HashBuilder, Nibbles, TrieAccount};
use rayon::prelude::*;
use std::collections::HashMap;
use std::ops::Range;

/// A key and the leaf's value.
type Leaf = (Nibbles, Vec<u8>);

pub(crate) struct Baseline {
    /// The leaves of the account trie, sorted.
    leaves: Vec<Leaf>,
    /// Hashes below the branches that have any, by path, before any block. They stay right outside of what blocks change,
    /// since a later block changes the accounts of the earlier ones again.
    branches: HashMap<Nibbles, BranchNodeCompact>,
}

/// What one block changes, and all that the account trie is to be built from.
pub(crate) struct Block {
    /// Index in the leaves, the account without its storage root, and the whole storage; sorted by key.
    accounts: Vec<(usize, TrieAccount, Vec<Leaf>)>,
    parts: Vec<Part>,
}

/// A part of the account trie, in the order of the paths.
enum Part {
    /// The leaf with this index.
    Leaf(usize),
    /// A subtrie that the block does not change: its path, its hash, and whether there are stored nodes below.
    Subtrie(Nibbles, B256, bool),
}

impl Baseline {
    pub(crate) fn new(workload: &Workload) -> Self {
        let leaf = |index| {
            let root = storage_root(&storage(index, 0, 0));
            (account_key(index), alloy_rlp::encode(trie_account(index, 0, root)))
        };
        let mut leaves: Vec<Leaf> = (0..workload.accounts).into_par_iter().map(leaf).collect();
        leaves.par_sort_unstable();
        let mut builder = HashBuilder::default().with_updates(true);
        leaves.iter().for_each(|(key, value)| builder.add_leaf(*key, value));
        builder.root();
        Self { branches: builder.split().1.into_iter().collect(), leaves }
    }

    /// Prepares what a block changes: keys hashed and sorted, values encoded.
    pub(crate) fn block(&self, workload: &Workload, count: usize, round: u64) -> Block {
        let account = |index| {
            let at = self.leaves.binary_search_by_key(&account_key(index), |leaf| leaf.0).unwrap();
            (at, trie_account(index, round, EMPTY_ROOT_HASH), storage(index, 0, round))
        };
        let mut accounts: Vec<_> = workload.changed(count).map(account).collect();
        accounts.sort_unstable_by_key(|account| account.0);
        let changed: Vec<_> = accounts.iter().map(|(at, ..)| *at).collect();
        let mut parts = Vec::new();
        self.take_apart(&mut parts, Nibbles::new(), 0..self.leaves.len(), &changed);
        Block { accounts, parts }
    }

    /// The state root after a block.
    pub(crate) fn root(&mut self, block: &Block) -> B256 {
        let accounts = block.accounts.par_iter().map(|(at, account, storage)| {
            let account = TrieAccount { storage_root: storage_root(storage), ..*account };
            (*at, alloy_rlp::encode(account))
        });
        for (at, value) in accounts.collect::<Vec<_>>() {
            self.leaves[at].1 = value;
        }
        let mut builder = HashBuilder::default();
        for part in &block.parts {
            match part {
                Part::Leaf(at) => builder.add_leaf(self.leaves[*at].0, &self.leaves[*at].1),
                Part::Subtrie(path, hash, is_stored) => builder.add_branch(*path, *hash, *is_stored),
            }
        }
        builder.root()
    }

    /// Takes apart the subtrie at a path, whose leaves these are and in which those are `changed`.
    fn take_apart(&self, parts: &mut Vec<Part>, path: Nibbles, leaves: Range<usize>, changed: &[usize]) {
        let Some(branch) = self.branches.get(&path) else {
            parts.extend(leaves.map(Part::Leaf));
            return;
        };
        let (mut from, mut changed) = (leaves.start, changed);
        for nibble in branch.state_mask.iter() {
            let mut child = path;
            child.push(nibble);
            let below = &self.leaves[from..leaves.end];
            let to = from + below.partition_point(|(key, _)| key.get_unchecked(path.len()) <= nibble);
            let (here, rest) = changed.split_at(changed.partition_point(|at| *at < to));
            if here.is_empty() && branch.hash_mask.is_bit_set(nibble) {
                let hash = branch.hash_for_nibble(nibble);
                parts.push(Part::Subtrie(child, hash, branch.tree_mask.is_bit_set(nibble)));
            } else {
                self.take_apart(parts, child, from..to, here);
            }
            (from, changed) = (to, rest);
        }
    }
}

fn account_key(index: u64) -> Nibbles {
    Nibbles::unpack(keccak256(address(index)))
}

fn trie_account(index: u64, round: u64, storage_root: B256) -> TrieAccount {
    let account = account(index, round);
    TrieAccount { nonce: account.nonce, balance: account.balance, storage_root, code_hash: account.code_hash }
}

/// The leaves of an account's storage, sorted: slots that blocks change are of `round`, the others of `first`.
fn storage(index: u64, first: u64, round: u64) -> Vec<Leaf> {
    let slots = (0..SLOTS).filter(|_| has_storage(index)).map(|slot| {
        let round = if slot < SLOTS_CHANGED { round } else { first };
        let key = keccak256(U256::from(slot).to_be_bytes::<32>());
        (Nibbles::unpack(key), alloy_rlp::encode(value(index, slot, round)))
    });
    let mut slots: Vec<_> = slots.collect();
    slots.sort_unstable();
    slots
}

fn storage_root(leaves: &[Leaf]) -> B256 {
    if leaves.is_empty() {
        return EMPTY_ROOT_HASH;
    }
    let mut builder = HashBuilder::default();
    leaves.iter().for_each(|(key, value)| builder.add_leaf(*key, value));
    builder.root()
}
