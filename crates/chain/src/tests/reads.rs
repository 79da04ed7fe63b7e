//! Reading blocks, logs and old states; calls.

use super::fixture::{HASHER, LIMITS, LOGGER, Node, REVERTER, SPEAKER, certify, transaction, user};
use crate::{
    CallError, CallRequest, CallStatus, ChainError, Fault, LogFilter, LogLimits, MinedReceipt, MinedTransaction,
    Overrides, TransactionLocation,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use std::time::Duration;

const RECIPIENT: Address = Address::repeat_byte(0x99);

fn topic(n: u8) -> B256 {
    B256::with_last_byte(n)
}

/// Three blocks; block n logs the topics 2n-1 and 2n and sends n wei.
fn node_with_history() -> Node {
    let node = Node::start();
    for n in 1..=3u8 {
        let nonce = u64::from(n - 1) * 3;
        node.extend(vec![
            transaction(nonce, LOGGER, 0, topic(2 * n - 1).0),
            transaction(nonce + 1, RECIPIENT, u64::from(n), []),
            transaction(nonce + 2, LOGGER, 0, topic(2 * n).0),
        ]);
    }
    node
}

#[test]
fn what_a_block_has_is_found_once_it_is_the_head() {
    let node = Node::start();
    let sent = transaction(0, RECIPIENT, 1, []);
    let (transaction, head) = (*sent.tx_hash(), node.head());
    let certified = certify(node.build(vec![sent]), 0..3);
    let execution = node.execute_certified(&head, &certified, None).unwrap().unwrap();
    let (prepared, _) = node.prepare(&head, execution, Some(certified.certificate())).unwrap();
    let found = || (node.transaction(transaction).unwrap(), node.number_of(certified.hash()).unwrap());
    // Its rows come first.
    node.write_batch(&*prepared.batch).unwrap();
    assert_eq!(found(), (None, None));
    node.write_prepared(prepared).unwrap();
    assert_eq!(found(), (Some(TransactionLocation { number: 1, index: 0 }), Some(1)));
}

fn call(to: Address, data: impl Into<Bytes>) -> CallRequest {
    CallRequest { from: user().address(), to: Some(to), data: data.into(), ..Default::default() }
}

#[test]
fn a_short_call_is_the_call_after_the_same_head() {
    let node = Node::start();
    // Its gas tells what is stored.
    let request = call(LOGGER, topic(1).0);
    let ask = |number| node.call(number, &request, &Overrides::default(), &LIMITS).unwrap();
    let mut heads = Vec::new();
    for nonce in 0..4u8 {
        let head = node.extend(vec![transaction(u64::from(nonce), LOGGER, 0, topic(nonce % 2).0)]);
        let expected = ask(head.header.number);
        assert_eq!(node.short_call(&head, &request, &LIMITS), Some(expected), "what a call has read is in memory");
        heads.push(head);
    }
    assert_ne!(ask(3).gas_used, ask(4).gas_used);
    for head in &heads {
        let short = node.short_call(head, &request, &LIMITS);
        assert!(short.is_none_or(|short| short == ask(head.header.number)), "an earlier head");
    }
}

#[test]
fn blocks_are_read_by_number_hash_and_transaction() {
    let mut node = node_with_history();
    node.reopen();
    for number in 1..=3 {
        let stored = node.block(number).unwrap().unwrap();
        let hash = stored.header.seal();
        assert_eq!(node.header(number).unwrap().unwrap(), stored.header);
        assert_eq!(node.number_of(hash).unwrap(), Some(number));
        assert_eq!(stored.senders, vec![user().address(); 3]);
        assert_eq!(stored.size, alloy_rlp::encode(&stored.block).len());
        let receipts = node.receipts(number).unwrap().unwrap();
        assert_eq!(receipts.len(), 3);
        assert_eq!(node.certificate(number).unwrap().unwrap().block_hash, hash);
        for (tx, index) in stored.block.body.transactions.iter().zip(0..) {
            let location = TransactionLocation { number, index };
            assert_eq!(node.transaction(*tx.tx_hash()).unwrap(), Some(location));
            let (header, sender) = (stored.header.clone(), user().address());
            let mined = MinedTransaction { header, transaction: tx.clone(), sender };
            assert_eq!(node.transaction_at(location).unwrap(), Some(mined));
            let (before, from) = receipts.split_at(index as usize);
            let mined = MinedReceipt {
                receipt: from[0].clone(),
                gas_before: before.last().map_or(0, |receipt| receipt.cumulative_gas_used()),
                logs_before: before.iter().map(|receipt| receipt.logs().len() as u64).sum(),
            };
            assert_eq!(node.receipt_at(location).unwrap(), Some(mined));
        }
    }
    let beyond = TransactionLocation { number: 3, index: 3 };
    assert!(node.transaction_at(beyond).unwrap().is_none() && node.receipt_at(beyond).unwrap().is_none());
    let genesis = node.block(0).unwrap().unwrap();
    assert_eq!(
        alloy_rlp::decode_exact::<heddle_primitives::Block>(alloy_rlp::encode(&genesis.block)),
        Ok(genesis.block)
    );
    assert_eq!(node.receipts(0).unwrap(), Some(Vec::new()));
    assert!(node.certificate(0).unwrap().is_none());
}

#[test]
fn what_was_never_committed_is_none() {
    let node = node_with_history();
    assert!(node.header(4).unwrap().is_none());
    assert!(node.block(4).unwrap().is_none());
    assert!(node.receipts(4).unwrap().is_none());
    assert!(node.number_of(B256::ZERO).unwrap().is_none());
    assert!(node.transaction(B256::ZERO).unwrap().is_none());
}

#[test]
fn logs_are_found_by_range_address_and_topic() {
    let node = node_with_history();
    let found = |filter: LogFilter| -> Vec<(u64, u64, u64)> {
        let logs = node.logs(&filter, LogLimits::default()).unwrap();
        logs.iter().map(|entry| (entry.block_number, entry.transaction_index, entry.log_index)).collect()
    };
    let all = LogFilter { to: 10, ..Default::default() };
    assert_eq!(found(all.clone()), [(1, 0, 0), (1, 2, 1), (2, 0, 0), (2, 2, 1), (3, 0, 0), (3, 2, 1)]);
    assert_eq!(found(LogFilter { from: 2, to: 2, ..all.clone() }), [(2, 0, 0), (2, 2, 1)]);
    assert_eq!(found(LogFilter { topics: vec![vec![topic(2), topic(5)]], ..all.clone() }), [(1, 2, 1), (3, 0, 0)]);
    assert_eq!(found(LogFilter { topics: vec![vec![]], ..all.clone() }).len(), 6);
    assert!(found(LogFilter { topics: vec![vec![], vec![]], ..all.clone() }).is_empty(), "a topic that must exist");
    assert_eq!(found(LogFilter { addresses: vec![LOGGER, RECIPIENT], ..all.clone() }).len(), 6);
    assert!(found(LogFilter { addresses: vec![RECIPIENT], ..all.clone() }).is_empty());
    assert!(found(LogFilter { from: 4, to: 10, ..all }).is_empty());
}

#[test]
fn a_log_says_where_it_stands() {
    let node = node_with_history();
    let filter = LogFilter { to: 3, topics: vec![vec![topic(4)]], ..Default::default() };
    let [entry] = &node.logs(&filter, LogLimits::default()).unwrap()[..] else { panic!("one log") };
    let block = node.block(2).unwrap().unwrap();
    assert_eq!((entry.log.address, entry.log.topics()), (LOGGER, &[topic(4)][..]));
    assert_eq!((entry.block_hash, entry.block_timestamp), (block.header.seal(), block.header.timestamp));
    assert_eq!(entry.transaction_hash, *block.block.body.transactions[2].tx_hash());
}

#[test]
fn log_searches_are_bounded() {
    let node = node_with_history();
    let range = |from, to| LogFilter { from, to, ..Default::default() };
    let limits = LogLimits { blocks_max: 3, logs_max: 4, bytes_max: 100, ..LogLimits::default() };
    assert_eq!(node.logs(&range(1, 2), limits).unwrap().len(), 4);
    let error = node.logs(&range(1, 3), limits).unwrap_err();
    assert!(matches!(error, ChainError::TooManyLogs { logs_max: 4, from: 1, number: 3 }), "{error}");
    assert_eq!(error.to_string(), "query exceeds 4 logs, try with this block range [0x1, 0x2]");
    assert!(node.logs(&range(2, 1), limits).unwrap().is_empty());
    for filter in [range(0, 3), range(0, u64::MAX)] {
        let error = node.logs(&filter, limits).unwrap_err();
        assert!(matches!(error, ChainError::LogRange { blocks_max: 3, .. }), "{error}");
        assert_eq!(error.to_string(), "query exceeds 3 blocks, try with this block range [0x0, 0x2]");
        assert_eq!(error.fault(), Fault::Caller);
    }
}

#[test]
fn a_search_that_takes_too_long_says_how_far_it_came() {
    let node = node_with_history();
    let range = |from, to| LogFilter { from, to, ..Default::default() };
    let limits = LogLimits { time_max: Duration::ZERO, ..LogLimits::default() };
    assert_eq!(node.logs(&range(2, 2), limits).unwrap().len(), 2);
    let error = node.logs(&range(1, 3), limits).unwrap_err();
    assert_eq!(error.to_string(), "query takes longer than 0 ms, try with this block range [0x1, 0x1]");
    assert_eq!(error.fault(), Fault::Caller);
}

#[test]
fn the_data_of_found_logs_is_bounded() {
    let node = Node::start();
    for n in 0..3 {
        node.extend(vec![transaction(n, SPEAKER, 0, [])]);
    }
    let all = LogFilter { to: 3, ..Default::default() };
    let limits = |bytes_max| LogLimits { bytes_max, ..LogLimits::default() };
    assert_eq!(node.logs(&all, limits(96)).unwrap().len(), 3);
    let error = node.logs(&all, limits(95)).unwrap_err();
    assert!(matches!(error, ChainError::TooManyLogBytes { bytes_max: 95, from: 0, number: 3 }), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
}

#[test]
fn the_state_after_every_block_stays_readable() {
    let node = node_with_history();
    for (number, balance) in [(0, 0), (1, 1), (2, 3), (3, 6)] {
        let state = node.state_at(number).unwrap();
        let account = state.account(RECIPIENT).unwrap().unwrap_or_default();
        assert_eq!(account.balance, U256::from(balance), "after block {number}");
        assert_eq!(state.storage(LOGGER, U256::ZERO).unwrap(), U256::from(2 * number));
        assert_eq!(state.account(user().address()).unwrap().unwrap().nonce, 3 * number);
    }
    assert!(matches!(node.state_at(4), Err(ChainError::UnknownBlock { number: 4, head: 3 })));
}

#[test]
fn a_view_is_not_moved_by_later_blocks() {
    let node = Node::start();
    let before = node.state();
    node.extend(vec![transaction(0, RECIPIENT, 5, [])]);
    assert!(before.account(RECIPIENT).unwrap().is_none());
    assert!(node.state().account(RECIPIENT).unwrap().is_some());
}

#[test]
fn calls_run_on_the_state_after_a_block() {
    let node = node_with_history();
    let outcome = node.call(3u64, &call(LOGGER, topic(9).0), &Overrides::default(), &LIMITS).unwrap();
    assert_eq!((outcome.status, outcome.logs.len()), (CallStatus::Success, 1));
    assert_eq!(node.state().storage(LOGGER, U256::ZERO).unwrap(), U256::from(6), "a call leaves no trace");

    let outcome = node.call(1u64, &call(REVERTER, []), &Overrides::default(), &LIMITS).unwrap();
    assert_eq!((outcome.status, outcome.output), (CallStatus::Revert, U256::from(42).to_be_bytes::<32>().into()));

    let hash_of = |number: u64| {
        node.call(3u64, &call(HASHER, U256::from(number).to_be_bytes::<32>()), &Overrides::default(), &LIMITS)
            .unwrap()
            .output
    };
    assert_eq!(hash_of(2), Bytes::from(node.header(2).unwrap().unwrap().seal().0));
    assert_eq!(hash_of(9), Bytes::from([0; 32]));
    assert!(matches!(
        node.call(4u64, &call(LOGGER, []), &Overrides::default(), &LIMITS),
        Err(ChainError::UnknownBlock { .. })
    ));
}

#[test]
fn estimates_are_enough_and_revert_with_data() {
    let node = node_with_history();
    assert_eq!(node.estimate_gas(3u64, &call(RECIPIENT, []), &Overrides::default(), &LIMITS).unwrap(), 21_000);
    let error = node.estimate_gas(3u64, &call(REVERTER, []), &Overrides::default(), &LIMITS).unwrap_err();
    assert_eq!(error.fault(), Fault::Caller);
    let ChainError::Call(CallError::Reverted(data)) = error else { panic!("{error}") };
    assert_eq!(data, Bytes::from(U256::from(42).to_be_bytes::<32>()));
}
