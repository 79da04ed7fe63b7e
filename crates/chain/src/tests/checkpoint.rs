//! A block that an operator says is on the chain.

use super::fixture::{Node, certify};
use crate::{Chain, ChainConfig, ChainError};
use alloy_primitives::B256;
use heddle_primitives::{Checkpoint, Height};

fn expecting(height: u64, hash: B256) -> ChainConfig {
    let checkpoint = Some(Checkpoint { height: Height::new(height), hash });
    ChainConfig { checkpoint, ..ChainConfig::default() }
}

#[test]
fn another_block_than_the_checkpoint_is_neither_committed_nor_opened() {
    let other = B256::repeat_byte(7);
    let mut node = Node::start();
    node.extend(Vec::new());
    node.reopen_with(expecting(2, other));
    let next = certify(node.build(Vec::new()), 0..3);
    let error = node.commit(&next).map(drop).unwrap_err();
    assert!(matches!(error, ChainError::Checkpoint { number: 2, checkpoint, .. } if checkpoint == other), "{error}");
    assert_eq!(node.head().header.number, 1);

    node.reopen_with(expecting(2, next.hash()));
    node.commit(&next).unwrap();
    node.extend(Vec::new());
    let genesis = node.genesis().clone();
    node.close();
    let database = node.database();
    let open = |hash| Chain::open(genesis.clone(), database.clone(), expecting(2, hash)).map(drop);
    assert!(matches!(open(other), Err(ChainError::Checkpoint { number: 2, .. })));
    open(next.hash()).unwrap();
}
