//! What a peer's message must satisfy before the core sees it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;

use fixture::Fixture;
use heddle_consensus::{CheckedMessage, MessageFault};
use heddle_primitives::{
    CommitCertificate, ConsensusKey, ConsensusMessage, ConsensusSignature, DependencyHints, EncodedAccessList, Header,
    Height, MAX_BLOCK_BYTES, ProposedBlock, Round, RoundCertificate, RoundCertificateKind, RoundSignature, SignedVote,
    ValidatorAddress, Vote, VoteKind,
};
use std::sync::Arc;

#[test]
fn what_breaks_a_rule_never_becomes_a_checked_message() {
    let fixture = Fixture::new(4);
    let (proposer, other) = (fixture.proposer(1, 0), (fixture.proposer(1, 0) + 1) % 4);
    let check = |message| CheckedMessage::check(message, &fixture.validators, &fixture.context).unwrap_err();
    let address = |index: usize| fixture.validator(index).address;

    let mut vote = fixture.vote(other, 1, 0, VoteKind::Prevote, None);
    vote.signature = fixture.vote(other, 1, 0, VoteKind::Precommit, None).signature;
    assert_eq!(check(ConsensusMessage::Vote(vote)), MessageFault::BadSignature(address(other)));

    let stranger = ConsensusKey::from_bytes(&[99; 32]);
    let vote = Vote {
        height: Height::new(1),
        round: Round::ZERO,
        kind: VoteKind::Prevote,
        block_hash: None,
        validator: ValidatorAddress::repeat_byte(9),
    };
    let signed = SignedVote::sign(vote, &stranger, &fixture.context);
    assert_eq!(check(ConsensusMessage::Vote(signed)), MessageFault::UnknownValidator(ValidatorAddress::repeat_byte(9)));

    let body = fixture.block(None, other, b"a");
    assert_eq!(
        check(fixture.proposal(other, 0, None, &body)),
        MessageFault::NotProposer { claimed: address(other), expected: address(proposer), round: Round::ZERO }
    );
    assert!(matches!(check(fixture.proposal(proposer, 0, Some(0), &body)), MessageFault::PolRound { .. }));

    let vote = fixture.vote(other, 1, u32::MAX, VoteKind::Prevote, None);
    assert_eq!(check(ConsensusMessage::Vote(vote)), MessageFault::RoundTooHigh(Round::new(u32::MAX)));
}

#[test]
fn a_relayed_block_cannot_be_swapped_under_its_hash() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let body = fixture.block(None, proposer, b"a");
    let swap = |change: &dyn Fn(&mut ProposedBlock)| {
        let ConsensusMessage::Proposal(mut message) = fixture.proposal(proposer, 0, None, &body) else {
            unreachable!()
        };
        change(&mut message.body);
        CheckedMessage::check(ConsensusMessage::Proposal(message), &fixture.validators, &fixture.context).unwrap_err()
    };
    let part = |fault: MessageFault| if let MessageFault::Body { part, .. } = fault { part } else { "none" };

    let other_header = swap(&|body| Arc::make_mut(&mut body.block).header.gas_limit += 1);
    assert_eq!(part(other_header), "hash");
    let ommer = swap(&|body| {
        let block = Arc::make_mut(&mut body.block);
        let header = block.header.clone();
        block.body.ommers.push(header);
    });
    assert_eq!(part(ommer), "ommers hash");
    let certificate = swap(&|body| {
        let (hash, height) = (body.hash(), Height::new(0));
        body.parent_certificate = Some(CommitCertificate::new(height, Round::ZERO, hash, Vec::new()));
    });
    assert_eq!(part(certificate), "digest of parent certificate and evidence");
    let withdrawals = swap(&|body| Arc::make_mut(&mut body.block).body.withdrawals = None);
    assert_eq!(part(withdrawals), "withdrawals root");
    let hints = swap(&|body| {
        body.hints = DependencyHints::new(vec![1; body.block.body.transactions.len() + 1]);
    });
    assert_eq!(part(hints), "number of hints");
    let large = swap(&|body| {
        let header = Header { extra_data: vec![0; MAX_BLOCK_BYTES].into(), ..Header::default() };
        Arc::make_mut(&mut body.block).body.ommers.push(header);
    });
    assert_eq!(part(large), "size");
    let access_list = swap(&|body| body.access_list = Some(EncodedAccessList::from_rlp([0xc0])));
    assert!(matches!(access_list, MessageFault::AccessList(_)), "{access_list}");
}

#[test]
fn a_round_certificate_needs_distinct_validators_and_enough_of_them() {
    let fixture = Fixture::new(4);
    let certificate = |kind, votes: &[(usize, VoteKind)]| {
        let signature = |(index, kind): &(usize, VoteKind)| {
            let signed = fixture.vote(*index, 1, 3, *kind, None);
            RoundSignature {
                kind: *kind,
                block_hash: None,
                validator: signed.vote.validator,
                signature: signed.signature,
            }
        };
        let signatures = votes.iter().map(signature).collect();
        let certificate = RoundCertificate { height: Height::new(1), round: Round::new(3), kind, signatures };
        let message = ConsensusMessage::RoundCertificate(certificate);
        CheckedMessage::check(message, &fixture.validators, &fixture.context).is_ok()
    };
    use RoundCertificateKind::{Precommit as Precommits, Skip};
    use VoteKind::{Precommit, Prevote};
    let table = [
        ("a third is not enough to skip", Skip, vec![(0, Prevote)], false),
        ("more than a third skips", Skip, vec![(0, Prevote), (1, Precommit)], true),
        ("nobody counts twice", Skip, vec![(0, Prevote), (0, Precommit)], false),
        ("half do not end a round", Precommits, vec![(0, Precommit), (1, Precommit)], false),
        ("three of four do", Precommits, vec![(0, Precommit), (1, Precommit), (2, Precommit)], true),
        ("prevotes end no round", Precommits, vec![(0, Precommit), (1, Precommit), (2, Prevote)], false),
        ("nothing proves nothing", Skip, vec![], false),
    ];
    for (name, kind, votes, good) in table {
        assert_eq!(certificate(kind, &votes), good, "{name}");
    }
}

#[test]
fn a_vote_that_claims_the_withheld_signature_is_refused() {
    let fixture = Fixture::new(4);
    let mut vote = fixture.vote(0, 1, 0, VoteKind::Prevote, None);
    vote.signature = ConsensusSignature::from_bytes([0; 64]);
    let fault = CheckedMessage::check(ConsensusMessage::Vote(vote), &fixture.validators, &fixture.context);
    assert_eq!(fault, Err(MessageFault::BadSignature(fixture.validator(0).address)));
}
