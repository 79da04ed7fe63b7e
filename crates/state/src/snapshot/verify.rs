//! Checking what a peer, or a file, says of a state whose root is known. Nothing is believed and nothing is stored here.

use crate::range_proof::{RangeProofError, verify_range};
use crate::rows::LAST_KEY;
use alloy_primitives::{B256, Bytes};
use heddle_primitives::{AccountRange, StorageRanges};

/// A key and what a trie holds there.
type Leaf = (B256, Vec<u8>);

/// Checks an answer to the request for the accounts from `first` to `last`. Returns the key up to which, that one
/// included, all accounts from `first` on are in the answer: `last` when it is complete. It may hold one account behind
/// `last`, which proves that there is none before; that one is to be dropped.
///
/// # Errors
/// The sender's, whatever it sent.
pub fn verify_accounts(
    state_root: B256,
    first: B256,
    last: B256,
    answer: &AccountRange,
) -> Result<B256, RangeProofError> {
    let leaves: Vec<_> = answer.accounts.iter().map(|leaf| (leaf.key, alloy_rlp::encode(leaf.account))).collect();
    known_up_to(state_root, (first, last), &leaves, &answer.proof)
}

/// Checks an answer to the request for the slots of accounts, given the roots of their storage tries in the order asked
/// for: of the first from `first` on, of the last up to `last`. Of all accounts in the answer but the last it holds every
/// slot; of that one, those from the start asked for up to the key that is returned, that one included: the highest key
/// there is, or `last` for the last account asked for, when it is complete. One slot behind that is to be dropped, as by
/// [`verify_accounts`].
///
/// # Errors
/// The sender's, whatever it sent; an answer without accounts too.
pub fn verify_storage(
    storage_roots: &[B256],
    first: B256,
    last: B256,
    answer: &StorageRanges,
) -> Result<B256, RangeProofError> {
    let count = RangeProofError::Count { found: answer.accounts.len(), asked: storage_roots.len() };
    let Some((slots, whole)) = answer.accounts.split_last() else { return Err(count) };
    let Some(root) = storage_roots.get(whole.len()) else { return Err(count) };
    let leaves = |slots: &[heddle_primitives::SlotLeaf]| -> Vec<Leaf> {
        slots.iter().map(|slot| (slot.key, alloy_rlp::encode_fixed_size(&slot.value).to_vec())).collect()
    };
    for (root, slots) in storage_roots.iter().zip(whole) {
        // Without proof they are the whole trie, whatever was asked for.
        verify_range(*root, B256::ZERO, &leaves(slots), &[])?;
    }
    let first = if whole.is_empty() { first } else { B256::ZERO };
    let last = if answer.accounts.len() == storage_roots.len() { last } else { LAST_KEY };
    known_up_to(*root, (first, last), &leaves(slots), &answer.proof)
}

fn known_up_to(
    root: B256,
    (first, last): (B256, B256),
    leaves: &[Leaf],
    proof: &[Bytes],
) -> Result<B256, RangeProofError> {
    // Not more than asked for, or else somebody pays for what is dropped.
    if let [.., (enough, _), (key, _)] = leaves
        && *enough >= last
    {
        return Err(RangeProofError::BehindEnd { key: *key, last });
    }
    let is_more = verify_range(root, first, leaves, proof)?;
    match leaves.last() {
        Some((key, _)) if is_more && *key < last => Ok(*key),
        _ => Ok(last),
    }
}
