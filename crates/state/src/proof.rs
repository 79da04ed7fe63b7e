//! Merkle proofs of accounts, slots and ranges, for the last committed state and for earlier ones.
//!
//! The tables hold the tries of the last committed state only. Those of an earlier one are made in memory from them: the
//! values that each later block replaced are put back, and what that makes of the trie's rows lies over the stored
//! ones (module `past`). The work grows with what changed since, so it is bounded by [`ProofLimits`].

mod past;
mod path;
mod root;

#[cfg(test)]
mod tests;

use crate::rows::{self, AccountKey, LAST_KEY, TrieId, hash_slot};
use crate::{StateError, StateView};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use heddle_storage::Table;
pub(crate) use past::TrieAt;

/// How much may be put back to prove something of an earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofLimits {
    /// How many blocks behind the last committed one.
    pub blocks_max: u64,
    /// How many accounts, or slots of one account, that these blocks changed.
    pub keys_max: usize,
}

impl Default for ProofLimits {
    fn default() -> Self {
        Self { blocks_max: 10_000, keys_max: 200_000 }
    }
}

/// An account and some of its slots, with the nodes that prove them to who knows the state root (EIP-1186).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose account.
    pub address: Address,
    /// The account; the proof is one of absence when there is none.
    pub account: Option<TrieAccount>,
    /// The nodes on the path to it, from the root on, those that their parents embed left out; none of an empty trie.
    pub proof: Vec<Bytes>,
    /// The slots asked for, in that order.
    pub storage: Vec<StorageProof>,
}

/// A slot, with the nodes that prove it to who knows the storage root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// Which slot.
    pub slot: U256,
    /// Its value; the proof is one of absence when it is zero.
    pub value: U256,
    /// The nodes on the path to it, as in [`AccountProof::proof`].
    pub proof: Vec<Bytes>,
}

/// Leaves that follow each other in a trie, with the nodes that prove to [`verify_range`](crate::verify_range) that
/// there is no other between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeProof {
    /// Root hash of the trie.
    pub root: B256,
    /// Hashed keys and values.
    pub leaves: Vec<(B256, Vec<u8>)>,
    /// The nodes on the paths to the start and to the last key, each once.
    pub proof: Vec<Bytes>,
}

impl StateView {
    /// Proves an account and some of its slots.
    ///
    /// # Errors
    /// [`StateError::ProofTooOld`] for an earlier state behind the limits.
    pub fn proof(&self, address: Address, slots: &[U256], limits: &ProofLimits) -> Result<AccountProof, StateError> {
        let key = AccountKey::of(address);
        let accounts = self.accounts_trie(limits)?;
        let (proof, leaf) = path::prove(&accounts, accounts.root, key.0)?;
        let account = leaf.map(|leaf| rows::decode_account(Table::Accounts, key.as_ref(), &leaf)).transpose()?;
        let mut storage = Vec::with_capacity(slots.len());
        if !slots.is_empty() {
            let root = account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
            let trie = self.storage_trie(key, root, limits)?;
            for &slot in slots {
                let (proof, leaf) = path::prove(&trie, root, hash_slot(slot))?;
                let value = leaf.map(alloy_rlp::decode_exact).transpose();
                let value = value.map_err(|error| StateError::corrupt(Table::Storage, key.as_ref(), error))?;
                storage.push(StorageProof { slot, value: value.unwrap_or_default(), proof });
            }
        }
        Ok(AccountProof { address, account, proof, storage })
    }

    /// Proves the accounts from a hashed address on, at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::proof`].
    pub fn account_range(&self, start: B256, limit: usize, limits: &ProofLimits) -> Result<RangeProof, StateError> {
        prove_range(&self.accounts_trie(limits)?, start, limit)
    }

    /// Proves the slots of an account, given by its hashed address, from a hashed slot on, at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::proof`].
    pub fn storage_range(
        &self,
        account: B256,
        start: B256,
        limit: usize,
        limits: &ProofLimits,
    ) -> Result<RangeProof, StateError> {
        let key = AccountKey(account);
        let root = self.hashed_storage_root(key)?;
        prove_range(&self.storage_trie(key, root, limits)?, start, limit)
    }

    /// The root of the storage trie of an account that is given by its key; the empty trie's when there is none.
    pub(crate) fn hashed_storage_root(&self, key: AccountKey) -> Result<B256, StateError> {
        let row = self.account_row(key)?;
        let account = row.map(|row| rows::decode_account(Table::Accounts, key.as_ref(), &row)).transpose()?;
        Ok(account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root))
    }

    pub(crate) fn accounts_trie(&self, limits: &ProofLimits) -> Result<TrieAt<'_>, StateError> {
        let stored = TrieAt::stored(self.trie(TrieId::Accounts), rows::read_root(&self.snapshot)?);
        match self.past_number() {
            Some(number) => stored.put_back(past::replaced_accounts(&self.snapshot, number, limits)?),
            None => Ok(stored),
        }
    }

    /// The storage trie of an account, which has this root in this state.
    pub(crate) fn storage_trie(
        &self,
        key: AccountKey,
        root: B256,
        limits: &ProofLimits,
    ) -> Result<TrieAt<'_>, StateError> {
        let stored = self.trie(TrieId::Storage(key));
        let Some(number) = self.past_number() else { return Ok(TrieAt::stored(stored, root)) };
        let head = self.snapshot.get(Table::Accounts, key)?;
        let head = head.map(|row| rows::decode_account(Table::Accounts, key.as_ref(), &row)).transpose()?;
        let head_root = head.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        let trie =
            TrieAt::stored(stored, head_root).put_back(past::replaced_slots(&self.snapshot, key, number, limits)?)?;
        match trie.root == root {
            true => Ok(trie),
            false => {
                Err(StateError::corrupt(Table::StorageHistory, key.as_ref(), "it does not lead to the storage root"))
            }
        }
    }
}

fn prove_range(trie: &TrieAt<'_>, start: B256, limit: usize) -> Result<RangeProof, StateError> {
    let leaves: Vec<_> = trie.leaves(start, LAST_KEY)?.take(limit).collect::<Result<_, _>>()?;
    let proof = prove_ends(trie, start, leaves.last().map(|(last, _)| *last))?;
    Ok(RangeProof { root: trie.root, leaves, proof })
}

/// The nodes on the paths to the ends of a range, each once.
pub(crate) fn prove_ends(trie: &TrieAt<'_>, first: B256, last: Option<B256>) -> Result<Vec<Bytes>, StateError> {
    let (mut proof, _) = path::prove(trie, trie.root, first)?;
    if let Some(last) = last {
        let (nodes, _) = path::prove(trie, trie.root, last)?;
        let shared = proof.iter().zip(&nodes).take_while(|(one, other)| one == other).count();
        proof.extend(nodes.into_iter().skip(shared));
    }
    Ok(proof)
}
