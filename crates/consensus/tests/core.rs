//! The pure core, step by step.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;

use alloy_primitives::B256;
use fixture::Fixture;
use heddle_consensus::{
    Ballot, Core, CoreError, Identity, Input, Output, RoundVotes, SignState, SignStep, Step, Timeout, TimeoutKind,
};
use heddle_primitives::{
    CertifiedBlock, CommitCertificate, CommitSignature, ConsensusMessage, Evidence, Height, PolkaCertificate,
    ProposedBlock, Round, RoundCertificate, RoundCertificateKind, RoundSignature, SignedVote, ValidatorSet, VoteKind,
};

/// One core under test, with everything it put out so far.
struct Bench {
    fixture: Fixture,
    index: usize,
    core: Core,
    outputs: Vec<Output>,
}

impl Bench {
    fn start(fixture: &Fixture, index: usize, sign_state: Option<Vec<u8>>, records: &[Vec<u8>]) -> Self {
        let (core, outputs) =
            Core::start(identity(fixture, index, sign_state), Height::new(1), fixture.validators.clone(), records)
                .expect("the core starts");
        Self { fixture: fixture.clone(), index, core, outputs }
    }

    fn listen(fixture: &Fixture, index: usize, sign_state: Option<Vec<u8>>, records: &[Vec<u8>]) -> Self {
        let identity = identity(fixture, index, sign_state);
        let core =
            Core::listen(identity, Height::GENESIS, fixture.validators.clone(), records).expect("the core listens");
        Self { fixture: fixture.clone(), index, core, outputs: Vec::new() }
    }

    fn evidence(&self) -> Vec<&Evidence> {
        self.outputs
            .iter()
            .filter_map(|o| if let Output::Evidence(evidence) = o { Some(evidence) } else { None })
            .collect()
    }

    /// The first signature of our key that is not from here.
    fn foreign(&self) -> Option<&SignState> {
        self.outputs.iter().find_map(|o| if let Output::ForeignSignature(shown) = o { Some(shown) } else { None })
    }

    fn feed(&mut self, input: Input) {
        let outputs = self.core.handle(input).expect("the core goes on");
        self.outputs.extend(outputs);
    }

    fn message(&mut self, message: ConsensusMessage) {
        let message = self.fixture.checked(message);
        self.feed(Input::Message(message));
    }

    fn vote(&mut self, from: usize, round: u32, kind: VoteKind, hash: Option<alloy_primitives::B256>) {
        let height = self.core.height().as_u64();
        let vote = self.fixture.vote(from, height, round, kind, hash);
        self.message(ConsensusMessage::Vote(vote));
    }

    fn timeout(&mut self, round: u32, kind: TimeoutKind) {
        self.feed(Input::Timeout(Timeout { height: self.core.height(), round: Round::new(round), kind }));
    }

    fn validated(&mut self, body: &ProposedBlock, valid: bool) {
        self.feed(Input::Validated { height: self.core.height(), block_hash: body.hash(), valid });
    }

    /// The indices of the other validators.
    fn others(&self) -> Vec<usize> {
        (0..self.fixture.keys.len()).filter(|index| *index != self.index).collect()
    }

    fn records(&self) -> Vec<Vec<u8>> {
        self.outputs
            .iter()
            .filter_map(|o| if let Output::Log(record) = o { Some(record.clone()) } else { None })
            .collect()
    }

    fn sign_state(&self) -> Option<Vec<u8>> {
        self.outputs
            .iter()
            .rev()
            .find_map(|o| if let Output::SignState(state) = o { Some(state.clone()) } else { None })
    }

    fn published(&self) -> Vec<ConsensusMessage> {
        self.outputs.iter().filter_map(|o| if let Output::Publish(m) = o { Some(m.clone()) } else { None }).collect()
    }

    fn own_votes(&self) -> Vec<SignedVote> {
        let address = self.fixture.validator(self.index).address;
        let own = |message| match message {
            ConsensusMessage::Vote(signed) if signed.vote.validator == address => Some(signed),
            _ => None,
        };
        self.published().into_iter().filter_map(own).collect()
    }

    fn decision(&self) -> Option<&CertifiedBlock> {
        self.outputs.iter().find_map(|o| if let Output::Decide(block) = o { Some(&**block) } else { None })
    }

    fn asks_to_validate(&self) -> usize {
        self.outputs.iter().filter(|o| matches!(o, Output::Validate { .. })).count()
    }
}

fn identity(fixture: &Fixture, index: usize, sign_state: Option<Vec<u8>>) -> Identity {
    Identity { context: fixture.context, key: Some(fixture.keys[index].clone()), sign_state }
}

/// A validator that proposes in none of the first two rounds of height 1.
fn bystander(fixture: &Fixture) -> usize {
    (0..fixture.keys.len()).find(|i| *i != fixture.proposer(1, 0) && *i != fixture.proposer(1, 1)).unwrap()
}

/// A bystander that has seen a valid proposal in round 0, and voted for it.
fn with_proposal() -> (Bench, ProposedBlock) {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let mut bench = Bench::start(&fixture, bystander(&fixture), None, &[]);
    let body = fixture.block(None, proposer, b"a");
    bench.message(fixture.proposal(proposer, 0, None, &body));
    bench.validated(&body, true);
    (bench, body)
}

#[test]
fn one_validator_decides_alone_and_everything_is_remembered_before_it_is_published() {
    let fixture = Fixture::new(1);
    let mut bench = Bench::start(&fixture, 0, None, &[]);
    let mut parent: Option<CertifiedBlock> = None;
    for height in 1..=3 {
        assert!(bench.outputs.iter().any(|o| matches!(o, Output::Build { round: Round::ZERO, .. })));
        bench.outputs.clear();
        let block = fixture.block(parent.as_ref(), 0, b"x");
        bench.feed(Input::Built { height: Height::new(height), round: Round::ZERO, block: block.clone() });
        assert_eq!(bench.own_votes().len(), 2, "a prevote and a precommit");
        let first_publish = bench.outputs.iter().position(|o| matches!(o, Output::Publish(_))).unwrap();
        let before = &bench.outputs[..first_publish];
        assert!(before.iter().any(|o| matches!(o, Output::Log(_))));
        assert!(before.iter().any(|o| matches!(o, Output::SignState(_))));
        let decided = bench.decision().expect("decided alone").clone();
        assert_eq!(decided.hash(), block.hash());
        bench.outputs.clear();
        let next = Height::new(height + 1);
        bench.feed(Input::StartHeight { height: next, validators: fixture.validators.clone() });
        parent = Some(decided);
    }
}

#[test]
fn a_valid_block_gets_a_prevote_and_an_invalid_one_nil_at_once() {
    for valid in [true, false] {
        let fixture = Fixture::new(4);
        let proposer = fixture.proposer(1, 0);
        let mut bench = Bench::start(&fixture, bystander(&fixture), None, &[]);
        let body = fixture.block(None, proposer, b"a");
        bench.message(fixture.proposal(proposer, 0, None, &body));
        assert_eq!(bench.asks_to_validate(), 1);
        assert!(bench.own_votes().is_empty(), "no vote before the verdict");
        bench.message(fixture.proposal(proposer, 0, None, &body));
        assert_eq!(bench.asks_to_validate(), 1, "asked once");
        bench.validated(&body, valid);
        let votes = bench.own_votes();
        assert_eq!(votes.len(), 1);
        assert_eq!(votes[0].vote.block_hash, valid.then(|| body.hash()));
    }
}

#[test]
fn a_quorum_of_precommits_decides_and_late_messages_change_nothing() {
    let (mut bench, body) = with_proposal();
    let others = bench.others();
    for from in &others[..2] {
        bench.vote(*from, 0, VoteKind::Prevote, Some(body.hash()));
    }
    for from in &others[..2] {
        assert!(bench.decision().is_none());
        bench.vote(*from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    assert_eq!(bench.decision().unwrap().hash(), body.hash());
    let (before, records) = (bench.outputs.len(), bench.records().len());
    bench.vote(others[2], 0, VoteKind::Precommit, Some(body.hash()));
    bench.timeout(0, TimeoutKind::Precommit);
    bench.validated(&body, false);
    assert_eq!((bench.outputs.len(), bench.records().len()), (before, records));
}

#[test]
fn a_log_cut_anywhere_replays_and_never_contradicts_what_was_signed() {
    let (mut bench, body) = with_proposal();
    let others = bench.others();
    // No decision in round 0, then a vote in round 1.
    bench.vote(others[0], 0, VoteKind::Prevote, Some(body.hash()));
    bench.vote(others[1], 0, VoteKind::Prevote, Some(body.hash()));
    bench.vote(others[0], 0, VoteKind::Precommit, None);
    bench.vote(others[1], 0, VoteKind::Precommit, None);
    bench.timeout(0, TimeoutKind::Precommit);
    bench.timeout(1, TimeoutKind::Propose);
    let signed = bench.own_votes();
    assert_eq!(signed.len(), 3, "prevote, precommit, prevote of the locked value or nil");

    let records = bench.records();
    for cut in 0..=records.len() {
        let mut replayed = Bench::start(&bench.fixture, bench.index, bench.sign_state(), &records[..cut]);
        replayed.timeout(0, TimeoutKind::Propose);
        replayed.timeout(0, TimeoutKind::Prevote);
        for vote in replayed.own_votes() {
            assert!(signed.contains(&vote), "after a cut at {cut}: {vote:?}");
        }
    }
    let replayed = Bench::start(&bench.fixture, bench.index, bench.sign_state(), &records);
    assert_eq!(replayed.core.round(), Round::new(1));
    assert!(replayed.records().is_empty(), "a replay writes nothing twice");
}

#[test]
fn a_crash_between_log_and_sign_state_raises_the_sign_state() {
    let (bench, _) = with_proposal();
    let replayed = Bench::start(&bench.fixture, bench.index, None, &bench.records());
    assert_eq!(replayed.sign_state(), bench.sign_state());
}

#[test]
fn without_its_log_the_sign_state_still_refuses_and_the_node_goes_on() {
    let (bench, body) = with_proposal();
    let mut amnesiac = Bench::start(&bench.fixture, bench.index, bench.sign_state(), &[]);
    amnesiac.timeout(0, TimeoutKind::Propose);
    assert!(amnesiac.own_votes().is_empty(), "nil would contradict the prevote for the block");
    let refused = |o: &Output| matches!(o, Output::SignatureRefused(r) if r.wanted.step == SignStep::Prevote);
    assert!(amnesiac.outputs.iter().any(refused));
    amnesiac.timeout(0, TimeoutKind::Rebroadcast);
    assert!(amnesiac.own_votes().is_empty(), "the withheld vote is not sent again either");

    // The others decide; at the next height it signs again.
    let others = amnesiac.others();
    let proposer = bench.fixture.proposer(1, 0);
    amnesiac.message(bench.fixture.proposal(proposer, 0, None, &body));
    amnesiac.validated(&body, true);
    for from in others {
        amnesiac.vote(from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    assert!(amnesiac.decision().is_some());
    let validators = amnesiac.fixture.validators.clone();
    amnesiac.feed(Input::StartHeight { height: Height::new(2), validators });
    amnesiac.timeout(0, TimeoutKind::Propose);
    assert!(amnesiac.own_votes().iter().any(|signed| signed.vote.height == Height::new(2)));
}

#[test]
fn without_its_log_it_signs_in_no_round_of_that_height_and_starts_again() {
    let (bench, _) = with_proposal();
    let own = bench.own_votes().remove(0);
    let next_round_after_a_restart = |records: &[Vec<u8>]| {
        let mut restarted = Bench::start(&bench.fixture, bench.index, bench.sign_state(), records);
        restarted.message(ConsensusMessage::Vote(own.clone()));
        for from in restarted.others() {
            restarted.vote(from, 0, VoteKind::Precommit, None);
        }
        restarted.timeout(0, TimeoutKind::Precommit);
        restarted.timeout(1, TimeoutKind::Propose);
        restarted
    };
    let votes_on = |bench: &Bench| bench.own_votes().iter().any(|signed| signed.vote.round == Round::new(1));
    assert!(votes_on(&next_round_after_a_restart(&bench.records())), "with its log it goes on");
    let amnesiac = next_round_after_a_restart(&[]);
    assert!(!votes_on(&amnesiac), "it does not know what it is locked on");
    assert!(amnesiac.records().is_empty(), "its own old vote, come back from a peer, would fail the next replay");
}

#[test]
fn unreadable_state_is_an_error_never_a_fresh_start() {
    let fixture = Fixture::new(4);
    let start = |sign_state, records: &[Vec<u8>]| {
        let identity = identity(&fixture, 0, sign_state);
        Core::start(identity, Height::new(1), fixture.validators.clone(), records).err()
    };
    assert!(matches!(start(Some(vec![1, 2, 3]), &[]), Some(CoreError::SignState(_))));
    assert!(matches!(start(None, &[vec![1, 2, 3]]), Some(CoreError::Record { index: 0, .. })));
    assert!(start(None, &[]).is_none());
}

#[test]
fn a_proposer_proposes_its_valid_value_again_with_the_block_and_the_polka() {
    let fixture = Fixture::new(4);
    let (first, second) = (fixture.proposer(1, 0), fixture.proposer(1, 1));
    let mut bench = Bench::start(&fixture, second, None, &[]);
    let body = fixture.block(None, first, b"a");
    bench.message(fixture.proposal(first, 0, None, &body));
    bench.validated(&body, true);
    let others = bench.others();
    for from in &others[..2] {
        bench.vote(*from, 0, VoteKind::Prevote, Some(body.hash()));
    }
    for from in &others[..2] {
        bench.vote(*from, 0, VoteKind::Precommit, None);
    }
    bench.timeout(0, TimeoutKind::Precommit);
    assert!(!bench.outputs.iter().any(|o| matches!(o, Output::Build { .. })), "nothing new is built");
    let again = |message: &ConsensusMessage| match message {
        ConsensusMessage::Proposal(message) => {
            let proposal = &message.proposal.proposal;
            proposal.round == Round::new(1) && proposal.pol_round == Some(Round::ZERO) && message.body == body
        }
        _ => false,
    };
    assert!(bench.published().iter().any(again));
    assert!(bench.published().iter().any(|m| matches!(m, ConsensusMessage::PolkaCertificate(_))));

    // A peer that never saw the block expects the fee recipient of its builder, not of who proposes it again.
    let late = bystander(&fixture);
    let mut late = Bench::start(&fixture, late, None, &[]);
    let proposal = bench.published().into_iter().find(again).unwrap();
    late.message(proposal);
    let expected = fixture.validator(first).address;
    assert!(
        late.outputs.iter().any(|o| matches!(o, Output::Validate { proposer, .. } if proposer.address == expected))
    );
}

#[test]
fn a_stuck_proposer_sends_its_proposal_and_votes_again() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let mut bench = Bench::start(&fixture, proposer, None, &[]);
    let body = fixture.block(None, proposer, b"a");
    bench.feed(Input::Built { height: Height::new(1), round: Round::ZERO, block: body.clone() });
    let first = bench.published();
    bench.outputs.clear();
    bench.timeout(0, TimeoutKind::Rebroadcast);
    let again = bench.published();
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|message| first.contains(message)), "the same bytes go out again");

    // Also after a restart.
    let mut restarted = Bench::start(&fixture, proposer, None, &{
        let mut bench = Bench::start(&fixture, proposer, None, &[]);
        bench.feed(Input::Built { height: Height::new(1), round: Round::ZERO, block: body });
        bench.records()
    });
    restarted.outputs.clear();
    restarted.timeout(0, TimeoutKind::Rebroadcast);
    assert_eq!(restarted.published().len(), 2);
}

#[test]
fn messages_of_the_next_height_wait_for_it() {
    let (mut bench, body) = with_proposal();
    let others = bench.others();
    for from in &others {
        bench.vote(*from, 0, VoteKind::Prevote, Some(body.hash()));
    }
    for from in &others {
        bench.vote(*from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    let parent = bench.decision().unwrap().clone();
    let fixture = bench.fixture.clone();
    let proposer = fixture.proposer(2, 0);
    let next = fixture.block(Some(&parent), proposer, b"b");
    let asked = bench.asks_to_validate();
    bench.message(fixture.proposal(proposer, 0, None, &next));
    assert_eq!(bench.asks_to_validate(), asked, "not before its height starts");
    bench.feed(Input::StartHeight { height: Height::new(2), validators: fixture.validators.clone() });
    if proposer != bench.index {
        assert_eq!(bench.asks_to_validate(), asked + 1);
    }
}

#[test]
fn a_straggler_is_told_once_how_its_height_was_decided() {
    let (mut bench, body) = with_proposal();
    let others = bench.others();
    for from in &others[..2] {
        bench.vote(*from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    bench.vote(others[2], 0, VoteKind::Precommit, Some(body.hash()));
    let validators = bench.fixture.validators.clone();
    bench.feed(Input::StartHeight { height: Height::new(2), validators });
    bench.outputs.clear();
    let fixture = bench.fixture.clone();
    let late = ConsensusMessage::Vote(fixture.vote(others[0], 1, 0, VoteKind::Precommit, Some(body.hash())));
    bench.message(late);
    assert!(bench.published().is_empty(), "it is about to decide by itself");
    for _ in 0..2 {
        bench.message(ConsensusMessage::Vote(fixture.vote(others[0], 1, 1, VoteKind::Prevote, None)));
    }
    assert_eq!(bench.published().len(), 1);
    let ConsensusMessage::CommitCertificate(certificate) = &bench.published()[0] else { panic!("a certificate") };
    assert_eq!(certificate.verify(&fixture.validators, &fixture.context), Ok(()));
}

#[test]
fn a_commit_certificate_decides_once_the_block_is_known_to_be_valid() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let body = fixture.block(None, proposer, b"a");
    let mut bench = Bench::start(&fixture, bystander(&fixture), None, &[]);
    let signature = |index: usize| {
        let signed = fixture.vote(index, 1, 0, VoteKind::Precommit, Some(body.hash()));
        CommitSignature { validator: signed.vote.validator, signature: signed.signature }
    };
    let signatures = bench.others().into_iter().map(signature).collect();
    let certificate = CommitCertificate::new(Height::new(1), Round::ZERO, body.hash(), signatures);
    bench.message(ConsensusMessage::CommitCertificate(certificate));
    assert!(bench.outputs.iter().any(|o| matches!(o, Output::Behind(_))), "the block is asked for");
    assert!(bench.decision().is_none());
    bench.message(fixture.proposal(proposer, 0, None, &body));
    bench.validated(&body, true);
    assert_eq!(bench.decision().unwrap().hash(), body.hash());
}

#[test]
fn a_height_committed_by_sync_is_left_alone() {
    let (mut bench, body) = with_proposal();
    bench.feed(Input::Superseded { head: Height::new(1) });
    bench.outputs.clear();
    for from in bench.others() {
        bench.vote(from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    bench.timeout(0, TimeoutKind::Prevote);
    assert!(bench.outputs.is_empty());
}

#[test]
fn an_equivocator_is_reported_at_once_and_once_a_height() {
    let (mut bench, body) = with_proposal();
    let culprit = bench.others()[2];
    for (round, hash) in [(0, None), (0, Some(body.hash())), (1, None), (1, Some(body.hash()))] {
        bench.vote(culprit, round, VoteKind::Prevote, hash);
    }
    let evidence = bench.evidence();
    assert_eq!(evidence.len(), 1);
    let convicted = evidence[0].verify(&bench.fixture.validators, &bench.fixture.context);
    assert_eq!(convicted, Ok(bench.fixture.validator(culprit)));
}

#[test]
fn two_proposals_and_a_vote_in_the_deciding_step_are_reported_too() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let mut bench = Bench::start(&fixture, bystander(&fixture), None, &[]);
    for salt in [b"a", b"b"] {
        let body = fixture.block(None, proposer, salt);
        bench.message(fixture.proposal(proposer, 0, None, &body));
        bench.validated(&body, true);
    }
    let evidence = bench.evidence();
    assert_eq!(evidence.len(), 1);
    assert!(matches!(evidence[0], Evidence::Proposals(_)));
    assert!(evidence[0].verify(&fixture.validators, &fixture.context).is_ok());
}

#[test]
fn our_own_messages_that_come_back_bar_nothing() {
    let (mut bench, body) = with_proposal();
    let others = bench.others();
    for from in &others[..2] {
        bench.vote(*from, 0, VoteKind::Prevote, Some(body.hash()));
    }
    for message in bench.published() {
        bench.message(message);
    }
    for from in &others[..2] {
        bench.vote(*from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    let certificate = bench.decision().unwrap().certificate().clone();
    bench.message(ConsensusMessage::CommitCertificate(certificate));
    assert!(bench.foreign().is_none());
    let mut restarted = Bench::start(&bench.fixture, bench.index, bench.sign_state(), &bench.records());
    for message in bench.published() {
        restarted.message(message);
    }
    assert!(restarted.foreign().is_none());
}

#[test]
fn what_the_log_explains_is_not_foreign_however_old_the_sign_state() {
    let (mut bench, body) = with_proposal();
    for from in &bench.others()[..2] {
        bench.vote(*from, 0, VoteKind::Prevote, Some(body.hash()));
    }
    let shown = Vec::from_iter(bench.own_votes().into_iter().map(ConsensusMessage::Vote));
    assert_eq!(shown.len(), 2, "a prevote and a precommit");
    let mut restarted = Bench::listen(&bench.fixture, bench.index, None, &bench.records());
    for message in shown {
        restarted.message(message);
    }
    assert!(restarted.foreign().is_none());
    assert_eq!(restarted.sign_state(), bench.sign_state(), "the higher of the two counts, and is kept");
    restarted.feed(Input::StartHeight { height: Height::new(1), validators: bench.fixture.validators.clone() });
    for from in &bench.others()[..2] {
        restarted.vote(*from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    assert!(restarted.decision().is_some());
}

#[test]
fn a_signature_of_our_key_from_elsewhere_bars_its_height_for_ever() {
    let fixture = Fixture::new(4);
    let (index, hash) = (bystander(&fixture), Some(B256::repeat_byte(9)));
    let own = fixture.validator(index).address;
    let precommits = |round| {
        let signed = (0..4).map(|from| fixture.vote(from, 1, round, VoteKind::Precommit, hash));
        signed.map(|signed| CommitSignature { validator: signed.vote.validator, signature: signed.signature }).collect()
    };
    let foreign = [
        ConsensusMessage::Vote(fixture.vote(index, 1, 0, VoteKind::Prevote, hash)),
        ConsensusMessage::Vote(fixture.vote(index, 1, 7, VoteKind::Precommit, None)),
        ConsensusMessage::CommitCertificate(CommitCertificate::new(
            Height::new(1),
            Round::new(3),
            hash.unwrap(),
            precommits(3),
        )),
    ];
    for message in foreign {
        let mut bench = Bench::listen(&fixture, index, None, &[]);
        bench.message(message.clone());
        assert_eq!(bench.foreign().unwrap().height, Height::new(1), "{message:?}");
        bench.feed(Input::StartHeight { height: Height::new(1), validators: fixture.validators.clone() });
        for round in 0..9 {
            bench.timeout(round, TimeoutKind::Propose);
            for from in bench.others() {
                bench.vote(from, round, VoteKind::Precommit, None);
            }
            bench.timeout(round, TimeoutKind::Precommit);
        }
        assert!(bench.own_votes().is_empty());
        assert!(bench.records().is_empty(), "its log would hold what it did not sign");
        let mut restarted = Bench::start(&fixture, index, bench.sign_state(), &[]);
        restarted.timeout(0, TimeoutKind::Propose);
        assert!(restarted.own_votes().is_empty(), "also after a restart");
        restarted.feed(Input::StartHeight { height: Height::new(2), validators: fixture.validators.clone() });
        restarted.timeout(0, TimeoutKind::Propose);
        assert_eq!(restarted.own_votes()[0].vote.validator, own, "the next height is free");
    }
}

#[test]
fn a_sign_state_of_another_key_or_chain_is_refused() {
    let (bench, _) = with_proposal();
    let start = |index: usize, genesis_hash| {
        let mut identity = identity(&bench.fixture, index, bench.sign_state());
        identity.context.genesis_hash = genesis_hash;
        Core::listen(identity, Height::GENESIS, bench.fixture.validators.clone(), &[]).err()
    };
    let here = bench.fixture.context.genesis_hash;
    assert!(start(bench.index, here).is_none());
    assert!(matches!(start(bench.others()[0], here), Some(CoreError::ForeignSignState(_))));
    assert!(matches!(start(bench.index, B256::ZERO), Some(CoreError::ForeignSignState(_))));
}

#[test]
fn a_key_signs_at_the_heights_whose_validators_it_belongs_to() {
    let fixture = Fixture::new(5);
    let without = |index: usize| {
        let others = fixture.validators.validators().iter().enumerate().filter(|(i, _)| *i != index);
        ValidatorSet::new(others.map(|(_, validator)| validator.clone()).collect()).unwrap()
    };
    let mut bench = Bench::listen(&fixture, 0, None, &[]);
    for (height, validators, signs) in
        [(1, without(0), false), (2, fixture.validators.clone(), true), (3, without(0), false)]
    {
        bench.outputs.clear();
        bench.feed(Input::StartHeight { height: Height::new(height), validators });
        bench.timeout(0, TimeoutKind::Propose);
        assert_eq!(!bench.own_votes().is_empty(), signs, "height {height}");
        assert_eq!(!bench.records().is_empty(), signs, "height {height}: who signs nothing has nothing to log");
    }
}

#[test]
fn messages_kept_for_a_height_are_checked_against_its_validators() {
    let fixture = Fixture::new(5);
    let leaver = (1..5).find(|index| *index != fixture.proposer(1, 0)).unwrap();
    let others = fixture.validators.validators().iter().enumerate().filter(|(index, _)| *index != leaver);
    let next = ValidatorSet::new(others.map(|(_, validator)| validator.clone()).collect()).unwrap();
    let mut bench = Bench::start(&fixture, 0, None, &[]);
    // With the leaver's vote they would be enough to lead into round 1.
    for from in [leaver, if leaver == 1 { 2 } else { 1 }] {
        bench.message(ConsensusMessage::Vote(fixture.vote(from, 2, 1, VoteKind::Prevote, None)));
    }
    bench.feed(Input::StartHeight { height: Height::new(2), validators: next });
    assert_eq!(bench.core.round(), Round::ZERO);
}

#[test]
fn while_it_listens_it_signs_nothing_and_keeps_what_comes_for_later() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let body = fixture.block(None, proposer, b"a");
    let mut bench = Bench::listen(&fixture, bystander(&fixture), None, &[]);
    bench.message(fixture.proposal(proposer, 0, None, &body));
    bench.feed(Input::Timeout(Timeout { height: Height::new(1), round: Round::ZERO, kind: TimeoutKind::Propose }));
    assert!(bench.outputs.is_empty());
    bench.feed(Input::StartHeight { height: Height::new(1), validators: fixture.validators.clone() });
    assert_eq!(bench.asks_to_validate(), 1);
}

#[test]
fn a_node_without_a_key_follows_and_signs_nothing() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let identity = Identity { context: fixture.context, key: None, sign_state: None };
    let (mut core, mut outputs) = Core::start(identity, Height::new(1), fixture.validators.clone(), &[]).unwrap();
    let body = fixture.block(None, proposer, b"a");
    let mut feed = |input| outputs.extend(core.handle(input).unwrap());
    feed(Input::Message(fixture.checked(fixture.proposal(proposer, 0, None, &body))));
    feed(Input::Validated { height: Height::new(1), block_hash: body.hash(), valid: true });
    for from in 0..3 {
        let vote = fixture.vote(from, 1, 0, VoteKind::Precommit, Some(body.hash()));
        feed(Input::Message(fixture.checked(ConsensusMessage::Vote(vote))));
    }
    assert!(outputs.iter().any(|o| matches!(o, Output::Decide(_))));
    assert!(!outputs.iter().any(|o| matches!(o, Output::Publish(_) | Output::Log(_) | Output::SignState(_))));
}

#[test]
fn a_node_that_is_rounds_behind_follows_a_certificate_and_then_a_third_of_the_votes() {
    let fixture = Fixture::new(4);
    let hash = B256::repeat_byte(9);
    let round_signatures = |round: u32| {
        let signed = (0..3).map(|from| fixture.vote(from, 1, round, VoteKind::Precommit, None));
        let signature = |signed: SignedVote| RoundSignature {
            validator: signed.vote.validator,
            kind: VoteKind::Precommit,
            block_hash: None,
            signature: signed.signature,
        };
        signed.map(signature).collect()
    };
    let mut bench = Bench::start(&fixture, 3, None, &[]);
    bench.message(ConsensusMessage::RoundCertificate(RoundCertificate {
        height: Height::new(1),
        round: Round::new(199),
        kind: RoundCertificateKind::Precommit,
        signatures: round_signatures(199),
    }));
    assert_eq!(bench.core.round(), Round::new(199));
    for from in 0..2 {
        bench.vote(from, 200, VoteKind::Prevote, None);
    }
    assert_eq!(bench.core.round(), Round::new(200));
    let prevote = |from: usize| {
        let signed = fixture.vote(from, 1, 300, VoteKind::Prevote, Some(hash));
        CommitSignature { validator: signed.vote.validator, signature: signed.signature }
    };
    let polka = PolkaCertificate::new(Height::new(1), Round::new(300), hash, (0..3).map(prevote).collect());
    bench.message(ConsensusMessage::PolkaCertificate(polka));
    assert_eq!(bench.core.round(), Round::new(300));
}

#[test]
fn a_round_lost_to_an_absent_proposer_is_left_at_once() {
    let fixture = Fixture::new(4);
    for waited in [true, false] {
        let mut bench = Bench::start(&fixture, bystander(&fixture), None, &[]);
        if waited {
            bench.timeout(0, TimeoutKind::Propose);
        }
        for from in bench.others() {
            bench.vote(from, 0, VoteKind::Precommit, None);
        }
        assert_eq!(bench.core.round(), Round::new(u32::from(waited)), "waited: {waited}");
        let replayed = Bench::start(&fixture, bench.index, bench.sign_state(), &bench.records());
        assert_eq!(replayed.core.round(), bench.core.round());
    }
}

#[test]
fn a_locked_validator_sends_its_polka_until_the_height_ends() {
    let (mut bench, body) = with_proposal();
    for from in &bench.others()[..2] {
        bench.vote(*from, 0, VoteKind::Prevote, Some(body.hash()));
    }
    bench.outputs.clear();
    bench.timeout(0, TimeoutKind::Rebroadcast);
    let polka = |message: &ConsensusMessage| match message {
        ConsensusMessage::PolkaCertificate(certificate) => {
            certificate.verify(&bench.fixture.validators, &bench.fixture.context).is_ok()
        }
        _ => false,
    };
    assert!(bench.published().iter().any(polka));
}

/// A validator that locks a block at height 2, and how the others go on there: a proposal of another block in round 1.
fn locked_at_height_two() -> (Bench, ProposedBlock, ConsensusMessage) {
    let fixture = Fixture::new(4);
    let first = fixture.proposer(1, 0);
    let turns = [fixture.proposer(2, 0), fixture.proposer(2, 1)];
    let index = (0..4).find(|index| *index != first && !turns.contains(index)).unwrap();
    let mut bench = Bench::start(&fixture, index, None, &[]);
    let body = fixture.block(None, first, b"a");
    bench.message(fixture.proposal(first, 0, None, &body));
    bench.validated(&body, true);
    for from in bench.others() {
        bench.vote(from, 0, VoteKind::Precommit, Some(body.hash()));
    }
    let parent = bench.decision().unwrap().clone();
    bench.outputs.clear();
    bench.feed(Input::StartHeight { height: Height::new(2), validators: fixture.validators.clone() });
    let locked = fixture.block(Some(&parent), turns[0], b"locked");
    bench.message(fixture.proposal(turns[0], 0, None, &locked));
    bench.validated(&locked, true);
    for from in &bench.others()[..2] {
        bench.vote(*from, 0, VoteKind::Prevote, Some(locked.hash()));
    }
    assert_eq!(bench.own_votes().last().unwrap().vote.kind, VoteKind::Precommit);
    let other = fixture.block(Some(&parent), turns[1], b"other");
    let proposal = fixture.proposal(turns[1], 1, None, &other);
    (bench, other, proposal)
}

#[test]
fn a_lock_outlives_the_blocks_below_it() {
    let (bench, other, proposal) = locked_at_height_two();
    let (two, validators) = (Height::new(2), bench.fixture.validators.clone());
    let mut restarted = Bench::start(&bench.fixture, bench.index, bench.sign_state(), &bench.records());
    assert!(restarted.core.needs_log(Height::new(1)) && !restarted.core.needs_log(two));
    restarted.timeout(0, TimeoutKind::Propose);
    assert!(restarted.own_votes().is_empty(), "height 1 is below its last signature");
    assert!(restarted.records().is_empty(), "where it signs nothing the log does not grow");
    restarted.feed(Input::Superseded { head: Height::new(1) });
    restarted.feed(Input::StartHeight { height: two, validators });
    assert!(!restarted.core.needs_log(Height::new(1)), "what has been replayed goes with its height");
    assert!(restarted.records().is_empty(), "a replay writes nothing twice");
    for from in &restarted.others()[..2] {
        restarted.vote(*from, 0, VoteKind::Precommit, None);
    }
    restarted.timeout(0, TimeoutKind::Precommit);
    restarted.message(proposal);
    restarted.validated(&other, true);
    let last = restarted.own_votes().pop().unwrap().vote;
    assert_eq!((last.height, last.round, last.kind), (two, Round::new(1), VoteKind::Prevote));
    assert_eq!(last.block_hash, None, "it stays locked on the block of round 0");
}

#[test]
fn the_present_round_is_shown_as_it_goes() {
    let fixture = Fixture::new(4);
    let index = bystander(&fixture);
    let mut bench = Bench::start(&fixture, index, None, &[]);
    let (proposer, hash) = (fixture.proposer(1, 0), |body: &ProposedBlock| Some(Ballot::Block(body.hash())));
    let body = fixture.block(None, proposer, b"shown");
    let address = |index: usize| fixture.validator(index).address;

    let shown = bench.core.present();
    assert_eq!((shown.height, shown.round, shown.step), (Height::new(1), Round::ZERO, Step::Propose));
    assert_eq!((shown.proposer, shown.proposal, shown.votes.len()), (address(proposer), None, 0));

    bench.message(fixture.proposal(proposer, 0, None, &body));
    bench.validated(&body, true);
    bench.vote(proposer, 0, VoteKind::Prevote, Some(body.hash()));
    let shown = bench.core.present();
    assert_eq!((shown.step, shown.proposal), (Step::Prevote, Some(body.hash())));
    let prevoted = RoundVotes { prevote: hash(&body), precommit: None };
    assert_eq!(shown.votes, [(address(index), prevoted), (address(proposer), prevoted)].into());

    let third = bench.others().into_iter().find(|other| *other != proposer).unwrap();
    bench.vote(third, 0, VoteKind::Prevote, Some(body.hash()));
    bench.vote(third, 0, VoteKind::Precommit, None);
    let shown = bench.core.present();
    assert_eq!(shown.step, Step::Precommit);
    assert_eq!(shown.votes[&address(third)], RoundVotes { prevote: hash(&body), precommit: Some(Ballot::Nil) });
    assert_eq!(shown.votes[&address(index)].precommit, hash(&body));

    bench.feed(Input::Superseded { head: Height::new(1) });
    assert_eq!(bench.core.present().step, Step::Commit);
}
