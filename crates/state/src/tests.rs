//! The whole crate against a plain model of the state.

use crate::rows::{ChangeSet, ReplacedDigest, history_key};
use crate::{StateConfig, StateError, StateStore, StateView, genesis_changes};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address, keccak256};
use alloy_trie::TrieAccount;
use alloy_trie::root::{state_root_unhashed, storage_root_unhashed};
use heddle_primitives::{Account, AccountChange, Genesis, StateChanges};
use heddle_storage::{Batch, Database, DatabaseConfig, Table};
use proptest::prelude::*;
use std::collections::BTreeMap;

pub(crate) type Model = BTreeMap<Address, (Account, BTreeMap<U256, U256>)>;

const ALICE: Address = address!("0x00000000000000000000000000000000000a11ce");
const BOB: Address = address!("0x0000000000000000000000000000000000000b0b");

pub(crate) struct Chain {
    _directory: tempfile::TempDir,
    pub(crate) database: Database,
    pub(crate) store: StateStore,
    /// The state after each block.
    pub(crate) models: Vec<Model>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        Self::with_cache(1 << 20)
    }

    fn with_cache(cache_bytes: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = DatabaseConfig { block_cache_bytes: 1 << 20, ..DatabaseConfig::default() };
        let database = Database::open(directory.path(), &config).unwrap();
        let store = StateStore::new(database.clone(), &StateConfig { cache_bytes });
        Self { _directory: directory, database, store, models: Vec::new() }
    }

    /// Commits a block with these changes and checks the root against the model's.
    pub(crate) fn commit(&mut self, changes: &StateChanges) -> B256 {
        let update = self.store.compute(&self.store.view().unwrap(), changes).unwrap();
        let root = update.state_root;
        let mut batch = Batch::new();
        let committed = update.write_into(self.models.len() as u64, &mut batch).unwrap();
        self.database.commit(batch).unwrap();
        self.store.committed(committed);
        let mut model = self.models.last().cloned().unwrap_or_default();
        apply(&mut model, changes);
        assert_eq!(root, root_of(&model));
        assert_eq!(root, self.store.state_root().unwrap());
        self.models.push(model);
        root
    }

    /// Checks every account and slot that ever existed in the state after a block.
    fn check_view_at(&self, number: u64) {
        let view = self.store.view_at(number).unwrap();
        assert_eq!(view.number(), Some(number));
        self.check_view(&view);
    }

    fn check_view(&self, view: &StateView) {
        let number = view.number().unwrap();
        let model = &self.models[number as usize];
        for (address, slot) in self.models.iter().flat_map(keys_of) {
            let expected = model.get(&address);
            assert_eq!(view.account(address).unwrap(), expected.map(|(account, _)| *account), "block {number}");
            let value = expected.and_then(|(_, storage)| storage.get(&slot)).copied().unwrap_or_default();
            assert_eq!(view.storage(address, slot).unwrap(), value, "block {number}, {address}, slot {slot}");
        }
    }

    /// Every account that ever existed, and one that never did, with the slots it had and one it never had.
    pub(crate) fn keys(&self) -> BTreeMap<Address, Vec<U256>> {
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::from([(Address::repeat_byte(0xee), vec![U256::MAX])]);
        self.models.iter().flat_map(keys_of).for_each(|(address, slot)| keys.entry(address).or_default().push(slot));
        keys.values_mut().for_each(|slots| {
            slots.sort_unstable();
            slots.dedup();
        });
        keys
    }

    pub(crate) fn rows(&self, table: Table) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.database.snapshot().prefix(table, &[]).unwrap().map(Result::unwrap).collect()
    }

    /// The current tables must be those of a chain that starts with the final state.
    fn check_no_stale_rows(&self) {
        let mut fresh = Self::new();
        let mut changes = StateChanges::default();
        for (address, (account, storage)) in self.models.last().into_iter().flatten() {
            let change = AccountChange { account: Some(*account), storage_wiped: false, storage: storage.clone() };
            changes.accounts.insert(*address, change);
        }
        fresh.commit(&changes);
        for table in [Table::Accounts, Table::Storage, Table::TrieNodes] {
            assert_eq!(self.rows(table), fresh.rows(table), "{table:?}");
        }
    }
}

fn keys_of(model: &Model) -> Vec<(Address, U256)> {
    let slots = |storage: &BTreeMap<U256, U256>| storage.keys().copied().chain([U256::ZERO]).collect::<Vec<_>>();
    model.iter().flat_map(|(address, (_, storage))| slots(storage).into_iter().map(|s| (*address, s))).collect()
}

fn apply(model: &mut Model, changes: &StateChanges) {
    for (address, change) in &changes.accounts {
        let Some(account) = change.account else {
            model.remove(address);
            continue;
        };
        let (entry, storage) = model.entry(*address).or_default();
        *entry = account;
        if change.storage_wiped {
            storage.clear();
        }
        storage.extend(&change.storage);
        storage.retain(|_, value| !value.is_zero());
    }
}

fn root_of(model: &Model) -> B256 {
    state_root_unhashed(model.iter().map(|(address, (account, storage))| {
        let storage = storage.iter().map(|(slot, value)| (B256::from(*slot), *value));
        let root = storage_root_unhashed(storage);
        (*address, TrieAccount::new(account.nonce, account.balance, root, account.code_hash))
    }))
}

fn account(nonce: u64, balance: u64) -> Account {
    Account { nonce, balance: U256::from(balance), code_hash: KECCAK256_EMPTY }
}

/// An account and slots of it with their values.
type Entry<'a> = (Address, Account, &'a [(u64, u64)]);

fn changes(entries: &[Entry<'_>]) -> StateChanges {
    let mut changes = StateChanges::default();
    for (address, account, slots) in entries {
        let storage = slots.iter().map(|(slot, value)| (U256::from(*slot), U256::from(*value))).collect();
        let change = AccountChange { account: Some(*account), storage_wiped: false, storage };
        changes.accounts.insert(*address, change);
    }
    changes
}

#[test]
fn a_proposal_that_is_not_committed_leaves_no_trace() {
    let mut chain = Chain::new();
    chain.commit(&changes(&[(ALICE, account(0, 100), &[(1, 1)])]));
    let before = chain.rows(Table::TrieNodes);
    let view = chain.store.view().unwrap();
    chain.store.compute(&view, &changes(&[(ALICE, account(1, 50), &[(1, 0), (2, 2)])])).unwrap();
    assert_eq!(chain.rows(Table::TrieNodes), before);
    chain.commit(&changes(&[(BOB, account(0, 7), &[])]));
    chain.check_no_stale_rows();
}

#[test]
fn a_view_stays_at_its_block_while_others_are_committed() {
    let mut chain = Chain::new();
    chain.commit(&changes(&[(ALICE, account(0, 100), &[(1, 1)])]));
    let view = chain.store.view().unwrap();
    chain.commit(&changes(&[(ALICE, account(1, 90), &[(1, 2)])]));
    assert_eq!(view.account(ALICE).unwrap(), Some(account(0, 100)));
    assert_eq!(view.storage(ALICE, U256::from(1)).unwrap(), U256::from(1));
    assert_eq!(chain.store.view().unwrap().storage(ALICE, U256::from(1)).unwrap(), U256::from(2));
}

#[test]
fn wiped_and_removed_accounts_lose_their_storage() {
    let mut chain = Chain::new();
    let slots: Vec<_> = (0..50).map(|n| (n, n + 1)).collect();
    chain.commit(&changes(&[(ALICE, account(1, 1), &slots), (BOB, account(1, 1), &slots)]));
    let mut block = changes(&[(ALICE, account(1, 1), &[(7, 9), (100, 1)])]);
    block.accounts.get_mut(&ALICE).unwrap().storage_wiped = true;
    block.accounts.insert(BOB, AccountChange::default());
    chain.commit(&block);
    assert_eq!(chain.rows(Table::Storage).len(), 2);
    chain.commit(&changes(&[(BOB, account(0, 5), &[])]));
    assert_eq!(chain.store.view().unwrap().storage(BOB, U256::from(3)).unwrap(), U256::ZERO);
    chain.check_no_stale_rows();
    (0..3).for_each(|number| chain.check_view_at(number));
}

#[test]
fn code_is_found_by_hash() {
    let mut chain = Chain::new();
    let code = Bytes::from_static(&[0x60, 0x00]);
    let hash = keccak256(&code);
    let mut block = changes(&[(ALICE, Account { code_hash: hash, ..account(1, 0) }, &[])]);
    block.code.insert(hash, code.clone());
    chain.commit(&block);
    let view = chain.store.view().unwrap();
    assert_eq!(view.code(hash).unwrap(), code);
    assert_eq!(view.code(KECCAK256_EMPTY).unwrap(), Bytes::new());
    assert!(matches!(view.code(B256::ZERO), Err(StateError::MissingCode(_))));
}

#[test]
fn a_change_set_names_the_history_rows_of_its_block_and_binds_their_values() {
    let mut chain = Chain::new();
    chain.commit(&changes(&[(ALICE, account(0, 100), &[(1, 1), (2, 7)])]));
    chain.commit(&changes(&[(ALICE, account(1, 90), &[(1, 0), (2, 8)]), (BOB, account(0, 10), &[(3, 1)])]));
    let row = chain.database.get(Table::ChangeSets, 1u64.to_be_bytes()).unwrap().unwrap();
    let set: ChangeSet = alloy_rlp::decode_exact(&row).unwrap();
    let mut digest = ReplacedDigest::default();
    let mut rows = 0;
    for account in &set.accounts {
        let row = |table, key| chain.database.get(table, key).unwrap().unwrap();
        digest.add(&row(Table::AccountHistory, history_key(account.key(), 1)));
        account.slot_keys().for_each(|slot| digest.add(&row(Table::StorageHistory, history_key(slot, 1))));
        rows += 1 + account.slots.len();
    }
    assert_eq!(digest.finish(), set.digest);
    assert_eq!(rows, chain.rows(Table::AccountHistory).len() + chain.rows(Table::StorageHistory).len());
}

#[test]
fn states_out_of_reach_are_errors_that_name_the_reach() {
    let mut chain = Chain::new();
    assert!(matches!(chain.store.view_at(0), Err(StateError::NoState)));
    for n in 0..5 {
        chain.commit(&changes(&[(ALICE, account(n, 100), &[(n, 1)])]));
    }
    assert!(matches!(chain.store.view_at(5), Err(StateError::FutureBlock { number: 5, head: 4 })));
    let mut batch = Batch::new();
    assert_eq!(chain.store.prune_history(3, &mut batch).unwrap(), 3);
    chain.database.commit(batch).unwrap();
    assert!(matches!(chain.store.view_at(2), Err(StateError::HistoryPruned { number: 2, oldest: 3 })));
    (3..5).for_each(|number| chain.check_view_at(number));
    assert_eq!(chain.rows(Table::AccountHistory).len(), 1, "only what block 4 replaced is kept");
    assert_eq!(chain.rows(Table::StorageHistory).len(), 1);
    assert_eq!(chain.rows(Table::ChangeSets).len(), 1);
    let mut batch = Batch::new();
    assert_eq!(chain.store.prune_history(1, &mut batch).unwrap(), 3, "pruning does not go back");
    assert!(batch.is_empty());
}

#[test]
fn pruning_goes_in_bounded_batches_and_spares_open_views() {
    let mut chain = Chain::new();
    let slots: Vec<_> = (0..6).collect();
    for n in 0..10 {
        chain.commit(&changes(&[(ALICE, account(n, 1), &slots.iter().map(|s| (*s, n + 1)).collect::<Vec<_>>())]));
    }
    let view = chain.store.view_at(1).unwrap();
    let mut oldest = Vec::new();
    while oldest.last() != Some(&8) {
        let mut batch = Batch::new();
        oldest.push(chain.store.prune_history(8, &mut batch).unwrap());
        assert!(batch.len() < 16 + 9, "one block more than the bound at most");
        chain.database.commit(batch).unwrap();
        (*oldest.last().unwrap()..10).for_each(|number| chain.check_view_at(number));
    }
    assert_eq!(oldest, [2, 4, 6, 8], "a block changes an account and six slots");
    assert_eq!(view.account(ALICE).unwrap(), Some(account(1, 1)));
    assert_eq!(view.storage(ALICE, U256::from(5)).unwrap(), U256::from(2));
    assert!(view.proof(ALICE, &[U256::from(5)], &crate::ProofLimits::default()).is_ok());
}

#[test]
fn updates_build_on_the_last_state_and_follow_it() {
    let mut chain = Chain::new();
    chain.commit(&changes(&[(ALICE, account(0, 1), &[])]));
    chain.commit(&changes(&[(ALICE, account(1, 1), &[])]));
    let past = chain.store.view_at(0).unwrap();
    let block = changes(&[(BOB, account(0, 1), &[])]);
    assert!(matches!(chain.store.compute(&past, &block), Err(StateError::NotHead { number: 0 })));
    let update = chain.store.compute(&chain.store.view().unwrap(), &block).unwrap();
    let result = update.write_into(3, &mut Batch::new());
    assert!(matches!(result, Err(StateError::WrongNumber { parent: 1, number: 3 })));
}

/// The number of the last block up to `number` that changes an account: every block Alice, every third block Bob.
fn last_change(address: Address, number: u64) -> u64 {
    if address == ALICE { number } else { number - number % 3 }
}

#[test]
fn views_beside_commits_read_their_own_state_with_and_without_telling_the_caches() {
    const BLOCKS: u64 = 120;
    let chain = Chain::new();
    let (store, database) = (&chain.store, &chain.database);
    let commit = |number: u64| {
        let changed = [ALICE, BOB].into_iter().filter(|address| last_change(*address, number) == number);
        let slots = [(1, number)];
        let entries: Vec<_> = changed.map(|address| (address, account(number, number), &slots[..])).collect();
        let update = store.compute(&store.view().unwrap(), &changes(&entries)).unwrap();
        let mut batch = Batch::new();
        let committed = update.write_into(number, &mut batch).unwrap();
        database.commit(batch).unwrap();
        if number % 10 != 9 {
            store.committed(committed);
        }
    };
    let check = |view: StateView| {
        let number = view.number().unwrap();
        for address in [ALICE, BOB] {
            let last = last_change(address, number);
            assert_eq!(view.account(address).unwrap(), Some(account(last, last)), "block {number}");
            assert_eq!(view.storage(address, U256::from(1)).unwrap(), U256::from(last), "block {number}");
        }
        assert_eq!(view.account(Address::ZERO).unwrap(), None);
        number
    };
    commit(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let head = check(store.view().unwrap());
                    check(store.view_at(head.saturating_sub(2)).unwrap());
                    if head == BLOCKS {
                        break;
                    }
                }
            });
        }
        (1..=BLOCKS).for_each(commit);
    });
}

#[test]
fn genesis_state_has_the_root_of_the_genesis_header() {
    let json = r#"{
        "config": {"chainId": 1}, "gasLimit": "0x1c9c380", "difficulty": "0x0",
        "alloc": {
            "0x00000000000000000000000000000000000a11ce": {"balance": "0x64", "nonce": "0x2"},
            "0x0000000000000000000000000000000000000b0b": {
                "balance": "0x0", "code": "0x6001600255",
                "storage": {
                    "0x0000000000000000000000000000000000000000000000000000000000000001":
                    "0x00000000000000000000000000000000000000000000000000000000000000ff"
                }
            }
        }
    }"#;
    let genesis = Genesis::from_json(json).unwrap();
    let mut chain = Chain::new();
    let root = chain.commit(&genesis_changes(&genesis));
    assert_eq!(root, genesis.header().state_root);
    let view = chain.store.view_at(0).unwrap();
    let bob = view.account(BOB).unwrap().unwrap();
    assert_eq!(view.code(bob.code_hash).unwrap(), Bytes::from_static(&[0x60, 1, 0x60, 2, 0x55]));
    assert_eq!(view.storage(BOB, U256::from(1)).unwrap(), U256::from(255));
}

fn account_change() -> impl Strategy<Value = AccountChange> {
    let slots = prop::collection::btree_map((0u64..12).prop_map(U256::from), (0u64..4).prop_map(U256::from), 0..6);
    let account = prop::option::weighted(0.8, (0u64..3, 0u64..1000).prop_map(|(n, b)| account(n, b)));
    let wiped = prop::bool::weighted(0.1);
    (account, wiped, slots).prop_map(|(account, storage_wiped, storage)| AccountChange {
        account,
        storage_wiped,
        storage,
    })
}

/// Some blocks.
pub(crate) fn any_history() -> impl Strategy<Value = Vec<StateChanges>> {
    prop::collection::vec(block(), 1..12)
}

/// A block that changes one account, another one for every number.
pub(crate) fn transfer(number: u64) -> StateChanges {
    changes(&[(Address::with_last_byte(number as u8 + 1), account(number, 1 + number), &[])])
}

fn block() -> impl Strategy<Value = StateChanges> {
    let addresses = (0u8..24).prop_map(|n| Address::with_last_byte(n + 1));
    prop::collection::btree_map(addresses, account_change(), 0..10)
        .prop_map(|accounts| StateChanges { accounts, code: BTreeMap::new() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_block_has_the_right_root_and_every_past_state_reads_back(
        blocks in any_history(),
        // None, so small that entries are evicted, and enough for all.
        cache_bytes in prop::sample::select(vec![0, 1 << 14, 1 << 20]),
    ) {
        let mut chain = Chain::with_cache(cache_bytes);
        let mut views = Vec::new();
        for changes in &blocks {
            chain.commit(changes);
            let view = chain.store.view().unwrap();
            chain.check_view(&view);
            views.push(view);
        }
        chain.check_no_stale_rows();
        views.iter().for_each(|view| chain.check_view(view));
        (0..blocks.len() as u64).for_each(|number| chain.check_view_at(number));
    }
}
