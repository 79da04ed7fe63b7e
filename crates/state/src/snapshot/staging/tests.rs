#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! Random states that are fetched while they change, from peers that tell the truth and from others.

mod lies;
mod restored;

use super::*;
use crate::StateView;
use crate::snapshot::sources::{Random, Source, any_chain};
use alloy_primitives::{Bytes, KECCAK256_EMPTY, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use heddle_primitives::{Height, Request};
use heddle_storage::DatabaseConfig;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A state that is served, and the pivot that names it.
#[derive(Clone)]
struct Served {
    view: StateView,
    pivot: Pivot,
}

impl Served {
    fn answer(&self, task: &StateTask, bytes_max: usize) -> Response {
        match task.request(self.pivot.height) {
            Request::Accounts(request) => Response::Accounts(self.view.serve_accounts(&request, bytes_max).unwrap()),
            Request::Storage(request) => Response::Storage(self.view.serve_storage(&request, bytes_max).unwrap()),
            Request::Code(request) => Response::Code(self.view.serve_code(&request.hashes, bytes_max).unwrap()),
            Request::RangeProof(request) => Response::RangeProof(self.view.serve_range_proof(&request).unwrap()),
            other => panic!("not a request for a piece of state: {other:?}"),
        }
    }
}

/// A node that fetches a state.
struct Joiner {
    database: Database,
    staging: Staging,
    queue: VecDeque<StateTask>,
    /// What all accepted answers brought, tasks left out.
    total: Accepted,
    answers: usize,
}

impl Joiner {
    fn new() -> Self {
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let staging = Staging::new(database.clone()).unwrap();
        Self { database, staging, queue: VecDeque::new(), total: Accepted::default(), answers: 0 }
    }

    /// Everything that is not in the database is forgotten.
    fn crash(&mut self) {
        self.staging = Staging::new(self.database.clone()).unwrap();
        self.queue.clear();
    }

    /// One answer; `false` when there is nothing to ask for.
    fn step(&mut self, served: &Served, bytes_max: usize) -> bool {
        if self.queue.is_empty() {
            self.queue.extend(self.staging.plan(served.pivot).unwrap());
        }
        // From both ends, so that tasks do not come in the order in which they were made.
        let task = if self.answers.is_multiple_of(3) { self.queue.pop_back() } else { self.queue.pop_front() };
        let Some(task) = task else { return false };
        let accepted = self.staging.accept(served.pivot, &task, &served.answer(&task, bytes_max)).unwrap();
        self.answers += 1;
        self.total.accounts += accepted.accounts;
        self.total.slots += accepted.slots;
        self.total.codes += accepted.codes;
        self.queue.extend(accepted.tasks);
        true
    }

    fn finish(&mut self, served: &Served, bytes_max: usize) {
        let mut steps = 0;
        while self.step(served, bytes_max) {
            steps += 1;
            assert!(steps < 100_000, "it does not end");
        }
    }

    fn rows(&self) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
        let snapshot = self.database.snapshot();
        let rows = |table| snapshot.prefix(table, &[]).unwrap().map(Result::unwrap).collect();
        [Table::Accounts, Table::Storage, Table::Code, Table::Meta].map(rows).into()
    }

    /// It has exactly the state, and knows that.
    fn check(&self, served: &Served) {
        let theirs =
            |table| -> Vec<_> { served.view.snapshot().prefix(table, &[]).unwrap().map(Result::unwrap).collect() };
        let rows = self.rows();
        assert_eq!(rows[0], theirs(Table::Accounts));
        assert_eq!(rows[1], theirs(Table::Storage));
        let codes = theirs(Table::Code);
        assert!(rows[2].iter().all(|row| codes.contains(row)));
        for (key, row) in &rows[0] {
            let hash = decode_account(Table::Accounts, key, row).unwrap().code_hash;
            assert!(hash == KECCAK256_EMPTY || rows[2].iter().any(|(key, _)| *key == hash.as_slice()));
        }
        let progress = self.staging.progress().unwrap();
        assert_eq!(progress.covered, 1_000_000);
        let counts = (progress.accounts, progress.slots, progress.codes);
        assert_eq!(counts, (rows[0].len() as u64, rows[1].len() as u64, rows[2].len() as u64));
        assert_eq!(rows[3].len(), 3, "the database's format, one span, the counts: {:?}", rows[3]);
    }
}

fn any_bytes() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![200, 3000, 1 << 20])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_state_arrives_and_nothing_is_fetched_twice_after_any_crash(
        blocks in any_chain(),
        bytes_max in any_bytes(),
        crash_every in 1..5usize,
    ) {
        let mut source = Source::new();
        let served = blocks.iter().map(|changes| source.commit(changes)).last().unwrap();
        let served = Served { view: served.0, pivot: served.1 };
        let mut joiner = Joiner::new();
        while joiner.step(&served, bytes_max) {
            if joiner.answers.is_multiple_of(crash_every) {
                joiner.crash();
            }
        }
        joiner.check(&served);
        let progress = joiner.staging.progress().unwrap();
        let total = (joiner.total.accounts, joiner.total.slots, joiner.total.codes);
        prop_assert_eq!(total, (progress.accounts, progress.slots, progress.codes));
    }

    #[test]
    fn a_state_that_moves_under_the_fetching_arrives_as_it_is_last(
        seed in any::<u64>(),
        rounds in prop::collection::vec((0..200usize, 1..4u64, any::<bool>()), 1..6),
        bytes_max in any_bytes(),
    ) {
        let mut source = Source::new();
        let mut random = Random(seed);
        let mut joiner = Joiner::new();
        for (steps, blocks, is_crash) in rounds {
            let mut served = None;
            for _ in 0..blocks {
                served = Some(source.commit(&random.block()));
            }
            let (view, pivot) = served.unwrap();
            let served = Served { view, pivot };
            joiner.queue.clear();
            for _ in 0..steps {
                joiner.step(&served, bytes_max);
            }
            if is_crash {
                joiner.crash();
            }
        }
        let (view, pivot) = source.commit(&random.block());
        let served = Served { view, pivot };
        joiner.queue.clear();
        joiner.finish(&served, bytes_max);
        joiner.check(&served);
    }
}

#[test]
fn what_is_no_longer_wanted_is_dropped() {
    let mut source = Source::new();
    let mut random = Random(7);
    source.commit(&random.block());
    let (view, pivot) = source.commit(&random.block());
    let served = Served { view, pivot };
    let mut joiner = Joiner::new();
    let mut done = Vec::new();
    // Every answer twice, the second time when the first has changed what is known.
    loop {
        if joiner.queue.is_empty() {
            joiner.queue.extend(joiner.staging.plan(served.pivot).unwrap());
        }
        let Some(task) = joiner.queue.front().cloned() else { break };
        done.push((task.clone(), served.answer(&task, 2000)));
        joiner.step(&served, 2000);
    }
    joiner.check(&served);
    let rows = joiner.rows();
    for (task, answer) in &done {
        joiner.staging.accept(served.pivot, task, answer).unwrap();
        assert_eq!(joiner.rows(), rows, "{task:?}");
    }
    // An account that nobody proved says nothing about its storage.
    let elsewhere = Pivot { state_root: keccak256("another"), ..served.pivot };
    let storage = done.iter().find(|(task, _)| matches!(task, StateTask::Storage { .. })).unwrap();
    assert_eq!(joiner.staging.accept(elsewhere, &storage.0, &storage.1).unwrap(), Accepted::default());
    let fresh = Joiner::new();
    assert_eq!(fresh.staging.accept(served.pivot, &storage.0, &storage.1).unwrap(), Accepted::default());
}

#[test]
fn a_fresh_plan_is_the_key_space_in_sixteen_parts_and_an_empty_state_is_soon_there() {
    let joiner = Joiner::new();
    let view = crate::StateStore::new(joiner.database.clone(), &crate::StateConfig { cache_bytes: 0 }).view().unwrap();
    let pivot = Pivot { height: Height::GENESIS, state_root: EMPTY_ROOT_HASH };
    let served = Served { view, pivot };
    let tasks = joiner.staging.plan(pivot).unwrap();
    assert_eq!(tasks.len(), 16);
    assert_eq!(joiner.staging.progress().unwrap(), StagedProgress::default());
    for (done, task) in tasks.iter().enumerate() {
        let accepted = joiner.staging.accept(pivot, task, &served.answer(task, 1)).unwrap();
        assert_eq!(accepted, Accepted::default());
        assert_eq!(joiner.staging.progress().unwrap().covered, (done as u32 + 1) * 62_500);
    }
    assert!(joiner.staging.plan(pivot).unwrap().is_empty());
}

#[test]
fn what_did_not_change_is_proven_and_not_fetched_again() {
    let mut source = Source::new();
    let (address, slots) = (alloy_primitives::Address::with_last_byte(7), 4000u64);
    let account = heddle_primitives::Account { nonce: 1, balance: U256::ONE, code_hash: KECCAK256_EMPTY };
    let change = |storage| heddle_primitives::AccountChange { account: Some(account), storage_wiped: false, storage };
    let mut changes = heddle_primitives::StateChanges::default();
    for n in 0..4000u64 {
        changes.accounts.insert(alloy_primitives::Address::left_padding_from(&n.to_be_bytes()), change([].into()));
    }
    let storage = (0..slots).map(|slot| (U256::from(slot), U256::from(slot + 1))).collect();
    changes.accounts.insert(address, change(storage));
    let (view, pivot) = source.commit(&changes);
    let mut joiner = Joiner::new();
    joiner.finish(&Served { view, pivot }, 10_000);

    let mut changes = heddle_primitives::StateChanges::default();
    changes.accounts.insert(address, change([(U256::from(9), U256::from(1))].into()));
    let (view, pivot) = source.commit(&changes);
    let served = Served { view, pivot };
    joiner.total = Accepted::default();
    joiner.finish(&served, 10_000);
    joiner.check(&served);
    let Accepted { accounts, slots, .. } = joiner.total;
    assert!((1..64).contains(&accounts) && (1..64).contains(&slots), "{accounts} accounts, {slots} slots");
}

#[test]
fn code_that_no_account_has_any_more_is_not_asked_for() {
    use alloy_primitives::Address;
    use heddle_primitives::{Account, AccountChange, StateChanges};
    let with_code = |code: &'static [u8]| {
        let code = Bytes::from_static(code);
        let account = Account { nonce: 1, balance: U256::ONE, code_hash: keccak256(&code) };
        let change = AccountChange { account: Some(account), ..AccountChange::default() };
        let accounts = [(Address::ZERO, change)].into();
        StateChanges { accounts, code: [(account.code_hash, code)].into() }
    };
    let (view, pivot) = Source::new().commit(&with_code(b"one"));
    let served = Served { view, pivot };
    let joiner = Joiner::new();
    for task in joiner.staging.plan(pivot).unwrap() {
        joiner.staging.accept(pivot, &task, &served.answer(&task, 1000)).unwrap();
    }
    // Who serves the next state began with it, and never had the code of the last.
    let (view, pivot) = Source::new().commit(&with_code(b"another"));
    let served = Served { view, pivot };
    let mut joiner = joiner;
    joiner.finish(&served, 1000);
    joiner.check(&served);
}
