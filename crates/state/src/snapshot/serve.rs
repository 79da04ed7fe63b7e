//! Serving: leaves in the order of their keys from the flat tables, and the nodes above both ends. The cost grows with the
//! answer, never with the state.

use crate::proof::{TrieAt, prove_ends};
use crate::rows::{self, AccountKey, LAST_KEY};
use crate::{ProofLimits, StateError, StateView};
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::Encodable;
use alloy_trie::EMPTY_ROOT_HASH;
use heddle_primitives::{
    AccountLeaf, AccountRange, AccountsRequest, MAX_LEAVES_PER_RESPONSE, RangeProofRequest, SlotLeaf, StorageRanges,
    StorageRequest,
};
use heddle_storage::Table;

/// Served is the last committed state of a view's own snapshot, so that nothing needs to be put back.
const NOTHING_BACK: ProofLimits = ProofLimits { blocks_max: 0, keys_max: 0 };

impl StateView {
    /// The accounts from `first` to the first at or behind `last`, or to the one that reaches `bytes_max` of RLP, with
    /// the nodes on the paths to `first` and to the last of them.
    ///
    /// # Errors
    /// [`StateError::ProofTooOld`] for an earlier state than the last that the view's snapshot holds; the disk's.
    pub fn serve_accounts(&self, request: &AccountsRequest, bytes_max: usize) -> Result<AccountRange, StateError> {
        let trie = self.accounts_trie(&NOTHING_BACK)?;
        let leaves = trie.leaves(request.first, LAST_KEY)?.map(|leaf| {
            let (key, row) = leaf?;
            let account = rows::decode_account(Table::Accounts, key.as_slice(), &row)?;
            Ok((key, AccountLeaf { key, account }))
        });
        let (accounts, _) = Room::new(bytes_max).fill(request.last, leaves)?;
        let proof = prove_ends(&trie, request.first, accounts.last().map(|leaf| leaf.key))?;
        Ok(AccountRange { accounts, proof })
    }

    /// Slots of the accounts asked for, up to the one that reaches `bytes_max` of RLP. The answer ends with the first
    /// account that is not sent whole, whose slots come with the nodes on the paths to their start and to the last of
    /// them, or before the first account without storage.
    ///
    /// # Errors
    /// As [`Self::serve_accounts`].
    pub fn serve_storage(&self, request: &StorageRequest, bytes_max: usize) -> Result<StorageRanges, StateError> {
        self.accounts_trie(&NOTHING_BACK)?;
        let mut room = Room::new(bytes_max);
        let mut answer = StorageRanges::default();
        let mut first = request.first;
        for (index, account) in request.accounts.iter().enumerate() {
            let key = AccountKey(*account);
            let root = self.hashed_storage_root(key)?;
            if root == EMPTY_ROOT_HASH || (index > 0 && room.is_full()) {
                break;
            }
            let last = if index + 1 == request.accounts.len() { request.last } else { LAST_KEY };
            let trie = self.storage_trie(key, root, &NOTHING_BACK)?;
            let (slots, is_end) = room.fill(last, slots(&trie, first)?)?;
            if !(is_end && first.is_zero()) {
                answer.proof = prove_ends(&trie, first, slots.last().map(|slot| slot.key))?;
                answer.accounts.push(slots);
                break;
            }
            answer.accounts.push(slots);
            first = B256::ZERO;
        }
        Ok(answer)
    }

    /// Those of the codes that there are, in the order of their hashes as given, up to the one that reaches `bytes_max`.
    ///
    /// # Errors
    /// The disk's.
    pub fn serve_code(&self, hashes: &[B256], bytes_max: usize) -> Result<Vec<Bytes>, StateError> {
        let mut codes = Vec::new();
        let mut bytes = 0;
        for hash in hashes {
            let Some(code) = self.snapshot.get(Table::Code, hash)? else { continue };
            bytes += code.len();
            codes.push(code.into());
            if bytes >= bytes_max {
                break;
            }
        }
        Ok(codes)
    }

    /// The nodes on the paths to both ends of a range; none of an empty trie.
    ///
    /// # Errors
    /// As [`Self::serve_accounts`].
    pub fn serve_range_proof(&self, request: &RangeProofRequest) -> Result<Vec<Bytes>, StateError> {
        let accounts = self.accounts_trie(&NOTHING_BACK)?;
        let trie = if request.owner.is_zero() {
            accounts
        } else {
            let key = AccountKey(request.owner);
            self.storage_trie(key, self.hashed_storage_root(key)?, &NOTHING_BACK)?
        };
        prove_ends(&trie, request.first, Some(request.last))
    }
}

/// The slots of a storage trie from a hashed slot on.
fn slots(
    trie: &TrieAt<'_>,
    first: B256,
) -> Result<impl Iterator<Item = Result<(B256, SlotLeaf), StateError>>, StateError> {
    Ok(trie.leaves(first, LAST_KEY)?.map(|leaf| {
        let (key, value) = leaf?;
        let value: U256 = alloy_rlp::decode_exact(value)
            .map_err(|error| StateError::corrupt(Table::Storage, key.as_slice(), error))?;
        Ok((key, SlotLeaf { key, value }))
    }))
}

/// What an answer still has room for.
struct Room {
    bytes: usize,
    leaves: usize,
}

impl Room {
    fn new(bytes: usize) -> Self {
        Self { bytes, leaves: MAX_LEAVES_PER_RESPONSE }
    }

    fn is_full(&self) -> bool {
        self.bytes == 0 || self.leaves == 0
    }

    /// Takes leaves up to the first at or behind `last` or the one that fills it, and says whether these are all.
    fn fill<L: Encodable>(
        &mut self,
        last: B256,
        mut leaves: impl Iterator<Item = Result<(B256, L), StateError>>,
    ) -> Result<(Vec<L>, bool), StateError> {
        let mut taken = Vec::new();
        while let Some(leaf) = leaves.next() {
            let (key, leaf) = leaf?;
            self.bytes = self.bytes.saturating_sub(leaf.length());
            self.leaves = self.leaves.saturating_sub(1);
            taken.push(leaf);
            if key >= last || self.is_full() {
                return Ok((taken, leaves.next().is_none()));
            }
        }
        Ok((taken, true))
    }
}
