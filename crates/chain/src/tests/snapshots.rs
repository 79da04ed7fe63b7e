//! States that are kept for others.

use super::fixture::{LOGGER, Node, transaction};
use crate::ChainConfig;
use alloy_primitives::U256;
use heddle_primitives::{Height, SnapshotOffer};

fn every(snapshot_interval: u64) -> ChainConfig {
    ChainConfig { snapshot_interval, ..ChainConfig::default() }
}

/// Blocks to this height, each storing its number in the logger's slot 0.
fn run_to(node: &Node, height: u64) {
    for number in node.head().header.number + 1..=height {
        node.extend(vec![transaction(number - 1, LOGGER, 0, U256::from(number).to_be_bytes::<32>())]);
    }
}

fn offered(node: &Node) -> Vec<u64> {
    let offers = node.snapshots();
    for SnapshotOffer { height, hash } in &offers {
        let header = node.header(height.as_u64()).unwrap().unwrap();
        assert_eq!(header.seal(), *hash);
        let state = node.snapshot(*height).unwrap();
        assert_eq!(state.number(), Some(height.as_u64()));
        assert_eq!(state.storage(LOGGER, U256::ZERO).unwrap(), U256::from(height.as_u64()));
    }
    offers.iter().map(|offer| offer.height.as_u64()).collect()
}

#[test]
fn the_newest_two_are_kept_and_that_of_the_start_until_they_are_there() {
    let mut node = Node::start();
    node.reopen_with(every(3));
    let kept: Vec<_> = (0..=10).map(|height| (run_to(&node, height), offered(&node)).1).collect();
    let expected: [&[u64]; 11] = [&[], &[], &[], &[3], &[3], &[3], &[6, 3], &[6, 3], &[6, 3], &[9, 6], &[9, 6]];
    assert_eq!(kept, expected);
    assert!([0, 3, 8, 10].iter().all(|height| node.snapshot(Height::new(*height)).is_none()));
    node.reopen_with(every(3));
    let kept: Vec<_> = (10..=15).map(|height| (run_to(&node, height), offered(&node)).1).collect();
    let expected: [&[u64]; 6] = [&[10], &[10], &[12, 10], &[12, 10], &[12, 10], &[15, 12]];
    assert_eq!(kept, expected);
    // A start at such a height keeps it once.
    node.reopen_with(every(3));
    assert_eq!(offered(&node), [15]);
}

#[test]
fn whoever_fetches_one_has_it_to_the_end() {
    let mut node = Node::start();
    node.reopen_with(every(1));
    run_to(&node, 1);
    let state = node.snapshot(Height::new(1)).unwrap();
    run_to(&node, 5);
    assert_eq!(offered(&node), [5, 4]);
    assert_eq!(state.storage(LOGGER, U256::ZERO).unwrap(), U256::ONE);
}

#[test]
fn none_are_kept_when_none_are_wanted() {
    let mut node = Node::start();
    node.reopen_with(every(0));
    run_to(&node, 2);
    node.reopen_with(every(0));
    assert!(offered(&node).is_empty());
}
