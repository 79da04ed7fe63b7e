//! From staged rows to the state of a chain.

use super::*;

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
        let mut random = Random(seed);
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
    let mut random = Random(3);
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
    let (code, _) = joiner.database.snapshot().seek(Table::Code, &[]).unwrap().unwrap();
    let mut batch = heddle_storage::Batch::new();
    batch.delete(Table::Code, code);
    joiner.database.commit(batch).unwrap();
    assert!(matches!(restore(&joiner, pivot.state_root), Err(StateError::MissingCode(_))));
}
