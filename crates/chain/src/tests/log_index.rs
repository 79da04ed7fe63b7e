//! Searching by the index finds what looking at every log finds.

use super::fixture::{LOGGER, Node, PAIR_LOGGER, SPEAKER, transaction};
use crate::{Chain, LogFilter, LogLimits};
use alloy_primitives::{Address, B256, Log};
use heddle_storage::{Batch, Table};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};

const BLOCKS: u64 = 60;
const VALUES: u8 = 6;

/// A chain whose blocks log a few values now and then; its index is left behind at times.
fn random_chain(rng: &mut StdRng) -> Node {
    let mut node = Node::start();
    let (mut bounds, mut nonce) = ((8, 12), 0);
    node.inner.log_indexer.restart(bounds.0, bounds.1);
    for _ in 0..BLOCKS {
        let transactions = (0..rng.random_range(0..4)).map(|_| {
            nonce += 1;
            let topics = [value(rng).0, value(rng).0].concat();
            transaction(nonce - 1, *[LOGGER, PAIR_LOGGER, SPEAKER].choose(rng).unwrap(), 0, topics)
        });
        let transactions = transactions.collect();
        node.extend(transactions);
        if rng.random_bool(0.3) {
            node.index_logs().unwrap();
        }
        if rng.random_bool(0.1) {
            node.reopen();
            bounds = (rng.random_range(1..10), rng.random_range(1..20));
            node.inner.log_indexer.restart(bounds.0, bounds.1);
        }
    }
    node
}

fn value(rng: &mut StdRng) -> B256 {
    B256::with_last_byte(rng.random_range(0..VALUES))
}

fn random_filter(rng: &mut StdRng) -> LogFilter {
    let (one, other) = (rng.random_range(0..=BLOCKS), rng.random_range(0..=BLOCKS));
    let addresses = [LOGGER, PAIR_LOGGER, SPEAKER, Address::ZERO];
    let addresses = addresses.into_iter().filter(|_| rng.random_bool(0.2)).collect();
    let mut topics: Vec<Vec<B256>> = (0..rng.random_range(0..3)).map(|_| Vec::new()).collect();
    for any in &mut topics {
        any.extend((0..rng.random_range(0..3)).map(|_| value(rng)));
    }
    LogFilter { from: one.min(other), to: one.max(other), addresses, topics }
}

/// Block, transaction and place of what a search finds.
fn found(chain: &Chain, filter: &LogFilter) -> Vec<(u64, B256, u64)> {
    let logs = chain.logs(filter, LogLimits::default()).unwrap();
    for entry in &logs {
        let header = chain.header(entry.block_number).unwrap().unwrap();
        assert_eq!((entry.block_hash, entry.block_timestamp), (header.seal(), header.timestamp));
    }
    logs.iter().map(|entry| (entry.block_number, entry.transaction_hash, entry.log_index)).collect()
}

/// What the filter's words say.
fn wants(filter: &LogFilter, log: &Log) -> bool {
    let LogFilter { addresses, topics, .. } = filter;
    (addresses.is_empty() || addresses.contains(&log.address))
        && topics.len() <= log.topics().len()
        && topics.iter().zip(log.topics()).all(|(any, topic)| any.is_empty() || any.contains(topic))
}

/// The same by looking at all logs of all blocks.
fn scanned(chain: &Chain, filter: &LogFilter) -> Vec<(u64, B256, u64)> {
    let mut found = Vec::new();
    for number in filter.from..=filter.to {
        let (block, receipts) = (chain.block(number).unwrap().unwrap(), chain.receipts(number).unwrap().unwrap());
        let mut place = 0;
        for (transaction, receipt) in block.block.body.transactions.iter().zip(&receipts) {
            for log in receipt.logs() {
                if wants(filter, log) {
                    found.push((number, *transaction.tx_hash(), place));
                }
                place += 1;
            }
        }
    }
    found
}

/// The last blocks of all stretches.
fn stretches(chain: &Chain) -> Vec<u64> {
    let snapshot = chain.inner.database.snapshot();
    let rows = snapshot.scan(Table::LogIndex, &[]).unwrap().map(Result::unwrap);
    rows.filter_map(|(key, _)| Some(u64::from_be_bytes(key.try_into().ok()?))).collect()
}

#[test]
fn an_indexed_search_finds_what_a_scan_finds() {
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let node = random_chain(&mut rng);
        let filters: Vec<_> = (0..150).map(|_| random_filter(&mut rng)).collect();
        let expected: Vec<_> = filters.iter().map(|filter| scanned(&node, filter)).collect();
        assert!(expected.iter().filter(|found| !found.is_empty()).count() > 50, "the filters find something");
        let compare = |what: &str| {
            for (filter, expected) in filters.iter().zip(&expected) {
                assert_eq!(&found(&node, filter), expected, "seed {seed}, {what}: {filter:?}");
            }
            assert_eq!(node.check(&mut |_| {}).unwrap().first(), [], "seed {seed}, {what}");
        };
        compare("as it grew");
        while !node.index_logs().unwrap() {}
        assert!(stretches(&node).len() > 3);
        compare("indexed as far as it goes");
        // A power loss takes the last batches.
        let last = *stretches(&node).last().unwrap();
        let mut batch = Batch::new();
        batch.delete_range(Table::LogIndex, last.to_be_bytes(), [0xff; 17]);
        node.inner.database.commit(batch).unwrap();
        compare("without the last stretch");
        node.inner.log_indexer.restart(5, 1_000);
        while !node.index_logs().unwrap() {}
        compare("with another one in its place");
        assert!(*stretches(&node).last().unwrap() > BLOCKS - 5);
    }
}

#[test]
fn a_database_without_an_index_gets_one_in_bounded_steps() {
    let node = Node::start();
    for nonce in 0..300 {
        node.extend(vec![transaction(nonce, LOGGER, 0, B256::with_last_byte((nonce % 7) as u8).0)]);
    }
    node.inner.log_indexer.restart(280, 1 << 20);
    assert!(!node.index_logs().unwrap());
    assert!(stretches(&node).is_empty(), "256 blocks a step");
    assert!(!node.index_logs().unwrap());
    assert_eq!(stretches(&node), [280]);
    assert!(node.index_logs().unwrap());
    let filter = LogFilter { to: 300, topics: vec![vec![B256::with_last_byte(3)]], ..LogFilter::default() };
    assert_eq!(found(&node, &filter), scanned(&node, &filter));
}

#[test]
fn the_newest_blocks_are_searched_in_memory() {
    let node = Node::start();
    for nonce in 0..20 {
        node.extend(vec![transaction(nonce, LOGGER, 0, B256::with_last_byte((nonce % 7) as u8).0)]);
    }
    let absent = LogFilter { from: 1, to: 20, topics: vec![vec![B256::with_last_byte(9)]], ..LogFilter::default() };
    // Without headers there are no blooms.
    let mut batch = Batch::new();
    batch.delete_range(Table::Headers, 3u64.to_be_bytes(), 5u64.to_be_bytes());
    node.inner.database.commit(batch).unwrap();
    assert!(node.logs(&absent, LogLimits::default()).is_err());
    while !node.index_logs().unwrap() {}
    assert!(stretches(&node).is_empty(), "too few for a stretch");
    assert_eq!(found(&node, &absent), []);
}
