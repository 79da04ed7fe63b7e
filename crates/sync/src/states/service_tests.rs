//! The loop with peers and a target of the test's own.

use super::*;
use crate::states::core::tests::{chain, genesis};
use crate::{PeerFault, RequestError, StateFault};
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use heddle_primitives::{AccountRange, CertifiedHeader, Response, SnapshotOffer, StateTask};
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// One that tells the truth, one that sends wrong pieces, one that never answers.
struct TestPeers {
    chain: Vec<CertifiedHeader>,
    reports: Mutex<Vec<(PeerId, PeerFault)>>,
}

fn id(name: &'static str) -> PeerId {
    PeerId::new(name.as_bytes())
}

#[async_trait]
impl Peers for TestPeers {
    fn list(&self) -> Vec<PeerId> {
        vec![id("honest"), id("liar"), id("silent")]
    }

    async fn request(&self, peer: &PeerId, request: Request) -> Result<Response, RequestError> {
        if *peer == id("silent") {
            return Err(RequestError("gone".to_owned()));
        }
        match request {
            Request::Snapshots => {
                let hash = self.chain[9].header.hash_slow();
                Ok(Response::Snapshots(vec![SnapshotOffer { height: Height::new(10), hash }]))
            }
            Request::Headers(request) => {
                let first = request.from.as_u64() as usize - 1;
                Ok(Response::Headers(self.chain[first..first + request.count as usize].to_vec()))
            }
            Request::Accounts(_) if *peer == id("liar") => {
                Ok(Response::Accounts(AccountRange { accounts: Vec::new(), proof: vec![Bytes::new()] }))
            }
            Request::Accounts(_) => Ok(Response::Accounts(AccountRange::default())),
            other => Err(RequestError(format!("{other:?}"))),
        }
    }

    fn report(&self, peer: &PeerId, fault: PeerFault) {
        self.reports.lock().push((peer.clone(), fault));
    }
}

/// A state of twenty tasks. A proof is wrong; the disk fails at `broken`.
#[derive(Default)]
struct Target {
    stored: Mutex<BTreeSet<u8>>,
    adopted: Mutex<Option<SyncedBase>>,
    broken: Option<&'static str>,
}

impl Target {
    fn works(&self, what: &str) -> Result<(), String> {
        if self.broken == Some(what) { Err("disk full".to_owned()) } else { Ok(()) }
    }
}

impl StateTarget for Target {
    fn plan(&self, pivot: Pivot) -> Result<Vec<StateTask>, String> {
        assert_eq!(pivot.height, Height::new(10));
        self.works("plan")?;
        let stored = self.stored.lock();
        let missing = (0..20).filter(|n| !stored.contains(n)).map(B256::with_last_byte);
        Ok(missing.map(|key| StateTask::Accounts { first: key, last: key }).collect())
    }

    fn accept(&self, _: Pivot, task: &StateTask, response: &Response) -> Result<Vec<StateTask>, PieceRefusal> {
        self.works("store").map_err(PieceRefusal::Ours)?;
        match (task, response) {
            (StateTask::Accounts { first, .. }, Response::Accounts(range)) if range.proof.is_empty() => {
                assert!(self.stored.lock().insert(first[31]), "stored twice");
                Ok(Vec::new())
            }
            _ => Err(PieceRefusal::Peer("another root".to_owned())),
        }
    }

    fn progress(&self) -> Result<StateProgress, String> {
        self.works("measure")?;
        Ok(StateProgress { accounts: self.stored.lock().len() as u64, ..StateProgress::default() })
    }

    fn finish(&self, base: SyncedBase) -> Result<(), String> {
        self.works("adopt")?;
        *self.adopted.lock() = Some(base);
        Ok(())
    }
}

type Fetched = (Result<Outcome, StateSyncError>, Arc<Target>, Arc<TestPeers>, StateSyncStatus);

async fn fetch(broken: Option<&'static str>) -> Fetched {
    let target = Arc::new(Target { broken, ..Target::default() });
    let peers = Arc::new(TestPeers { chain: chain(10, 3), reports: Mutex::default() });
    let (status_out, status) = watch::channel(StateSyncStatus::default());
    let config = StateSyncConfig::default();
    let (genesis, metrics) = (genesis(), StateSyncMetrics::default());
    let outcome = fetch_state(config, &genesis, target.clone(), peers.clone(), metrics, status_out).await;
    let status = *status.borrow();
    (outcome, target, peers, status)
}

#[tokio::test]
async fn the_state_arrives_and_the_chain_starts_there() {
    let (outcome, target, peers, status) = fetch(None).await;
    assert_eq!(outcome, Ok(Outcome::Synced(Height::new(10))));
    let base = target.adopted.lock().take().unwrap();
    assert_eq!((base.pivot.header().number, base.ancestors.len()), (10, 9));
    let fault = PeerFault::State(StateFault::InvalidPiece("another root".to_owned()));
    assert_eq!(*peers.reports.lock(), [(id("liar"), fault)]);
    assert_eq!((status.stage, status.pivot, status.progress.accounts), (Stage::Ended, Some(Height::new(10)), 20));
}

#[tokio::test]
async fn whatever_the_disk_refuses_ends_it() {
    for what in ["plan", "store", "measure", "adopt"] {
        let (outcome, target, ..) = fetch(Some(what)).await;
        assert_eq!(outcome, Err(StateSyncError::Target { what, reason: "disk full".to_owned() }));
        assert!(target.adopted.lock().is_none());
    }
}
