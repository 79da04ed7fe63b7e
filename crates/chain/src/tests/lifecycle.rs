//! Opening, and the way of a block from proposal to commit.

use super::fixture::{
    GENESIS_TIME, LOGGER, Node, altered, certify, genesis_with_balance, recovered, transaction, user,
};
use crate::{BuildRequest, Chain, ChainConfig, ChainError, ExecutionMode, Fault, Head, LogFilter};
use alloy_primitives::{Address, B256, U256};
use heddle_primitives::Transaction;
use heddle_storage::{Batch, Database, DatabaseConfig, Table};
use std::num::NonZeroUsize;

const RECIPIENT: Address = Address::repeat_byte(0x99);

fn two_transactions(nonce: u64) -> Vec<Transaction> {
    vec![transaction(nonce, RECIPIENT, 5, []), transaction(nonce + 1, LOGGER, 0, B256::with_last_byte(1).0)]
}

#[test]
fn an_empty_database_starts_with_the_genesis_block() {
    let node = Node::start();
    let genesis = genesis_with_balance(1_000);
    let head = node.head();
    assert_eq!((head.hash(), head.header.number), (genesis.hash(), 0));
    assert!(head.certificate.is_none());
    assert_eq!(node.header(0).unwrap().unwrap().state_root, genesis.header().state_root);
    assert!(node.state().account(user().address()).unwrap().is_some());
}

#[test]
fn a_database_of_another_genesis_is_refused_with_both_hashes() {
    let mut node = Node::start();
    node.close();
    let other = genesis_with_balance(2_000);
    let error = node.open_with(other.clone()).err().unwrap();
    assert_eq!(error.fault(), Fault::Ours);
    let text = error.to_string();
    assert!(text.contains(&other.hash().to_string()), "{text}");
    assert!(text.contains(&genesis_with_balance(1_000).hash().to_string()), "{text}");
}

#[test]
fn a_commit_tells_what_executing_the_block_took() {
    let (proposer, directory) = (Node::start(), tempfile::tempdir().unwrap());
    let database = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
    let config = ChainConfig {
        execution: ExecutionMode::Parallel,
        execution_threads: NonZeroUsize::new(2),
        ..ChainConfig::default()
    };
    let follower = Chain::open(genesis_with_balance(1_000), database, config).unwrap();
    let mut events = follower.subscribe();
    let certified = certify(proposer.build(two_transactions(0)), [0, 1, 2]);
    proposer.commit(&certified).unwrap();
    follower.commit(&certified).unwrap();
    let timings = follower.timings(1).unwrap();
    assert!(timings.executions >= 2 + timings.aborts, "{timings:?}");
    assert_eq!(events.try_recv().unwrap().timings, timings);
    assert_eq!(proposer.timings(1).unwrap().executions, 0, "it built the block");
    assert!(follower.timings(0).is_none() && follower.timings(2).is_none());
}

#[test]
fn a_block_built_by_one_is_validated_and_committed_by_both() {
    let (proposer, voter) = (Node::start(), Node::start());
    let mut nonce = 0;
    for number in 1..=5 {
        let proposed = proposer.build(two_transactions(nonce));
        nonce += 2;
        assert_eq!(proposed.block.body.transactions.len(), 2);
        voter.vote(&proposed).unwrap();
        // Each node learns of the decision by another set of votes.
        let ours = proposer.commit(&certify(proposed.clone(), [0, 1, 2])).unwrap();
        let theirs = voter.commit(&certify(proposed.clone(), [1, 2, 3])).unwrap();
        assert_eq!((ours.header.number, ours.hash()), (number, proposed.hash()));
        assert_eq!((theirs.hash(), theirs.header.state_root), (ours.hash(), ours.header.state_root));
    }
    for node in [&proposer, &voter] {
        let account = node.state().account(RECIPIENT).unwrap().unwrap();
        assert_eq!(account.balance, U256::from(25));
        assert_eq!(node.state().storage(LOGGER, U256::ZERO).unwrap(), U256::from(1));
    }
    // What the chain binds is what both serve: a late node needs no luck with whom it asks.
    for number in 1..=4 {
        let served = voter.finalized_block(number).unwrap();
        assert!(served.is_some());
        assert_eq!(served, proposer.finalized_block(number).unwrap());
    }
}

#[test]
fn a_late_node_catches_up_from_what_another_serves() {
    let (old, late) = (Node::start(), Node::start());
    for n in 0..3 {
        old.extend(two_transactions(n * 2));
    }
    for number in 1..=3 {
        let finalized = old.finalized_block(number).unwrap().unwrap();
        let height = late.head().height().next();
        let validators = late.validators(height).unwrap();
        let context = late.signing_context();
        let certified = heddle_primitives::CertifiedBlock::verify(finalized, &validators, &context).unwrap();
        late.commit(&certified).unwrap();
    }
    assert_eq!(late.head().hash(), old.head().hash());
    assert!(old.finalized_block(0).unwrap().is_none());
    assert!(old.finalized_block(4).unwrap().is_none());
}

#[test]
fn a_restart_lands_on_the_committed_block_and_goes_on() {
    let mut node = Node::start();
    let facts = |head: &Head| (head.hash(), head.certificate.clone(), head.next_base_fee);
    let before = facts(&node.extend(two_transactions(0)));
    node.reopen();
    assert_eq!(facts(&node.head()), before);
    assert_eq!(node.extend(two_transactions(2)).header.number, 2);
}

#[test]
fn a_head_that_contradicts_its_rows_is_refused() {
    let mut node = Node::start();
    node.extend(Vec::new());
    node.close();
    let database = node.database();
    let mut batch = Batch::new();
    batch.delete(Table::Certificates, 1u64.to_be_bytes());
    database.commit(batch).unwrap();
    drop(database);
    let error = node.open_with(genesis_with_balance(1_000)).err().unwrap();
    assert!(matches!(error, ChainError::Corrupt(_)), "{error}");
}

#[test]
fn committing_the_head_again_changes_nothing() {
    let mut node = Node::start();
    let certified = certify(node.build(two_transactions(0)), [0, 1, 2]);
    let mut events = node.subscribe();
    let facts = |head: &Head| (head.hash(), head.certificate.clone());
    let first = facts(&node.commit(&certified).unwrap());
    let second = facts(&node.commit(&certify(certified.proposed().clone(), [1, 2, 3])).unwrap());
    assert_eq!(first, second);
    assert_eq!(events.try_recv().unwrap().header.seal(), certified.hash());
    assert!(events.try_recv().is_err());
    node.reopen();
    assert_eq!(facts(&node.commit(&certified).unwrap()), first);
}

#[test]
fn an_event_tells_what_was_committed() {
    let node = Node::start();
    let mut events = node.subscribe();
    let head = node.extend(two_transactions(0));
    let event = events.try_recv().unwrap();
    assert_eq!(event.header, head.header);
    assert_eq!(event.certificate, head.certificate);
    assert_eq!(event.senders, vec![user().address(); 2]);
    assert_eq!(event.receipts, node.receipts(1).unwrap().unwrap());
    assert_eq!(event.logs(&LogFilter::default().into()).len(), 1);
    let elsewhere = LogFilter { addresses: vec![RECIPIENT], ..LogFilter::default() };
    assert!(event.logs(&elsewhere.into()).is_empty());
    for changed in [user().address(), RECIPIENT, LOGGER, event.header.beneficiary] {
        assert!(event.changed_accounts.contains(&changed), "{changed}");
    }
}

#[test]
fn a_gap_or_an_old_block_is_not_next_and_nobodys_fault() {
    let (ahead, behind) = (Node::start(), Node::start());
    let first = certify(ahead.build(Vec::new()), [0, 1, 2]);
    ahead.commit(&first).unwrap();
    let second = certify(ahead.build(Vec::new()), [0, 1, 2]);
    ahead.commit(&second).unwrap();
    let error = behind.commit(&second).err().unwrap();
    assert!(matches!(error, ChainError::NotNext { number: 2, head: 0 }), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
    assert!(matches!(behind.vote(second.proposed()), Err(ChainError::NotNext { number: 2, head: 0 })));
}

#[test]
fn another_certified_block_at_a_committed_height_is_a_safety_violation() {
    let node = Node::start();
    let one = certify(node.build(Vec::new()), [0, 1, 2]);
    let other = certify(node.build_at(Vec::new(), GENESIS_TIME + 2), [0, 1, 2]);
    node.commit(&one).unwrap();
    let refused = || {
        let error = node.commit(&other).err().unwrap();
        assert!(matches!(error, ChainError::SafetyViolation { height: 1, .. }), "{error}");
        assert_eq!(error.fault(), Fault::Ours);
    };
    refused();
    assert_eq!(node.head().hash(), one.hash());
    let head = node.extend(Vec::new());
    refused();
    assert_eq!(node.head().hash(), head.hash());
}

#[test]
fn committing_an_older_block_again_changes_nothing() {
    let node = Node::start();
    let first = certify(node.build(Vec::new()), [0, 1, 2]);
    node.commit(&first).unwrap();
    let head = node.extend(Vec::new()).hash();
    let mut events = node.subscribe();
    assert_eq!(node.commit(&first).unwrap().hash(), head);
    assert_eq!(node.head().hash(), head);
    assert!(events.try_recv().is_err(), "nothing was committed");
}

#[test]
fn a_certified_block_that_breaks_a_rule_is_our_failure_but_its_wrong_body_the_senders() {
    let (proposer, node) = (Node::start(), Node::start());
    let good = proposer.build(two_transactions(0));
    let invalid = altered(&good, |block| block.header.gas_used += 1);
    let error = node.commit(&certify(invalid, [0, 1, 2])).err().unwrap();
    assert!(matches!(error, ChainError::InvalidCertified { number: 1, .. }), "{error}");
    assert_eq!(error.fault(), Fault::Ours);

    let wrong_body = altered(&good, |block| block.body.transactions.truncate(1));
    let error = node.commit(&certify(wrong_body.clone(), [0, 1, 2])).err().unwrap();
    assert_eq!(error.fault(), Fault::Peer, "{error}");

    // Once executed, the block is committed as it was executed, whatever body comes with the decision.
    node.vote(&good).unwrap();
    assert_eq!(node.vote(&wrong_body).unwrap_err().fault(), Fault::Peer);
    node.commit(&certify(wrong_body, [0, 1, 2])).unwrap();
    assert_eq!(node.block(1).unwrap().unwrap().block, *good.block);
}

#[test]
fn building_drops_invalid_candidates_and_stops_at_the_deadline() {
    let node = Node::start();
    let never_tried = transaction(0, RECIPIENT, 1, []);
    // The second is stale only if the first's block is decided; the third cannot pay for its data in any block.
    let (stale, costly) = (transaction(0, RECIPIENT, 2, []), transaction(1, RECIPIENT, 1, vec![1; 50_000]));
    let candidates = [transaction(0, RECIPIENT, 1, []), stale, costly];
    let request = |candidates: Vec<Transaction>, deadline| BuildRequest {
        timestamp: 0,
        fee_recipient: Address::repeat_byte(1),
        candidates: Box::new(candidates.into_iter().map(recovered)),
        deadline,
    };
    let built = crate::Chain::build(&node, request(candidates.to_vec(), &|| false)).unwrap();
    assert_eq!(built.proposed.block.body.transactions, candidates[..1]);
    assert_eq!(built.invalid.len(), 1);
    assert_eq!(built.invalid[0].0, *candidates[2].tx_hash());
    assert_eq!(built.proposed.block.header.timestamp, GENESIS_TIME, "never before the parent");
    let built = crate::Chain::build(&node, request(vec![never_tried], &|| true)).unwrap();
    assert!(built.proposed.block.body.transactions.is_empty());
}
