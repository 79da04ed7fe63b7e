//! The loop around the core, with stand-ins for the chain, the network and the disk.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;

use async_trait::async_trait;
use fixture::Fixture;
use heddle_consensus::{
    Application, ApplicationError, BlockVerdict, CatchUp, ConsensusConfig, ConsensusError, ConsensusHandle,
    ConsensusMetrics, DurableLog, Outbound, Ports, Recovered, Setup, Verdict, start,
};
use heddle_primitives::{
    CertifiedBlock, ConsensusMessage, Evidence, Height, ProposedBlock, Round, Validator, ValidatorSet, VoteKind,
};
use std::io;
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
        let height = block.certificate().height;
        self.blocks.lock().unwrap().push(block);
        self.head.send_replace(height);
        Ok(())
    }

    fn behind(&self, heard: Height) {
        self.heard.send_replace(heard);
    }
}

/// Where a node's messages go.
struct Wire(mpsc::UnboundedSender<ConsensusMessage>);

#[async_trait]
impl Outbound for Wire {
    async fn publish(&self, message: ConsensusMessage) {
        let _ = self.0.send(message);
    }
}

/// What is on a disk.
#[derive(Default)]
struct Files {
    records: Vec<Vec<u8>>,
    sign_state: Option<Vec<u8>>,
    resets: usize,
}

/// A disk that can break at one of its operations.
#[derive(Clone, Default)]
struct MemoryLog {
    files: Arc<Mutex<Files>>,
    broken: Option<&'static str>,
}

impl MemoryLog {
    fn attempt(&self, operation: &'static str, action: impl FnOnce(&mut Files)) -> io::Result<()> {
        if self.broken == Some(operation) {
            return Err(io::Error::other("disk full"));
        }
        action(&mut self.files.lock().unwrap());
        Ok(())
    }
}

impl DurableLog for MemoryLog {
    fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.attempt("append", |files| files.records.push(record.to_vec()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.attempt("sync", |_| {})
    }

    fn replace_sign_state(&mut self, state: &[u8]) -> io::Result<()> {
        self.attempt("replace_sign_state", |files| files.sign_state = Some(state.to_vec()))
    }

    fn reset(&mut self) -> io::Result<()> {
        self.attempt("reset", |files| {
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
}

/// A node of a new network, whose peers are there.
fn node(fixture: &Fixture, index: usize, log: MemoryLog) -> (TestNode, Loop) {
    node_among(fixture, index, log, CatchUp { peers: 3, ..CatchUp::default() })
}

fn node_among(fixture: &Fixture, index: usize, log: MemoryLog, peers: CatchUp) -> (TestNode, Loop) {
    let (peers, peers_receiver) = watch::channel(peers);
    let chain = Chain::new(fixture, index);
    let (sender, sent) = mpsc::unbounded_channel();
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
        recovered: Recovered { records, sign_state },
    };
    let ports = Ports {
        application: chain.clone(),
        outbound: Arc::new(Wire(sender)),
        log: Box::new(log.clone()),
        committed: chain.head.subscribe(),
        peers: peers_receiver,
    };
    let (handle, service) = start(setup, ports, ConsensusMetrics::default()).unwrap();
    (TestNode { chain, log, peers, sent, handle }, Box::pin(service))
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

#[tokio::test]
async fn a_failed_write_ends_the_loop_and_nothing_is_published() {
    for operation in ["append", "sync", "replace_sign_state"] {
        let fixture = Fixture::new(1);
        let log = MemoryLog { broken: Some(operation), ..MemoryLog::default() };
        let (mut node, service) = node(&fixture, 0, log);
        let error = service.await.unwrap_err();
        assert!(matches!(error, ConsensusError::Log(_)), "{operation}: {error}");
        assert!(node.sent.recv().await.is_none(), "{operation}: nothing was published");
        assert!(node.chain.blocks.lock().unwrap().is_empty(), "{operation}: nothing was committed");
    }
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
