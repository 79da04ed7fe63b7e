//! Access lists: stored with their blocks, served with them, and never a reason to refuse a block.

use super::fixture::{LOGGER, Node, altered, certify, transaction};
use crate::{ChainConfig, ExecutionMode};
use alloy_eips::eip7928::{BlockAccessList, compute_block_access_list_hash};
use alloy_primitives::{Address, B256, U256, keccak256};
use heddle_primitives::{EncodedAccessList, ProposedBlock, Transaction, bound_access_list};

fn storing(nonce: u64) -> Vec<Transaction> {
    let word = U256::from(nonce + 1).to_be_bytes::<32>();
    vec![transaction(nonce, Address::repeat_byte(0x77), 1, []), transaction(nonce + 1, LOGGER, 0, word)]
}

/// The list of the next block, which the node commits.
fn list_of(node: &Node, proposed: &ProposedBlock) -> BlockAccessList {
    node.commit(&certify(proposed.clone(), [0, 1, 2])).unwrap();
    node.access_list(proposed.block.header.number).unwrap().unwrap()
}

#[test]
fn every_block_keeps_the_list_that_its_header_binds() {
    let mut node = Node::start();
    for n in 0..3 {
        let head = node.extend(storing(2 * n));
        let list = node.access_list(head.header.number).unwrap().unwrap();
        assert!(list.iter().any(|account| account.address == LOGGER));
        assert_eq!(bound_access_list(&head.header), Some(compute_block_access_list_hash(&list)));
    }
    assert_eq!((node.access_list(0).unwrap(), node.access_list(4).unwrap()), (None, None));
    node.reopen();
    let rlp = node.access_list_rlp(2).unwrap().unwrap();
    assert_eq!(bound_access_list(&node.header(2).unwrap().unwrap()), Some(keccak256(rlp)));
}

#[test]
fn only_the_last_blocks_keep_their_lists_whatever_the_window_was_before() {
    let mut node = Node::start();
    let kept = |node: &Node| Vec::from_iter((0..20).filter(|number| node.access_list(*number).unwrap().is_some()));
    let mut nonce = 0;
    for (access_lists_kept, expected) in
        [(3, vec![1, 2]), (3, vec![2, 3, 4]), (1, vec![6]), (4, vec![6, 7, 8]), (0, vec![]), (2, vec![11, 12])]
    {
        node.reopen_with(ChainConfig { access_lists_kept, ..ChainConfig::default() });
        for _ in 0..2 {
            node.extend(storing(nonce));
            nonce += 2;
        }
        assert_eq!(kept(&node), expected, "after a window of {access_lists_kept}");
        assert_eq!(node.check(&mut |_| {}).unwrap().first(), []);
    }
}

#[test]
fn a_proposal_takes_along_who_waits_for_whom_and_no_list() {
    let node = Node::start();
    let word = U256::from(9).to_be_bytes::<32>();
    let proposed = node.build([storing(0), vec![transaction(2, LOGGER, 0, word)]].concat());
    assert_eq!(proposed.access_list, None);
    let dependencies = [0, 1, 2].map(|index| proposed.hints.dependency(index));
    assert_eq!(dependencies, [None, None, Some(1)], "two transactions write one slot");
}

#[test]
fn a_list_is_served_with_its_block() {
    let (old, late) = (Node::start(), Node::start());
    old.extend(storing(0));
    let served = old.finalized_block(1).unwrap().unwrap();
    assert_eq!(served.proposed.bound_access_list(), old.access_list(1).unwrap());
    late.commit(&certify(served.proposed, [0, 1, 2])).unwrap();
    assert_eq!(late.access_list(1).unwrap(), old.access_list(1).unwrap());
}

#[test]
fn no_list_and_no_mode_changes_what_a_block_is() {
    let proposer = Node::start();
    let good = proposer.build(storing(0));
    let list = list_of(&proposer, &good);
    let (shorter, none) = (list[1..].to_vec(), Vec::new());
    let encoded = |list| Some(EncodedAccessList::new(list));
    let lists = [None, encoded(&list), encoded(&shorter), encoded(&none)];
    for execution in [ExecutionMode::Sequential, ExecutionMode::Parallel] {
        for sent in &lists {
            let (mut voter, mut late) = (Node::start(), Node::start());
            voter.reopen_with(ChainConfig { execution, ..ChainConfig::default() });
            late.reopen_with(ChainConfig { execution, ..ChainConfig::default() });
            let proposed = ProposedBlock { access_list: sent.clone(), ..good.clone() };
            voter.vote(&proposed).unwrap();
            for node in [voter, late] {
                let head = node.commit(&certify(proposed.clone(), [0, 1, 2])).unwrap();
                assert_eq!(head.hash(), good.hash());
                assert_eq!(node.access_list(1).unwrap().as_ref(), Some(&list), "the true one is stored");
            }
        }
    }
}

#[test]
fn a_certified_block_whose_header_binds_another_list_is_refused_in_every_mode() {
    let proposer = Node::start();
    let proposed = proposer.build(storing(0));
    let unbound = altered(&proposed, |block| block.header.extra_data = B256::repeat_byte(1).into());
    let list = EncodedAccessList::new(&list_of(&proposer, &proposed));
    for access_list in [None, Some(list)] {
        let unbound = ProposedBlock { access_list, ..unbound.clone() };
        let error = Node::start().vote(&unbound).unwrap_err().to_string();
        assert!(error.contains("extra data"), "{error}");
    }
}

#[test]
fn a_database_without_lists_gets_them_from_the_next_block_on() {
    let mut node = Node::start();
    node.reopen_with(ChainConfig { access_lists_kept: 0, ..ChainConfig::default() });
    node.extend(storing(0));
    node.reopen_with(ChainConfig::default());
    node.extend(storing(2));
    assert_eq!((node.access_list(1).unwrap(), node.access_list(2).unwrap().is_some()), (None, true));
    assert_eq!(node.check(&mut |_| {}).unwrap().first(), []);
    let served: Vec<_> = (1..=2).map(|n| node.finalized_block(n).unwrap().unwrap().proposed.access_list).collect();
    assert!(served[0].is_none() && served[1].is_some());
}
