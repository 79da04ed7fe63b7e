#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! Random states that are fetched while they change, from peers that tell the truth and from others.

use super::*;
use crate::snapshot::tests::Source;
use crate::{StateView, snapshot::tests::any_chain};
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
        let mut random = crate::snapshot::tests::Random(seed);
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

    #[test]
    fn a_lie_is_refused_and_leaves_nothing(
        seed in any::<u64>(),
        bytes_max in any_bytes(),
        lies in prop::collection::vec((any::<prop::sample::Index>(), 0..12u8), 1..80),
    ) {
        let mut source = Source::new();
        let mut random = crate::snapshot::tests::Random(seed);
        source.commit(&random.block());
        let (view, pivot) = source.commit(&random.block());
        let served = Served { view, pivot };
        let (view, pivot) = source.commit(&random.block());
        let later = Served { view, pivot };
        let other = source.other();
        let mut joiner = Joiner::new();
        for (round, (at, kind)) in lies.iter().enumerate() {
            let now = if round < lies.len() / 2 { &served } else { &later };
            if round == lies.len() / 2 {
                joiner.queue.clear();
            }
            if joiner.queue.is_empty() {
                joiner.queue.extend(joiner.staging.plan(now.pivot).unwrap());
            }
            if let Some(task) = joiner.queue.front().cloned() {
                let honest = now.answer(&task, bytes_max);
                let lie = lie(&honest, *at, *kind, now, &other, &task);
                if lie != honest {
                    let before = joiner.rows();
                    let accepted = joiner.staging.accept(now.pivot, &task, &lie);
                    prop_assert!(matches!(accepted, Err(AcceptError::Peer(_))), "{:?}: {:?} instead of {:?}", task, lie, honest);
                    prop_assert_eq!(before, joiner.rows());
                }
            }
            joiner.step(now, bytes_max);
        }
        joiner.queue.clear();
        joiner.finish(&later, bytes_max);
        joiner.check(&later);
    }
}

/// A wrong answer made of a right one; the right one where there is no such way to lie.
fn lie(
    honest: &Response,
    at: prop::sample::Index,
    kind: u8,
    served: &Served,
    other: &StateView,
    task: &StateTask,
) -> Response {
    let mut answer = honest.clone();
    let is_whole = matches!(task, StateTask::RangeProof { first: B256::ZERO, last: crate::rows::LAST_KEY, .. });
    let other = Served { view: other.clone(), pivot: Pivot { height: Height::GENESIS, state_root: B256::ZERO } };
    match (&mut answer, kind) {
        (_, 0) => {
            return Response::Status(heddle_primitives::Status {
                height: Height::GENESIS,
                hash: B256::ZERO,
                earliest: Height::GENESIS,
            });
        }
        (Response::Accounts(range), _) => lie_accounts(range, at, kind, served, &other, task),
        (Response::Storage(ranges), 1..=2) => {
            *ranges = if kind == 1 { Default::default() } else { ranges.clone() };
            ranges.accounts.push(vec![]);
        }
        (Response::Storage(ranges), _) => lie_storage(ranges, at, kind),
        (Response::Code(codes), 1..=4) => codes.clear(),
        (Response::Code(codes), 5..=8) => {
            let at = at.index(codes.len());
            codes[at] = [&codes[at][..], &[0]].concat().into();
        }
        (Response::Code(codes), _) => codes.push(Bytes::from_static(&[1, 2, 3])),
        // Without its nodes a proof proves nothing, but of all keys the root alone does.
        (Response::RangeProof(proof), _) if kind < 10 || is_whole => proof.clear(),
        (Response::RangeProof(proof), _) => proof.iter_mut().for_each(|node| *node = [&node[..], &[0]].concat().into()),
        _ => {}
    }
    // An empty trie has no nodes.
    if matches!(honest, Response::RangeProof(proof) if proof.is_empty()) { honest.clone() } else { answer }
}

fn lie_accounts(
    range: &mut heddle_primitives::AccountRange,
    at: prop::sample::Index,
    kind: u8,
    served: &Served,
    other: &Served,
    task: &StateTask,
) {
    let all = served.view.snapshot().prefix(Table::Accounts, &[]).unwrap().count();
    let accounts = &mut range.accounts;
    // Without its last leaf an answer says less, which can be true.
    let last = accounts.len().saturating_sub(1);
    let index = (last > 0).then(|| at.index(last));
    match (kind, index) {
        (1, Some(index)) => accounts[index].account.balance += U256::ONE,
        (2, Some(index)) => drop(accounts.remove(index)),
        (3, Some(index)) => accounts.swap(index, index + 1),
        (4, Some(index)) => accounts[index].account.storage_root = B256::repeat_byte(1),
        (5, Some(index)) => {
            let account = Default::default();
            accounts.insert(
                index + 1,
                heddle_primitives::AccountLeaf { key: spans::after(accounts[index].key).unwrap(), account },
            );
        }
        (6, _) if range.proof.len() > 1 && !accounts.is_empty() => {
            accounts.clear();
            range.proof.clear();
        }
        (7, _) if !range.proof.is_empty() => {
            if let Response::Accounts(theirs) = other.answer(task, 1 << 20) {
                *range = theirs;
            }
        }
        // Without proof they must be all.
        (8, Some(_)) if all > accounts.len() => range.proof.clear(),
        (9, Some(_)) => accounts[last].account.nonce += 1,
        (10, _) => range.proof = vec![Bytes::from_static(&[0xc0]); 131],
        _ => {}
    }
}

fn lie_storage(ranges: &mut heddle_primitives::StorageRanges, at: prop::sample::Index, kind: u8) {
    let is_shorter = ranges.accounts.len() > 1 && ranges.accounts[0] != ranges.accounts[1];
    let Some(slots) = ranges.accounts.first_mut().filter(|slots| !slots.is_empty()) else { return };
    let index = at.index(slots.len());
    match kind {
        3 => slots[index].value += U256::ONE,
        4 if index + 1 < slots.len() => drop(slots.remove(index)),
        5 if index + 1 < slots.len() => slots.swap(index, index + 1),
        6 => slots.insert(index, slots[index]),
        7 => slots[index].value = U256::ZERO,
        8 if is_shorter => drop(ranges.accounts.remove(0)),
        9 => ranges.proof = vec![Bytes::from_static(&[0xc0]); 131],
        10 => {
            let more = slots.clone();
            ranges.accounts.extend(vec![more; 257]);
        }
        _ => {}
    }
}

/// The tables of the state, without its history.
fn state_rows(snapshot: &Snapshot) -> Vec<Vec<(Vec<u8>, Vec<u8>)>> {
    let rows = |table| snapshot.prefix(table, &[]).unwrap().map(Result::unwrap).collect();
    [Table::Accounts, Table::Storage, Table::TrieNodes].map(rows).into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_state_is_as_if_its_blocks_had_been_committed(
        seed in any::<u64>(),
        before in 0..3usize,
        blocks in 1..4usize,
        tiny in prop::option::of(any_chain()),
    ) {
        let mut random = crate::snapshot::tests::Random(seed);
        let mut source = Source::new();
        let changes: Vec<_> = tiny.unwrap_or_else(|| (0..blocks).map(|_| random.block()).collect());
        let (view, pivot) = changes.iter().map(|changes| source.commit(changes)).last().unwrap();
        let served = Served { view, pivot };
        let mut joiner = Joiner::new();
        joiner.finish(&served, 3000);

        // Over another state with history, of which nothing may stay.
        let mut target = Source::new();
        (0..before).for_each(|_| drop(target.commit(&random.block())));
        let (store, database) = target.store();
        let old = store.view().unwrap();
        let old_rows = state_rows(old.snapshot());
        let address = alloy_primitives::Address::with_last_byte(7);
        let _ = (old.account(address).unwrap(), old.storage(address, U256::ONE).unwrap());
        let scratch = tempfile::tempdir().unwrap();
        let mut last = 0;
        let mut observer = |progress: crate::RestoreProgress| last = progress.accounts_done;
        let number = pivot.height.as_u64() + 100;
        let batch = store.restore(&joiner.staging, number, pivot.state_root, scratch.path(), &mut observer).unwrap();
        prop_assert_eq!(last, joiner.staging.progress().unwrap().accounts);
        prop_assert!(store.view().unwrap().number().is_none(), "not before the batch is committed");
        database.commit(batch).unwrap();
        prop_assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        prop_assert_eq!(state_rows(old.snapshot()), old_rows, "who looks at the state before still sees it");

        let view = store.view().unwrap();
        prop_assert_eq!(view.number(), Some(number));
        prop_assert_eq!(state_rows(view.snapshot()), state_rows(served.view.snapshot()));
        let mut findings = crate::Findings::default();
        crate::check(view.snapshot(), number, pivot.state_root, &mut findings, &mut |_| {}).unwrap();
        prop_assert_eq!(findings, crate::Findings::default());
        prop_assert_eq!(view.account(address).unwrap(), served.view.account(address).unwrap());
        let is_pruned = matches!(store.view_at(number - 1), Err(StateError::HistoryPruned { .. }));
        prop_assert!(is_pruned);
        // It goes on like the other.
        let block = random.block();
        let expected = source.commit(&block).1.state_root;
        let update = store.compute(&view, &block).unwrap();
        prop_assert_eq!(update.state_root, expected);
        let mut batch = heddle_storage::Batch::new();
        let committed = update.write_into(number + 1, &mut batch).unwrap();
        database.commit(batch).unwrap();
        store.committed(committed);
        let view = store.view_at(number).unwrap();
        let proof = view.proof(address, &[U256::ONE], &crate::ProofLimits::default()).unwrap();
        let leaf = proof.account.map(alloy_rlp::encode);
        let path = alloy_trie::Nibbles::unpack(keccak256(address));
        alloy_trie::proof::verify_proof(pivot.state_root, path, leaf, &proof.proof).unwrap();
    }
}

#[test]
fn what_is_not_whole_is_not_restored() {
    let mut source = Source::new();
    let mut random = crate::snapshot::tests::Random(3);
    source.commit(&random.block());
    let (view, pivot) = source.commit(&random.block());
    let served = Served { view, pivot };
    let mut joiner = Joiner::new();
    let mut target = Source::new();
    target.commit(&random.block());
    let (store, database) = target.store();
    let scratch = tempfile::tempdir().unwrap();
    let restore = |joiner: &Joiner, root| store.restore(&joiner.staging, 9, root, scratch.path(), &mut |_| {});
    let mut refused = 0;
    while joiner.step(&served, 3000) {
        if !joiner.staging.plan(pivot).unwrap().is_empty() {
            restore(&joiner, pivot.state_root).unwrap_err();
            refused += 1;
        }
    }
    assert!(refused > 10);
    restore(&joiner, keccak256("another")).unwrap_err();
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    assert_eq!(state_rows(&database.snapshot()), vec![vec![]; 3]);
    assert!(store.view().unwrap().number().is_none());
    restore(&joiner, pivot.state_root).unwrap();
}

#[test]
fn what_is_no_longer_wanted_is_dropped() {
    let mut source = Source::new();
    let mut random = crate::snapshot::tests::Random(7);
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
