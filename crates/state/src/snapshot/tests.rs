#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! Random states, served in pieces of random sizes.

use super::sources::{add_code, any_chain, successor};
use super::*;
use crate::range_proof::RangeProofError;
use crate::rows::LAST_KEY;
use crate::tests::Chain;
use crate::{StateError, StateView};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use heddle_primitives::{
    Account, AccountChange, AccountLeaf, AccountRange, AccountsRequest, Height, RangeProofRequest, SlotLeaf,
    StateChanges, StorageRanges, StorageRequest,
};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Asks for all accounts in the given number of ranges, and returns them.
fn walk_accounts(view: &StateView, root: B256, ranges: u8, bytes_max: usize) -> Vec<AccountLeaf> {
    let mut all = Vec::new();
    let width = 256 / usize::from(ranges.max(1));
    for low in (0..256).step_by(width) {
        let (mut first, mut last) = (B256::ZERO, LAST_KEY);
        first[0] = low as u8;
        last[0] = (low + width - 1).min(255) as u8;
        loop {
            let answer =
                view.serve_accounts(&AccountsRequest { height: Height::GENESIS, first, last }, bytes_max).unwrap();
            let known = verify_accounts(root, first, last, &answer).unwrap();
            all.extend(answer.accounts.into_iter().filter(|leaf| leaf.key <= last));
            if known == last {
                break;
            }
            first = successor(known);
        }
    }
    all
}

/// Asks for all slots of accounts, and returns them by account.
fn walk_storage(view: &StateView, accounts: &[AccountLeaf], bytes_max: usize) -> BTreeMap<B256, Vec<SlotLeaf>> {
    let mut all = BTreeMap::<B256, Vec<SlotLeaf>>::new();
    let mut rest: Vec<_> = accounts.iter().filter(|leaf| leaf.account.storage_root != EMPTY_ROOT_HASH).collect();
    let mut first = B256::ZERO;
    while !rest.is_empty() {
        let roots: Vec<_> = rest.iter().map(|leaf| leaf.account.storage_root).collect();
        let keys = rest.iter().map(|leaf| leaf.key).collect();
        let request = StorageRequest { height: Height::GENESIS, accounts: keys, first, last: LAST_KEY };
        let answer = view.serve_storage(&request, bytes_max).unwrap();
        let known = verify_storage(&roots, first, LAST_KEY, &answer).unwrap();
        let whole = answer.accounts.len() - usize::from(known != LAST_KEY);
        for (leaf, slots) in rest.iter().zip(answer.accounts) {
            all.entry(leaf.key).or_default().extend(slots);
        }
        rest.drain(..whole);
        first = if known == LAST_KEY { B256::ZERO } else { successor(known) };
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_state_in_pieces_is_the_whole_state(
        blocks in any_chain(),
        bytes_max in prop::sample::select(vec![1, 150, 700, 1 << 20]),
        ranges in prop::sample::select(vec![1u8, 2, 16]),
    ) {
        let mut chain = Chain::new();
        let root = blocks.iter().map(|changes| chain.commit(changes)).last().unwrap();
        let view = chain.store.view().unwrap();
        let accounts = walk_accounts(&view, root, ranges, bytes_max);
        let model = chain.models.last().unwrap();
        prop_assert_eq!(accounts.len(), model.len());
        let storage = walk_storage(&view, &accounts, bytes_max);
        for (address, (account, slots)) in model {
            let key = keccak256(address);
            let leaf = accounts.iter().find(|leaf| leaf.key == key).unwrap();
            prop_assert_eq!((leaf.account.nonce, leaf.account.balance), (account.nonce, account.balance));
            let expected: BTreeMap<_, _> = slots.iter().map(|(slot, value)| (keccak256(B256::from(*slot)), *value)).collect();
            let found = storage.get(&key).into_iter().flatten().map(|slot| (slot.key, slot.value)).collect();
            prop_assert_eq!(expected, found);
            if account.code_hash != KECCAK256_EMPTY {
                let code = view.serve_code(&[B256::ZERO, account.code_hash], bytes_max).unwrap();
                prop_assert_eq!(keccak256(&code[0]), account.code_hash);
            }
        }
    }

    #[test]
    fn leaves_of_an_earlier_state_differ_from_a_later_one_only_in_the_ranges_that_are_told(
        blocks in any_chain(),
        ends in (any::<[u8; 32]>(), any::<[u8; 32]>()),
    ) {
        let mut chain = Chain::new();
        let mut leaves = Vec::new();
        for changes in &blocks {
            let root = chain.commit(changes);
            let view = chain.store.view().unwrap();
            let now: Vec<_> = walk_accounts(&view, root, 1, 1 << 20)
                .into_iter()
                .map(|leaf| (leaf.key, alloy_rlp::encode(leaf.account)))
                .collect();
            let (first, last) = (B256::from(ends.0.min(ends.1)), B256::from(ends.0.max(ends.1)));
            let is_inside = |leaf: &&(B256, Vec<u8>)| (first..=last).contains(&leaf.0);
            let ours: Vec<_> = leaves.iter().filter(is_inside).cloned().collect();
            let proof = view.serve_range_proof(&RangeProofRequest { height: Height::GENESIS, owner: B256::ZERO, first, last }).unwrap();
            let told = crate::range_proof::differences(root, (first, last), &ours, &proof).unwrap();
            let is_same = |leaf: &&(B256, Vec<u8>)| !told.iter().any(|(from, to)| (*from..=*to).contains(&leaf.0));
            prop_assert!(now.iter().filter(is_inside).filter(is_same).eq(ours.iter().filter(is_same)));
            prop_assert!(told.iter().all(|(from, to)| first <= *from && from <= to && *to <= last));
            prop_assert!(told.is_sorted_by(|one, other| one.1 < other.0));
            let is_equal = now.iter().filter(is_inside).eq(ours.iter());
            prop_assert_eq!(is_equal, told.is_empty());
            leaves = now;
        }
    }
}

/// A chain with one account that has many slots, and others with a few.
fn example() -> (Chain, B256) {
    let mut changes = StateChanges::default();
    for n in 0..60u64 {
        let count = if n == 7 { 300 } else { n % 3 };
        let storage = (0..count).map(|slot| (U256::from(slot), U256::from(slot + 1))).collect();
        let account = Account { nonce: n % 3, balance: U256::from(n), code_hash: KECCAK256_EMPTY };
        let change = AccountChange { account: Some(account), storage_wiped: false, storage };
        changes.accounts.insert(Address::left_padding_from(&n.to_be_bytes()), change);
    }
    add_code(&mut changes);
    let mut chain = Chain::new();
    let root = chain.commit(&changes);
    (chain, root)
}

#[test]
fn lying_answers_for_accounts_are_refused() {
    let (chain, root) = example();
    let view = chain.store.view().unwrap();
    let (first, mut last) = (successor(B256::ZERO), B256::repeat_byte(0xaa));
    let request = AccountsRequest { height: Height::GENESIS, first, last };
    let honest = view.serve_accounts(&request, 1 << 20).unwrap();
    assert_eq!(verify_accounts(root, first, last, &honest), Ok(last));
    let behind = honest.accounts.last().unwrap().key;
    assert!(behind > last && honest.accounts.len() > 20);
    let refused = |answer: AccountRange| verify_accounts(root, first, last, &answer).unwrap_err();
    for index in 0..honest.accounts.len() {
        let mut answer = honest.clone();
        answer.accounts[index].account.balance += U256::ONE;
        assert!(matches!(refused(answer), RangeProofError::Mismatch { .. }));
        let mut answer = honest.clone();
        answer.accounts.remove(index);
        refused(answer);
        let mut answer = honest.clone();
        let leaf = AccountLeaf { key: successor(answer.accounts[index].key), account: TrieAccount::default() };
        answer.accounts.insert(index + 1, leaf);
        refused(answer);
        let mut answer = honest.clone();
        answer.accounts.swap(index, (index + 1) % honest.accounts.len());
        refused(answer);
    }
    for index in 0..honest.proof.len() {
        let mut answer = honest.clone();
        answer.proof.remove(index);
        assert!(matches!(refused(answer), RangeProofError::MissingNode(_)));
    }
    assert!(matches!(refused(AccountRange::default()), RangeProofError::Mismatch { .. }), "nothing at all");
    let proof = honest.proof.clone();
    refused(AccountRange { accounts: Vec::new(), proof });
    let proof = vec![Bytes::from_static(&[0xc0]); 131];
    assert!(matches!(refused(AccountRange { proof, ..honest.clone() }), RangeProofError::TooManyNodes { .. }));
    // More than was asked for, though all of it is true.
    let wider = AccountsRequest { last: LAST_KEY, ..request };
    let answer = view.serve_accounts(&wider, 1 << 20).unwrap();
    assert!(matches!(refused(answer.clone()), RangeProofError::BehindEnd { .. }));
    last = LAST_KEY;
    assert_eq!(verify_accounts(root, first, last, &answer), Ok(last));
    // Less than asked for is a beginning.
    let answer = view.serve_accounts(&wider, 1).unwrap();
    assert_eq!(verify_accounts(root, first, last, &answer), Ok(answer.accounts[0].key));
}

#[test]
fn lying_answers_for_storage_are_refused() {
    let (chain, root) = example();
    let view = chain.store.view().unwrap();
    let leaves = walk_accounts(&view, root, 1, 1 << 20);
    let with_storage: Vec<_> = leaves.iter().filter(|leaf| leaf.account.storage_root != EMPTY_ROOT_HASH).collect();
    let accounts: Vec<_> = with_storage.iter().map(|leaf| leaf.key).collect();
    let roots: Vec<_> = with_storage.iter().map(|leaf| leaf.account.storage_root).collect();
    let request =
        StorageRequest { height: Height::GENESIS, accounts: accounts.clone(), first: B256::ZERO, last: LAST_KEY };
    // So that the answer ends inside of the account with many slots.
    let big = accounts.iter().position(|key| *key == keccak256(Address::with_last_byte(7))).unwrap();
    let honest = view.serve_storage(&request, 5000).unwrap();
    assert_eq!(honest.accounts.len(), big + 1);
    let verify = |answer: &StorageRanges| verify_storage(&roots, B256::ZERO, LAST_KEY, answer);
    assert_eq!(verify(&honest), Ok(honest.accounts[big].last().unwrap().key));
    let refused = |change: &dyn Fn(&mut StorageRanges)| {
        let mut answer = honest.clone();
        change(&mut answer);
        assert_ne!(answer, honest);
        verify(&answer).unwrap_err()
    };
    for account in 0..=big {
        for slot in 0..honest.accounts[account].len() {
            let value = |answer: &mut StorageRanges| answer.accounts[account][slot].value += U256::ONE;
            assert!(matches!(refused(&value), RangeProofError::Mismatch { .. }));
            // Without its last slot an answer says less, which can be true.
            if (account, slot + 1) != (big, honest.accounts[big].len()) {
                refused(&|answer| _ = answer.accounts[account].remove(slot));
            }
            refused(&|answer| answer.accounts[account][slot].key = successor(answer.accounts[account][slot].key));
            refused(&|answer| {
                let key = successor(answer.accounts[account][slot].key);
                answer.accounts[account].insert(slot + 1, SlotLeaf { key, value: U256::ONE });
            });
        }
        refused(&|answer| drop(answer.accounts.remove(account)));
        refused(&|answer| answer.accounts[account].clear());
        refused(&|answer| answer.accounts.insert(account, vec![SlotLeaf { key: LAST_KEY, value: U256::ONE }]));
    }
    for index in 0..honest.proof.len() {
        let mut answer = honest.clone();
        answer.proof.remove(index);
        // The nodes above the lowest key there can be are not needed.
        let found = verify(&answer);
        assert!(matches!(found, Err(RangeProofError::MissingNode(_))) || found == verify(&honest));
    }
    refused(&|answer| answer.proof.clear());
    let count = RangeProofError::Count { found: 0, asked: roots.len() };
    assert_eq!(refused(&|answer| *answer = StorageRanges::default()), count);
    let all = view.serve_storage(&request, 1 << 20).unwrap();
    assert_eq!(verify_storage(&roots, B256::ZERO, LAST_KEY, &all), Ok(LAST_KEY));
    let fewer = verify_storage(&roots[..2], B256::ZERO, LAST_KEY, &all);
    assert_eq!(fewer, Err(RangeProofError::Count { found: roots.len(), asked: 2 }));
    // The slots of another account, with a proof that is good for them.
    let request = StorageRequest { accounts: vec![accounts[big]], ..request };
    let other = view.serve_storage(&request, 1000).unwrap();
    assert!(verify_storage(&[roots[(big + 1) % roots.len()]], B256::ZERO, LAST_KEY, &other).is_err());
    // A part in the middle, and one slot behind it.
    let (first, last) = (B256::repeat_byte(0x20), B256::repeat_byte(0x30));
    let request = StorageRequest { first, last, ..request };
    let part = view.serve_storage(&request, 1 << 20).unwrap();
    assert_eq!(verify_storage(&roots[big..=big], first, last, &part), Ok(last));
    assert!(part.accounts[0].iter().rev().nth(1).unwrap().key < last && part.accounts[0].last().unwrap().key > last);
    let longer = view.serve_storage(&StorageRequest { last: LAST_KEY, ..request }, 1 << 20).unwrap();
    let error = verify_storage(&roots[big..=big], first, last, &longer).unwrap_err();
    assert!(matches!(error, RangeProofError::BehindEnd { .. }));
}

#[test]
fn only_the_state_of_the_views_own_snapshot_is_served() {
    let (mut chain, _) = example();
    let served = chain.store.view().unwrap();
    chain.commit(&crate::tests::transfer(1));
    let request = AccountsRequest { height: Height::GENESIS, first: B256::ZERO, last: LAST_KEY };
    assert!(served.serve_accounts(&request, 1 << 20).is_ok());
    let past = chain.store.view_at(0).unwrap();
    let is_refused = |error| matches!(error, StateError::ProofTooOld { number: 0, oldest: 1 });
    assert!(is_refused(past.serve_accounts(&request, 1 << 20).unwrap_err()));
    let owner = B256::ZERO;
    let proof = RangeProofRequest { height: Height::GENESIS, owner, first: B256::ZERO, last: LAST_KEY };
    assert!(is_refused(past.serve_range_proof(&proof).unwrap_err()));
    let storage =
        StorageRequest { height: Height::GENESIS, accounts: vec![B256::ZERO], first: B256::ZERO, last: LAST_KEY };
    assert!(is_refused(past.serve_storage(&storage, 1 << 20).unwrap_err()));
    assert_eq!(served.serve_storage(&storage, 1 << 20).unwrap(), StorageRanges::default(), "there is no such account");
}
