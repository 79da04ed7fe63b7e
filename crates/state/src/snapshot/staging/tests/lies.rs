//! Answers that are not true.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_lie_is_refused_and_leaves_nothing(
        seed in any::<u64>(),
        bytes_max in any_bytes(),
        lies in prop::collection::vec((any::<prop::sample::Index>(), 0..12u8), 1..80),
    ) {
        let mut source = Source::new();
        let mut random = Random(seed);
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
