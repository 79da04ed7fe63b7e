#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! Proofs of random histories, checked by alloy-trie against the roots that the blocks had.

use super::*;
use crate::tests::{Chain, any_history};
use crate::{RangeProofError, verify_range};
use alloy_trie::Nibbles;
use alloy_trie::proof::verify_proof;
use proptest::prelude::*;

/// Checks proofs of every account and slot that ever existed, and of some that never did, in the state after a block.
fn check_proofs(chain: &Chain, number: u64, root: B256) {
    let view = chain.store.view_at(number).unwrap();
    let limits = ProofLimits::default();
    for (address, slots) in chain.keys() {
        let found = view.proof(address, &slots, &limits).unwrap();
        let model = chain.models[number as usize].get(&address);
        let account = found.account.map(|account| (account.nonce, account.balance, account.code_hash));
        assert_eq!(account, model.map(|(account, _)| (account.nonce, account.balance, account.code_hash)));
        let leaf = found.account.map(alloy_rlp::encode);
        verify_proof(root, Nibbles::unpack(AccountKey::of(address).0), leaf, &found.proof).unwrap();
        let storage_root = found.account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        for (slot, found) in slots.iter().zip(&found.storage) {
            let value = model.and_then(|(_, storage)| storage.get(slot)).copied().unwrap_or_default();
            assert_eq!((found.slot, found.value), (*slot, value), "block {number}");
            let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
            verify_proof(storage_root, Nibbles::unpack(hash_slot(*slot)), leaf, &found.proof).unwrap();
        }
    }
}

/// Walks a trie range by range, and returns its leaves.
fn walk(root: B256, range: impl Fn(B256) -> RangeProof) -> Vec<(B256, Vec<u8>)> {
    let (mut start, mut all) = (B256::ZERO, Vec::new());
    loop {
        let RangeProof { root: found, leaves, proof } = range(start);
        assert_eq!(found, root);
        let more = verify_range(root, start, &leaves, &proof).unwrap();
        all.extend(leaves);
        if !more {
            return all;
        }
        start = B256::from(U256::from_be_bytes(all.last().unwrap().0.0) + U256::ONE);
    }
}

fn check_ranges(chain: &Chain, number: u64, root: B256) {
    let view = chain.store.view_at(number).unwrap();
    let limits = ProofLimits::default();
    let accounts = walk(root, |start| view.account_range(start, 2, &limits).unwrap());
    let model = &chain.models[number as usize];
    assert_eq!(accounts.len(), model.len(), "block {number}");
    for (key, leaf) in accounts {
        let account: TrieAccount = alloy_rlp::decode_exact(leaf).unwrap();
        let storage = walk(account.storage_root, |start| view.storage_range(key, start, 2, &limits).unwrap());
        let (_, slots) = model.iter().find(|(address, _)| AccountKey::of(**address).0 == key).unwrap().1;
        assert_eq!(storage.len(), slots.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_state_of_a_random_history_is_proven_against_its_root(history in any_history()) {
        let mut chain = Chain::new();
        let roots: Vec<_> = history.iter().map(|changes| chain.commit(changes)).collect();
        for (number, (root, changes)) in roots.iter().zip(&history).enumerate().skip(1) {
            let before = chain.store.view_at(number as u64 - 1).unwrap();
            prop_assert_eq!(before.root_with(changes, &ProofLimits::default()).unwrap(), *root, "block {}", number);
        }
        for (root, number) in roots.into_iter().zip(0..) {
            check_proofs(&chain, number, root);
            check_ranges(&chain, number, root);
        }
    }
}

#[test]
fn states_behind_the_limits_are_refused_with_the_oldest_that_is_not() {
    let mut chain = Chain::new();
    for number in 0..6u64 {
        chain.commit(&crate::tests::transfer(number));
    }
    let prove =
        |number, limits: ProofLimits| chain.store.view_at(number).unwrap().proof(Address::ZERO, &[], &limits).map(drop);
    let blocks = ProofLimits { blocks_max: 2, keys_max: 100 };
    assert!(prove(3, blocks).is_ok());
    assert!(matches!(prove(2, blocks), Err(StateError::ProofTooOld { number: 2, oldest: 3 })));
    // Each block changes an account of its own.
    let keys = ProofLimits { blocks_max: 100, keys_max: 3 };
    assert!(prove(2, keys).is_ok());
    assert!(matches!(prove(1, keys), Err(StateError::ProofTooOld { number: 1, oldest: 2 })));
}

#[test]
fn an_absent_account_has_an_empty_range_of_slots() {
    let mut chain = Chain::new();
    chain.commit(&crate::tests::transfer(0));
    let view = chain.store.view().unwrap();
    let range = view.storage_range(B256::repeat_byte(7), B256::ZERO, 9, &ProofLimits::default()).unwrap();
    assert_eq!(range, RangeProof { root: EMPTY_ROOT_HASH, leaves: Vec::new(), proof: Vec::new() });
    assert_eq!(verify_range(range.root, B256::ZERO, &range.leaves, &range.proof), Ok::<_, RangeProofError>(false));
}
