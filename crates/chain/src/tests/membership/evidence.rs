//! Who signs two messages for one step loses the seat for ever.

use super::world::{TOMBSTONED, World, addCall, administered, isTombstonedCall, key, validatorOfCall};
use crate::tests::fixture::Node;
use crate::{BlockError, Chain, ChainError, EvidenceRuleError, Fault};
use alloy_primitives::Address;
use heddle_primitives::{CertifiedBlock, Evidence, EvidenceError, Height, ProposedBlock, consensus_root};
use heddle_storage::{Batch, Table};
use std::sync::Arc;

/// The same proposal with other evidence, bound by its header.
fn with(proposed: &ProposedBlock, evidence: Vec<Evidence>) -> ProposedBlock {
    let mut block = (*proposed.block).clone();
    let root = consensus_root(proposed.parent_certificate.as_ref(), &evidence);
    block.header.parent_beacon_block_root = Some(root);
    ProposedBlock { block: Arc::new(block), evidence, ..proposed.clone() }
}

fn vote(chain: &Chain, proposed: &ProposedBlock) -> Result<(), ChainError> {
    let height = chain.head().height().next();
    let validators = chain.validators(height).unwrap();
    chain.validate(proposed, validators.proposer(height, 0), proposed.block.header.timestamp, &|_| None)
}

fn rule(world: &World, proposed: &ProposedBlock) -> EvidenceRuleError {
    match vote(&world.chain, proposed).unwrap_err() {
        ChainError::InvalidBlock(BlockError::Evidence(error)) => error,
        error => panic!("{error}"),
    }
}

#[test]
fn an_equivocator_is_convicted_by_the_next_block() {
    let world = World::start(administered(), 5);
    world.run_to(2);
    let evidence = world.equivocation(2, 2);
    assert!(world.chain.add_evidence(evidence.clone()).unwrap());
    assert!(!world.chain.add_evidence(evidence.clone()).unwrap(), "it is known");
    assert!(!world.chain.add_evidence(world.equivocation(2, 1)).unwrap(), "one piece convicts as well as two");
    assert_eq!(world.reopened().pending_evidence(9), std::slice::from_ref(&evidence), "it survives a restart");
    assert_eq!(world.chain.pending_evidence(0), []);

    let proposed = world.build(Vec::new());
    assert_eq!(proposed.evidence, std::slice::from_ref(&evidence));
    let voter = world.peer();
    for number in 1..=2 {
        let block = world.chain.finalized_block(number).unwrap().unwrap();
        let validators = voter.validators(Height::new(number)).unwrap();
        voter.commit(&CertifiedBlock::verify(block, &validators, &world.context()).unwrap()).unwrap();
    }
    vote(&voter, &proposed).unwrap();
    let certified = world.certify(proposed);
    voter.commit(&certified).unwrap();
    world.chain.commit(&certified).unwrap();

    assert!(world.ask(isTombstonedCall { key: key(2) }));
    assert_eq!(world.chain.pending_evidence(9), []);
    assert_eq!(world.reopened().pending_evidence(9), []);
    assert_eq!(world.chain.evidence(0, 3, 4).unwrap(), [(3, evidence.clone())]);
    assert_eq!(world.chain.finalized_block(3).unwrap().unwrap().proposed.evidence, [evidence]);
    assert!(matches!(world.chain.evidence(0, 3, 3), Err(ChainError::LogRange { .. })));
    assert!(matches!(world.chain.evidence(3, 2, 9), Err(ChainError::LogRange { .. })));
    assert_eq!(voter.head().hash(), world.chain.head().hash());

    assert!(!world.chain.add_evidence(world.equivocation(2, 2)).unwrap(), "it is convicted");
    assert_eq!(rule(&world, &with(&world.build(Vec::new()), vec![world.equivocation(2, 2)])), {
        EvidenceRuleError::NotStanding(world.equivocation(2, 2).validator())
    });
    world.run_to(5);
    assert_eq!(world.members(), [(1, 1), (3, 1), (4, 1)]);
    assert!(!world.does(addCall { key: key(2), power: 1, feeRecipient: Address::ZERO }), "it never comes back");
    assert_eq!(world.chain.check(&mut |_| {}).unwrap().first(), []);
}

#[test]
fn evidence_in_a_block_obeys_every_rule() {
    let world = World::start(administered(), 5);
    world.run_to(3);
    let good = world.build(Vec::new());
    let (two, three) = (world.equivocation(2, 3), world.equivocation(3, 3));
    let [first, second] = if two.validator() < three.validator() { [two, three] } else { [three, two] };
    let canonical = EvidenceRuleError::NotCanonical;
    let table: [(Vec<Evidence>, EvidenceRuleError); 6] = [
        (vec![second.clone(), first.clone()], canonical(first.validator())),
        (vec![first.clone(), first.clone()], canonical(first.validator())),
        (vec![first.clone(); 5], EvidenceRuleError::TooMany(5)),
        (vec![world.equivocation(2, 4)], EvidenceRuleError::Height { height: 4, block: 4 }),
        (
            vec![world.equivocation(9, 2)],
            EvidenceError::UnknownValidator(world.equivocation(9, 2).validator(), Height::new(2)).into(),
        ),
        (vec![forged(&world)], EvidenceError::BadSignature(forged(&world).validator()).into()),
    ];
    for (evidence, error) in table {
        assert_eq!(rule(&world, &with(&good, evidence)), error);
    }
    let unbound = ProposedBlock { evidence: vec![first], ..good };
    let error = vote(&world.chain, &unbound).unwrap_err();
    assert!(matches!(&error, ChainError::InvalidBlock(BlockError::ParentCertificateDigest { .. })), "{error}");
}

fn forged(world: &World) -> Evidence {
    let Evidence::Votes(mut pair) = world.equivocation(2, 2) else { panic!("votes") };
    let Evidence::Votes(other) = world.equivocation(3, 2) else { panic!("votes") };
    pair.first.signature = other.first.signature;
    Evidence::Votes(pair)
}

#[test]
fn what_proves_nothing_is_the_peers_fault_and_what_cannot_be_judged_is_not() {
    let world = World::start(administered(), 5);
    world.run_to(3);
    let error = world.chain.add_evidence(forged(&world)).unwrap_err();
    assert!(
        matches!(error, ChainError::InvalidEvidence(EvidenceRuleError::Invalid(_))) && error.fault() == Fault::Peer
    );
    assert!(!world.chain.add_evidence(world.equivocation(2, 11)).unwrap(), "of an epoch to come");
    assert!(world.chain.add_evidence(world.equivocation(2, 4)).unwrap(), "of the height that is being decided");
    assert_eq!(world.build(Vec::new()).evidence, [], "which only its child may have");
    world.run_to(5);
    assert!(world.ask(isTombstonedCall { key: key(2) }));
}

#[test]
fn newer_evidence_takes_the_place_of_older() {
    let world = World::start(administered(), 5);
    world.run_to(3);
    let [older, newer] = [1, 3].map(|height| world.equivocation(2, height));
    assert!(world.chain.add_evidence(older.clone()).unwrap());
    assert!(world.chain.add_evidence(newer.clone()).unwrap(), "it does not expire with the older");
    assert!(!world.chain.add_evidence(older).unwrap());
    assert_eq!(world.reopened().pending_evidence(9), [newer]);
}

#[test]
fn without_a_registry_evidence_is_kept_and_convicts_nobody() {
    let node = Node::start();
    node.extend(Vec::new());
    let world = World::start(administered(), 5);
    let mut evidence = world.equivocation(2, 1);
    assert!(node.add_evidence(evidence.clone()).is_err(), "of another chain");
    evidence = crate::tests::fixture::equivocation(1, 1);
    assert!(node.add_evidence(evidence.clone()).unwrap());
    assert_eq!(node.build(Vec::new()).evidence, []);
    let proposed = with(&node.build(Vec::new()), vec![evidence]);
    let error = node.vote(&proposed).unwrap_err();
    assert!(error.to_string().contains("no validator registry"), "{error}");
}

#[test]
fn the_last_member_keeps_its_seat_until_another_comes() {
    let mut world = World::start(administered(), 3);
    for n in 2..=4 {
        world.chain.add_evidence(world.equivocation(n, 1)).unwrap();
    }
    world.run_to(3);
    assert_eq!(world.members(), [(1, 1)]);
    world.asleep = vec![2, 3, 4];
    world.chain.add_evidence(world.equivocation(1, 1)).unwrap();
    world.run_to(6);
    assert_eq!(world.members(), [(1, 1)]);
    assert_eq!(world.ask(validatorOfCall { key: key(1) }).status, TOMBSTONED);
    assert!(world.does(addCall { key: key(5), power: 1, feeRecipient: Address::repeat_byte(5) }));
    world.run_to(9);
    assert_eq!(world.members(), [(5, 1)]);
}

#[test]
fn rows_of_evidence_are_checked() {
    let damages: [fn(&World, &mut Batch); 4] = [
        |_, batch| batch.delete(Table::Evidence, 2u64.to_be_bytes()),
        |world, batch| {
            batch.put(Table::Evidence, 3u64.to_be_bytes(), alloy_rlp::encode(vec![world.equivocation(3, 1)]))
        },
        |world, batch| {
            batch.put(Table::Evidence, 9u64.to_be_bytes(), alloy_rlp::encode(vec![world.equivocation(3, 1)]))
        },
        |world, batch| {
            let evidence = world.equivocation(3, 1);
            batch.put(Table::PendingEvidence, [7; 20], alloy_rlp::encode(evidence));
        },
    ];
    for (index, damage) in damages.into_iter().enumerate() {
        let world = World::start(administered(), 5);
        world.run_to(1);
        world.chain.add_evidence(world.equivocation(2, 1)).unwrap();
        world.run_to(3);
        let mut batch = Batch::new();
        damage(&world, &mut batch);
        world.database.commit(batch).unwrap();
        assert_ne!(world.chain.check(&mut |_| {}).unwrap().first(), [], "damage {index}");
    }
}
