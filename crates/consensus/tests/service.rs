//! The loop around the core, with stand-ins for the chain, the network and the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;

use alloy_primitives::B256;
use async_trait::async_trait;
use fixture::Fixture;
use heddle_consensus::{
    Application, ApplicationError, BlockVerdict, CatchUp, ConsensusConfig, ConsensusError, ConsensusHandle,
    ConsensusMetrics, DurableLog, Heartbeat, Outbound, Ports, Recovered, Setup, SignState, SignStateRecord, SignStep,
    Verdict, start,
};
use heddle_primitives::{
    CertifiedBlock, ConsensusMessage, Evidence, Height, ProposedBlock, Round, Validator, ValidatorSet, VoteKind,
};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// A chain in memory.
struct Chain {
    fixture: Fixture,
    index: usize,
    blocks: Mutex<Vec<CertifiedBlock>>,
    /// The sets, each from its height on.
    sets: Mutex<Vec<(Height, ValidatorSet)>>,
    reported: Mutex<Vec<Evidence>>,
    head: watch::Sender<Height>,
    heard: watch::Sender<Height>,
    /// No commit ever returns.
    hangs: AtomicBool,
}

impl Chain {
    fn new(fixture: &Fixture, index: usize) -> Arc<Self> {
        Arc::new(Self {
            fixture: fixture.clone(),
            index,
            blocks: Mutex::default(),
            sets: Mutex::new(vec![(Height::GENESIS, fixture.validators.clone())]),
            reported: Mutex::default(),
            head: watch::channel(Height::GENESIS).0,
            heard: watch::channel(Height::GENESIS).0,
            hangs: AtomicBool::new(false),
        })
    }

    async fn reaches(&self, height: u64) {
        self.head.subscribe().wait_for(|head| head.as_u64() >= height).await.unwrap();
    }
}

#[async_trait]
impl Application for Chain {
    fn validators(&self, height: Height) -> Result<Option<Arc<ValidatorSet>>, ApplicationError> {
        let of = |(from, set): &(Height, ValidatorSet)| (*from <= height).then(|| Arc::new(set.clone()));
        let known = height <= self.head.borrow().next();
        Ok(self.sets.lock().unwrap().iter().rev().find_map(of).filter(|_| known))
    }

    async fn report_evidence(&self, evidence: Evidence) -> Result<bool, ApplicationError> {
        let mut reported = self.reported.lock().unwrap();
        let new = !reported.contains(&evidence);
        reported.extend(new.then_some(evidence));
        Ok(new)
    }

    fn has_transactions(&self) -> bool {
        false
    }

    async fn wait_for_transactions(&self) {
        std::future::pending().await
    }

    async fn build(&self, _: Height, _: Round) -> Result<Option<ProposedBlock>, ApplicationError> {
        Ok(Some(self.fixture.block(self.blocks.lock().unwrap().last(), self.index, b"block")))
    }

    async fn validate(&self, block: ProposedBlock, proposer: Validator) -> Result<BlockVerdict, ApplicationError> {
        let good = block.block.header.beneficiary == proposer.fee_recipient;
        Ok(if good { BlockVerdict::Valid } else { BlockVerdict::Invalid("wrong beneficiary".to_owned()) })
    }

    async fn commit(&self, block: CertifiedBlock) -> Result<(), ApplicationError> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let height = block.certificate().height;
        self.blocks.lock().unwrap().push(block);
        self.head.send_replace(height);
        Ok(())
    }

    fn behind(&self, heard: Height) {
        self.heard.send_replace(heard);
    }
}

/// Where a node's messages go, as long as its disk works.
struct Wire(mpsc::UnboundedSender<ConsensusMessage>, Arc<Mutex<Files>>);

#[async_trait]
impl Outbound for Wire {
    async fn publish(&self, message: ConsensusMessage) {
        assert!(!self.1.lock().unwrap().failed, "published after a failed write");
        let _ = self.0.send(message);
    }
}

/// What is on a disk.
#[derive(Default)]
struct Files {
    records: Vec<Vec<u8>>,
    sign_state: Option<Vec<u8>>,
    resets: usize,
    writes: usize,
    failed: bool,
}

/// A disk that can break at one of its writes.
#[derive(Clone, Default)]
struct MemoryLog {
    files: Arc<Mutex<Files>>,
    /// The write that fails, counted from 0.
    breaks_at: Option<usize>,
}

impl MemoryLog {
    fn attempt(&self, action: impl FnOnce(&mut Files)) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        assert!(!files.failed, "written after a failed write");
        files.failed = self.breaks_at == Some(files.writes);
        files.writes += 1;
        if files.failed {
            return Err(io::Error::other("disk full"));
        }
        action(&mut files);
        Ok(())
    }
}

impl DurableLog for MemoryLog {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.attempt(|files| files.records.push(record.to_vec()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.attempt(|_| {})
    }

    fn replace_sign_state(&mut self, state: &[u8]) -> io::Result<()> {
        self.attempt(|files| files.sign_state = Some(state.to_vec()))
    }

    fn reset(&mut self) -> io::Result<()> {
        self.attempt(|files| {
            files.records.clear();
            files.resets += 1;
        })
    }
}

type Loop = std::pin::Pin<Box<dyn Future<Output = Result<(), ConsensusError>> + Send>>;

/// One node's parts.
struct TestNode {
    chain: Arc<Chain>,
    log: MemoryLog,
    peers: watch::Sender<CatchUp>,
    sent: mpsc::UnboundedReceiver<ConsensusMessage>,
    handle: ConsensusHandle,
    heartbeat: Heartbeat,
}

/// A node of a new network, whose peers are there.
fn node(fixture: &Fixture, index: usize, log: MemoryLog) -> (TestNode, Loop) {
    node_among(fixture, index, log, CatchUp { peers: 3, ..CatchUp::default() })
}

fn node_among(fixture: &Fixture, index: usize, log: MemoryLog, peers: CatchUp) -> (TestNode, Loop) {
    let (peers, peers_receiver) = watch::channel(peers);
    let chain = Chain::new(fixture, index);
    let (sender, sent) = mpsc::unbounded_channel();
    let heartbeat = Heartbeat::default();
    let (records, sign_state) = {
        let files = log.files.lock().unwrap();
        (files.records.clone(), files.sign_state.clone())
    };
    let setup = Setup {
        config: ConsensusConfig::default(),
        context: fixture.context,
        key: Some(fixture.keys[index].clone()),
        block_time: Duration::from_millis(10),
        empty_block_time: Duration::from_millis(10),
        head: Height::GENESIS,
        recovered: Recovered { records, sign_state, is_forgetful: false },
    };
    let ports = Ports {
        application: chain.clone(),
        outbound: Arc::new(Wire(sender, Arc::clone(&log.files))),
        log: Box::new(log.clone()),
        committed: chain.head.subscribe(),
        peers: peers_receiver,
        heartbeat: heartbeat.clone(),
    };
    let (handle, service) = start(setup, ports, ConsensusMetrics::default()).unwrap();
    (TestNode { chain, log, peers, sent, handle, heartbeat }, Box::pin(service))
}

#[tokio::test]
async fn one_validator_makes_blocks_alone() {
    let fixture = Fixture::new(1);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let service = tokio::spawn(service);
    node.chain.reaches(5).await;
    service.abort();
    assert!(node.log.files.lock().unwrap().resets >= 4, "the log is emptied after each block");
}

#[tokio::test]
async fn four_validators_agree_over_a_perfect_wire() {
    let fixture = Fixture::new(4);
    let (mut nodes, mut services) = (Vec::new(), tokio::task::JoinSet::new());
    for index in 0..4 {
        let (node, service) = node(&fixture, index, MemoryLog::default());
        services.spawn(service);
        nodes.push(node);
    }
    let handles: Vec<_> = nodes.iter().map(|node| node.handle.clone()).collect();
    let chains: Vec<_> = nodes.iter().map(|node| node.chain.clone()).collect();
    for (from, mut node) in nodes.into_iter().enumerate() {
        let handles = handles.clone();
        tokio::spawn(async move {
            while let Some(message) = node.sent.recv().await {
                for (_, handle) in handles.iter().enumerate().filter(|(to, _)| *to != from) {
                    assert_ne!(handle.deliver(message.clone()).await, Verdict::Reject);
                }
            }
        });
    }
    for chain in &chains {
        chain.reaches(5).await;
    }
    let hashes =
        |chain: &Chain| chain.blocks.lock().unwrap().iter().take(5).map(CertifiedBlock::hash).collect::<Vec<_>>();
    assert!(chains.iter().all(|chain| hashes(chain) == hashes(&chains[0])));
}

/// Looks until the last beat is as the condition says.
async fn heartbeat(node: &TestNode, condition: impl Fn(Duration) -> bool) {
    let seen = async {
        while !node.heartbeat.age().is_some_and(&condition) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("such a heartbeat");
}

#[tokio::test]
async fn the_heart_beats_without_a_quorum_and_without_peers() {
    let fixture = Fixture::new(4);
    for peers in [3, 0] {
        let peers = CatchUp { peers, ..CatchUp::default() };
        let (node, service) = node_among(&fixture, 0, MemoryLog::default(), peers);
        assert_eq!(node.heartbeat.age(), None, "the loop does not run yet");
        let service = tokio::spawn(service);
        for _ in 0..2 {
            heartbeat(&node, |age| age > Heartbeat::PERIOD / 4).await;
            heartbeat(&node, |age| age < Heartbeat::PERIOD / 4).await;
        }
        service.abort();
    }
}

#[tokio::test]
async fn the_heart_beats_while_a_block_is_written_slowly() {
    let fixture = Fixture::new(1);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    node.chain.hangs.store(true, Ordering::Relaxed);
    let service = tokio::spawn(service);
    // The first turns of the loop are over by then: it waits for its block.
    heartbeat(&node, |age| age > Heartbeat::PERIOD / 2).await;
    for _ in 0..2 {
        heartbeat(&node, |age| age < Heartbeat::PERIOD / 4).await;
        heartbeat(&node, |age| age > Heartbeat::PERIOD / 2).await;
    }
    service.abort();
}

#[tokio::test]
async fn whichever_write_fails_the_loop_ends_and_nothing_is_published_after_it() {
    for write in 0..40 {
        let fixture = Fixture::new(1);
        let log = MemoryLog { breaks_at: Some(write), ..MemoryLog::default() };
        let (node, service) = node(&fixture, 0, log);
        let error = service.await.unwrap_err();
        assert!(matches!(error, ConsensusError::Log(_)), "write {write}: {error}");
        let committed = node.chain.blocks.lock().unwrap().len();
        assert!(committed <= node.log.files.lock().unwrap().resets + 1, "write {write}: {committed} blocks");
    }
}

/// Where a wiped validator finds itself: its peers have a long chain.
const WIPED: CatchUp = CatchUp { peers: 3, head: Height::GENESIS, common: Height::new(1_000) };

#[tokio::test]
async fn a_wiped_validator_signs_nothing_on_the_heights_it_must_catch_up_with() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let (mut node, service) = node_among(&fixture, proposer, MemoryLog::default(), WIPED);
    let service = tokio::spawn(service);
    let mut status = node.handle.subscribe();
    for height in [1, 7, 500] {
        node.chain.head.send_replace(Height::new(height));
        node.peers.send_replace(CatchUp { head: Height::new(height), ..WIPED });
        status.wait_for(|status| status.height == Height::new(height + 1)).await.unwrap();
    }
    service.abort();
    let _ = service.await;
    assert!(node.sent.recv().await.is_none(), "neither a proposal nor a vote");
    assert_eq!(node.log.files.lock().unwrap().sign_state, None);
}

#[tokio::test]
async fn a_validator_takes_part_at_the_height_where_it_has_caught_up() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1_001, 0);
    let log = MemoryLog::default();
    let record = SignStateRecord::fresh(fixture.keys[proposer].public_key().to_bytes());
    // It signed last just below the present head, so that there is nothing to listen for.
    let (height, round) = (Height::new(1_000), Round::ZERO);
    let last = SignState { height, round, step: SignStep::Precommit, digest: B256::ZERO };
    log.files.lock().unwrap().sign_state = Some(alloy_rlp::encode(SignStateRecord { last: Some(last), ..record }));
    let (mut node, service) = node_among(&fixture, proposer, log, WIPED);
    let service = tokio::spawn(service);
    node.chain.head.send_replace(height);
    node.handle.subscribe().wait_for(|status| status.height == height.next()).await.unwrap();
    node.peers.send_replace(CatchUp { head: height, ..WIPED });
    assert_eq!(node.sent.recv().await.unwrap().height(), height.next());
    service.abort();
}

#[tokio::test]
async fn a_foreign_signature_of_our_key_far_ahead_is_remembered_on_disk() {
    let fixture = Fixture::new(4);
    let (node, service) = node_among(&fixture, 0, MemoryLog::default(), WIPED);
    let service = tokio::spawn(service);
    let foreign = ConsensusMessage::Vote(fixture.vote(0, 600, 3, VoteKind::Prevote, None));
    assert_eq!(node.handle.deliver(foreign).await, Verdict::Ignore);
    let stored = || node.log.files.lock().unwrap().sign_state.clone();
    while stored().is_none() {
        tokio::task::yield_now().await;
    }
    let record = SignStateRecord::decode(&stored().unwrap()).unwrap();
    assert_eq!(record.last.unwrap().height, Height::new(600));
    assert!(!service.is_finished());
    service.abort();
}

#[tokio::test]
async fn evidence_is_given_to_the_application_and_to_peers_once() {
    let fixture = Fixture::new(4);
    let (mut node, service) = node(&fixture, bystander(&fixture), MemoryLog::default());
    let service = tokio::spawn(service);
    let culprit = fixture.proposer(1, 0);
    let vote = |round, hash| fixture.vote(culprit, 1, round, VoteKind::Prevote, hash);
    for hash in [None, Some(B256::ZERO)] {
        node.handle.deliver(ConsensusMessage::Vote(vote(0, hash))).await;
    }
    let published = loop {
        if let ConsensusMessage::Evidence(evidence) = node.sent.recv().await.unwrap() {
            break evidence;
        }
    };
    assert_eq!(*node.chain.reported.lock().unwrap(), [*published.clone()]);
    let other = Evidence::of_votes(vote(1, None), vote(1, Some(B256::ZERO)), &fixture.context);
    for known in [published, Box::new(other)] {
        let verdict = node.handle.deliver(ConsensusMessage::Evidence(known)).await;
        assert_eq!(verdict, Verdict::Ignore, "one piece is enough");
    }
    service.abort();
}

#[tokio::test]
async fn a_peers_evidence_is_judged_by_the_validators_of_its_height() {
    let fixture = Fixture::new(5);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let service = tokio::spawn(service);
    node.chain.sets.lock().unwrap().push((Height::new(2), without(&fixture, 4)));
    node.chain.head.send_replace(Height::new(5));
    node.handle.subscribe().wait_for(|status| status.height == Height::new(6)).await.unwrap();
    let evidence = |index, height| {
        let vote = |hash| fixture.vote(index, height, 0, VoteKind::Precommit, hash);
        Evidence::of_votes(vote(None), vote(Some(B256::ZERO)), &fixture.context)
    };
    let mut forged = evidence(3, 1);
    if let Evidence::Votes(pair) = &mut forged {
        pair.second.signature = pair.first.signature;
    }
    let table = [
        ("of a height to come", evidence(1, 7), Verdict::Ignore),
        ("of nobody at that height", evidence(4, 2), Verdict::Reject),
        ("of somebody who has left since", evidence(4, 1), Verdict::Accept),
        ("the same again", evidence(4, 1), Verdict::Ignore),
        ("forged", forged, Verdict::Reject),
        ("of the present height", evidence(3, 6), Verdict::Accept),
    ];
    for (name, evidence, verdict) in table {
        assert_eq!(node.handle.deliver(ConsensusMessage::Evidence(Box::new(evidence))).await, verdict, "{name}");
    }
    assert_eq!(node.chain.reported.lock().unwrap().len(), 2);
    service.abort();
}

#[tokio::test]
async fn who_joins_with_the_next_height_is_not_blamed_for_being_early() {
    let fixture = Fixture::new(5);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    *node.chain.sets.lock().unwrap() =
        vec![(Height::GENESIS, without(&fixture, 4)), (Height::new(3), fixture.validators.clone())];
    let service = tokio::spawn(service);
    let early = ConsensusMessage::Vote(fixture.vote(4, 3, 0, VoteKind::Prevote, None));
    for (head, verdict) in [(1, Verdict::Ignore), (2, Verdict::Accept)] {
        node.chain.head.send_replace(Height::new(head));
        node.handle.subscribe().wait_for(|status| status.height == Height::new(head + 1)).await.unwrap();
        assert_eq!(node.handle.deliver(early.clone()).await, verdict, "head {head}");
    }
    service.abort();
}

/// A validator that does not propose first.
fn bystander(fixture: &Fixture) -> usize {
    (0..fixture.keys.len()).find(|index| *index != fixture.proposer(1, 0)).unwrap()
}

/// The fixture's validators but one.
fn without(fixture: &Fixture, index: usize) -> ValidatorSet {
    let others = fixture.validators.validators().iter().enumerate().filter(|(i, _)| *i != index);
    ValidatorSet::new(others.map(|(_, validator)| validator.clone()).collect()).unwrap()
}

#[tokio::test]
async fn a_restart_takes_up_its_log() {
    let fixture = Fixture::new(4);
    let proposer = fixture.proposer(1, 0);
    let log = MemoryLog::default();
    let (mut first, service) = node(&fixture, proposer, log.clone());
    let service = tokio::spawn(service);
    let proposal = loop {
        match first.sent.recv().await.unwrap() {
            message @ ConsensusMessage::Proposal(_) => break message,
            _ => continue,
        }
    };
    service.abort();
    let _ = service.await;

    let (mut second, service) = node(&fixture, proposer, log);
    let service = tokio::spawn(service);
    let again = loop {
        match second.sent.recv().await.unwrap() {
            message @ ConsensusMessage::Proposal(_) => break message,
            _ => continue,
        }
    };
    assert_eq!(again, proposal, "the same proposal, not a new one");
    service.abort();
}

#[tokio::test]
async fn a_log_above_the_head_stays_until_its_height_is_committed() {
    let fixture = Fixture::new(4);
    let log = MemoryLog::default();
    let at_height_two = |log: &MemoryLog| {
        let (node, service) = node(&fixture, fixture.proposer(2, 0), log.clone());
        node.chain.head.send_replace(Height::new(1));
        (node, tokio::spawn(service))
    };
    let (mut first, service) = at_height_two(&log);
    let proposal = first.sent.recv().await.unwrap();
    assert_eq!(proposal.height(), Height::new(2));
    service.abort();
    let _ = service.await;
    let records = log.files.lock().unwrap().records.clone();

    // The second life starts below: its blocks are lost, and sync brings height 1 again.
    let (mut second, service) = at_height_two(&log);
    assert_eq!(second.sent.recv().await.unwrap(), proposal, "the same proposal, not a new one");
    assert!(log.files.lock().unwrap().records.starts_with(&records));
    second.chain.head.send_replace(Height::new(2));
    second.handle.subscribe().wait_for(|status| status.height == Height::new(3)).await.unwrap();
    assert!(log.files.lock().unwrap().records.is_empty());
    service.abort();
}

#[tokio::test]
async fn gossip_is_judged_before_it_is_forwarded() {
    let fixture = Fixture::new(4);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let vote = |height, kind| fixture.vote(1, height, 0, kind, None);
    let deliver = |message| node.handle.deliver(message);

    assert_eq!(deliver(ConsensusMessage::Vote(vote(1, VoteKind::Prevote))).await, Verdict::Accept);
    assert_eq!(deliver(ConsensusMessage::Vote(vote(2, VoteKind::Prevote))).await, Verdict::Accept);
    let mut forged = vote(1, VoteKind::Prevote);
    forged.signature = vote(1, VoteKind::Precommit).signature;
    assert_eq!(deliver(ConsensusMessage::Vote(forged.clone())).await, Verdict::Reject);
    forged.vote.height = Height::new(2);
    assert_eq!(deliver(ConsensusMessage::Vote(forged)).await, Verdict::Ignore, "its validators may be others");
    let usurper = (0..4).find(|index| *index != fixture.proposer(1, 0)).unwrap();
    let body = fixture.block(None, usurper, b"x");
    assert_eq!(deliver(fixture.proposal(usurper, 0, None, &body)).await, Verdict::Reject);

    assert_eq!(deliver(ConsensusMessage::Vote(vote(1_000, VoteKind::Prevote))).await, Verdict::Ignore);
    assert_eq!(*node.chain.heard.subscribe().borrow(), Height::new(1_000), "sync is told");
    drop(service);
}

#[tokio::test]
async fn a_flood_is_dropped_not_queued() {
    let fixture = Fixture::new(4);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let proposer = fixture.proposer(1, 0);
    let mut accepted = 0;
    for salt in 0..32u8 {
        let body = fixture.block(None, proposer, &[salt]);
        let verdict = node.handle.deliver(fixture.proposal(proposer, 0, None, &body)).await;
        accepted += usize::from(verdict == Verdict::Accept);
    }
    assert_eq!(accepted, 8, "bodies wait in a bounded number");
    let vote = ConsensusMessage::Vote(fixture.vote(1, 1, 0, VoteKind::Prevote, None));
    assert_eq!(node.handle.deliver(vote).await, Verdict::Accept, "votes still pass");
    drop(service);
}

#[tokio::test]
async fn a_block_of_sync_moves_consensus_on() {
    let fixture = Fixture::new(4);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let service = tokio::spawn(service);
    node.chain.head.send_replace(Height::new(7));
    let mut status = node.handle.subscribe();
    status.wait_for(|status| status.height == Height::new(8)).await.unwrap();
    let vote = ConsensusMessage::Vote(fixture.vote(1, 8, 0, VoteKind::Prevote, None));
    assert_eq!(node.handle.deliver(vote).await, Verdict::Accept);
    service.abort();
}

#[tokio::test]
async fn a_proposal_is_judged_by_its_header_alone() {
    let fixture = Fixture::new(4);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let judge = |index: usize, height: u64, round: u32, alter: fn(&mut heddle_primitives::Header)| {
        let mut body = fixture.block(None, index, b"block");
        let mut block = (*body.block).clone();
        block.header.number = height;
        body.block = Arc::new(block.clone());
        let ConsensusMessage::Proposal(message) = fixture.proposal(index, round, None, &body) else {
            panic!("no proposal")
        };
        alter(&mut block.header);
        node.handle.check_header(&message.proposal, &block.header)
    };
    let proposer = |height, round| fixture.proposer(height, round);
    let other = (proposer(1, 0) + 1) % 4;
    assert_eq!(judge(proposer(1, 0), 1, 0, |_| {}), Verdict::Accept);
    assert_eq!(judge(other, 1, 0, |_| {}), Verdict::Reject, "out of turn");
    assert_eq!(judge(proposer(1, 0), 1, 0, |header| header.gas_used += 1), Verdict::Reject, "another header");
    assert_eq!(judge(proposer(1, 10), 1, 10, |_| {}), Verdict::Accept, "a later round");
    assert_eq!(judge(proposer(1, 11), 1, 11, |_| {}), Verdict::Ignore, "a round too far ahead");
    assert_eq!(judge(proposer(2, 1), 2, 1, |_| {}), Verdict::Accept, "the next height");
    assert_eq!(judge(proposer(2, 2), 2, 2, |_| {}), Verdict::Ignore, "the next height has no such round yet");
    assert_eq!(judge(proposer(9, 0), 9, 0, |_| {}), Verdict::Ignore, "far ahead");
    assert_eq!(*node.chain.heard.borrow(), Height::new(9), "sync is told");
    let wrong = (proposer(2, 0) + 1) % 4;
    assert_eq!(judge(wrong, 2, 0, |_| {}), Verdict::Ignore, "the next height may have other validators");
    drop(service);
}

#[tokio::test]
async fn proposals_of_heights_that_are_over_are_ignored() {
    let fixture = Fixture::new(4);
    let (node, service) = node(&fixture, 0, MemoryLog::default());
    let service = tokio::spawn(service);
    node.chain.head.send_replace(Height::new(7));
    node.handle.subscribe().wait_for(|status| status.height == Height::new(8)).await.unwrap();
    let proposer = fixture.proposer(1, 0);
    let body = fixture.block(None, proposer, b"block");
    let ConsensusMessage::Proposal(message) = fixture.proposal(proposer, 0, None, &body) else { panic!("no proposal") };
    assert_eq!(node.handle.check_header(&message.proposal, &body.block.header), Verdict::Ignore);
    service.abort();
}

#[tokio::test]
async fn whoever_looks_sees_who_has_voted_and_who_is_silent() {
    let fixture = Fixture::new(4);
    let own = bystander(&fixture);
    let (node, service) = node(&fixture, own, MemoryLog::default());
    let service = tokio::spawn(service);
    let voter = (own + 1) % 4;
    let vote = ConsensusMessage::Vote(fixture.vote(voter, 1, 0, VoteKind::Prevote, None));
    node.handle.deliver(vote).await;
    let shown = loop {
        match node.handle.snapshot() {
            Some(shown) if shown.validators[voter].votes.prevote.is_some() => break shown,
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!((shown.height, shown.total_power, &shown.refusal), (Height::new(1), 4, &None));
    assert_eq!(shown.proposer, fixture.validator(fixture.proposer(1, 0)).address);
    for (index, validator) in shown.validators.iter().enumerate() {
        assert_eq!((validator.address, validator.is_own), (fixture.validator(index).address, index == own));
        assert_eq!(validator.last_vote.is_some(), index == voter, "{validator:?}");
    }
    service.abort();
}
