//! A chain, and a core that somebody leads by the hand.

use super::super::*;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes, address};
use heddle_primitives::{
    AccountRange, BlocksRequest, CertifiedHeader, CommitCertificate, CommitSignature, ConsensusKey, Header,
    HeddleConfig, RequestKind, Round, Validator, ValidatorSet, Vote, VoteKind,
};

const SYSTEM_CONTRACTS: [Address; 2] =
    [address!("0x00000961Ef480Eb55e80D19ad83579A64c007002"), address!("0x0000BBdDc7CE488642fb579F8B00f3a590007251")];

fn keys() -> impl Iterator<Item = ConsensusKey> {
    (1..=4).map(|n| ConsensusKey::from_bytes(&[n; 32]))
}

/// A chain whose four validators never change.
pub(in crate::states) fn genesis() -> Genesis {
    let members = keys().map(|key| Validator::new(key.public_key(), 1, Address::ZERO)).collect();
    let contract = GenesisAccount::default().with_code(Some(Bytes::from_static(&[0])));
    let file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        alloc: SYSTEM_CONTRACTS.into_iter().map(|address| (address, contract.clone())).collect(),
        ..Default::default()
    };
    let heddle = HeddleConfig {
        validators: ValidatorSet::new(members).unwrap(),
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length: 10,
        registry: None,
    };
    Genesis::new_heddle(file, heddle).unwrap()
}

/// The chain up to a height; `signers` of its validators sign.
pub(in crate::states) fn chain(length: u64, signers: usize) -> Vec<CertifiedHeader> {
    let genesis = genesis();
    let (context, mut parent_hash, mut headers) = (genesis.signing_context(), genesis.hash(), Vec::new());
    for number in 1..=length {
        let state_root = B256::with_last_byte(number as u8);
        let header = Header { number, parent_hash, state_root, timestamp: 1_000 + number, ..Header::default() };
        parent_hash = header.hash_slow();
        let (height, round) = (Height::new(number), Round::ZERO);
        let sign = |key: ConsensusKey| {
            let (validator, kind) = (key.address(), VoteKind::Precommit);
            let vote = Vote { height, round, kind, block_hash: Some(parent_hash), validator };
            CommitSignature { validator, signature: key.sign(vote.digest(&context)) }
        };
        let signatures = keys().take(signers).map(sign).collect();
        let certificate = CommitCertificate::new(height, round, parent_hash, signatures);
        headers.push(CertifiedHeader { header, certificate, members: None });
    }
    headers
}

pub(super) fn id(name: &str) -> PeerId {
    PeerId::new(name.as_bytes().to_vec())
}

pub(super) fn accounts(n: u8) -> StateTask {
    StateTask::Accounts { first: B256::with_last_byte(n), last: B256::with_last_byte(n) }
}

pub(super) fn code(n: u8) -> StateTask {
    StateTask::Code { hashes: vec![B256::with_last_byte(n)] }
}

pub(super) const PIECE: Response = Response::Accounts(AccountRange { accounts: Vec::new(), proof: Vec::new() });

/// A core, and what it wants.
pub(super) struct Run {
    pub(super) core: StateSync,
    pub(super) chain: Vec<CertifiedHeader>,
    now: Duration,
    peers: Vec<PeerId>,
    /// Requests that wait for an answer.
    pub(super) asked: Vec<(RequestId, PeerId, Request)>,
    pub(super) accepts: Vec<Piece>,
    pub(super) plans: Vec<Pivot>,
    pub(super) reports: Vec<(PeerId, PeerFault)>,
    pub(super) base: Option<SyncedBase>,
    pub(super) outcome: Option<Outcome>,
}

impl Run {
    pub(super) fn new(config: StateSyncConfig, peers: &[&str]) -> Self {
        let config = StateSyncConfig { answer_bytes_min: 0, ..config };
        let core = StateSync::new(config, &genesis()).unwrap();
        let peers = peers.iter().map(|name| id(name)).collect();
        let mut run = Self {
            core,
            chain: chain(70, 3),
            now: Duration::ZERO,
            peers,
            asked: Vec::new(),
            accepts: Vec::new(),
            plans: Vec::new(),
            reports: Vec::new(),
            base: None,
            outcome: None,
        };
        run.wait(0);
        run
    }

    /// Lets time pass.
    pub(super) fn wait(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        while self.now < end {
            self.now = (self.now + Duration::from_millis(250)).min(end);
            self.feed(Input::Tick(self.peers.clone()));
        }
        self.feed(Input::Tick(self.peers.clone()));
    }

    pub(super) fn feed(&mut self, input: Input) {
        for output in self.core.handle(self.now, input) {
            match output {
                Output::Ask(id, peer, request) => self.asked.push((id, peer, request)),
                Output::Plan(pivot) => self.plans.push(pivot),
                Output::Accept(piece) => self.accepts.push(piece),
                Output::Finish(base) => self.base = Some(*base),
                Output::Report(peer, fault) => self.reports.push((peer, fault)),
                Output::End(outcome) => self.outcome = Some(outcome),
            }
        }
    }

    /// The peers that are asked for something of a kind, in order.
    pub(super) fn asked_for(&self, kind: RequestKind) -> Vec<String> {
        let of_kind = self.asked.iter().filter(|(_, _, request)| request.kind() == kind);
        of_kind.map(|(_, peer, _)| String::from_utf8(peer.as_bytes().to_vec()).unwrap()).collect()
    }

    /// Answers the oldest request of a kind to a peer.
    pub(super) fn answer(
        &mut self,
        name: &str,
        kind: RequestKind,
        answer: impl FnOnce(&Request, &[CertifiedHeader]) -> Option<Response>,
    ) {
        let at = self.asked.iter().position(|(_, peer, request)| *peer == id(name) && request.kind() == kind).unwrap();
        let (request, _, asked) = self.asked.remove(at);
        match answer(&asked, &self.chain) {
            Some(response) => self.feed(Input::Answered(request, response)),
            None => self.feed(Input::Failed(request)),
        }
    }

    pub(super) fn offers(&mut self, name: &str, heights: &[u64]) {
        self.answer(name, RequestKind::Snapshots, |_, chain| {
            let hash = |height: u64| chain[height as usize - 1].header.hash_slow();
            let offer = |height: &u64| SnapshotOffer { height: Height::new(*height), hash: hash(*height) };
            Some(Response::Snapshots(heights.iter().map(offer).collect()))
        });
    }

    pub(super) fn headers(&mut self, name: &str) {
        self.answer(name, RequestKind::Headers, |request, chain| {
            let Request::Headers(BlocksRequest { from, count }) = request else { unreachable!() };
            let first = from.as_u64() as usize - 1;
            Some(Response::Headers(chain[first..first + *count as usize].to_vec()))
        });
    }

    pub(super) fn piece(&mut self, name: &str, kind: RequestKind, response: Response) {
        self.answer(name, kind, |_, _| Some(response));
    }

    /// Accepts the oldest answer.
    pub(super) fn accept(&mut self, following: Vec<StateTask>) {
        let piece = self.accepts.remove(0);
        self.feed(Input::Accepted(piece.id, following));
    }

    /// Both peers offer a state, its header is final, and these tasks are planned.
    pub(super) fn fetching(names: &[&str], tasks: Vec<StateTask>) -> Self {
        let mut run = Self::new(StateSyncConfig::default(), names);
        names.iter().for_each(|name| run.offers(name, &[60]));
        run.headers(names[0]);
        assert_eq!(run.plans, [pivot(60)]);
        run.feed(Input::Planned(tasks));
        run
    }
}

pub(super) fn pivot(height: u64) -> Pivot {
    Pivot { height: Height::new(height), state_root: B256::with_last_byte(height as u8) }
}
