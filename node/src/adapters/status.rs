//! What JSON-RPC and the probes say of the node.

use super::Inbound;
use super::votes::consensus_report;
use alloy_primitives::U64;
use heddle_chain::Chain;
use heddle_consensus::Heartbeat;
use heddle_network::{NetworkHandle, client_version};
use heddle_primitives::ValidatorAddress;
use heddle_rpc::{ConsensusReport, NodeReport, NodeStatus, PeerCounts, SyncProgress};
use heddle_sync::{StateSyncStage, StateSyncStatus, SyncHandle};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// The parts that a node of a Heddle chain has.
#[derive(Clone)]
pub struct Live {
    /// The peers.
    pub network: NetworkHandle,
    /// Coming to the head by blocks.
    pub sync: SyncHandle,
    /// Beginning with a state.
    pub state: watch::Receiver<StateSyncStatus>,
    /// Of consensus' loop.
    pub heartbeat: Heartbeat,
    /// Knows consensus, once it has begun.
    pub inbound: Arc<Inbound>,
}

impl Live {
    /// The state that is being looked for or fetched, if one is.
    pub(super) fn fetching(&self) -> Option<StateSyncStatus> {
        let status = *self.state.borrow();
        (status.stage != StateSyncStage::Ended).then_some(status)
    }
}

/// What the node knows of itself.
#[derive(Clone)]
pub struct NodeStatusView {
    /// None of it on a node that serves a plain Ethereum chain.
    pub live: Option<Live>,
    /// Who decides.
    pub chain: Chain,
    /// The validator whose key this node has.
    pub own: Option<ValidatorAddress>,
    /// Directory of the database.
    pub datadir: PathBuf,
    /// When the node started.
    pub started: Instant,
}

impl NodeStatusView {
    /// Bytes that this user may still write where the data directory is.
    fn free_bytes(&self) -> Option<U64> {
        let disk = rustix::fs::statvfs(&self.datadir).ok()?;
        Some(U64::from(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }

    /// Blocks that most peers are ahead.
    pub(super) fn lag(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.sync.status().lag())
    }

    /// Whether this validator decides alone, so that it needs no peers.
    pub(super) fn is_alone(&self) -> bool {
        let next = self.chain.head().height().next();
        let decides =
            |own| self.chain.validators(next).is_ok_and(|set| set.validators().len() == 1 && set.get(&own).is_some());
        self.own.is_some_and(decides)
    }
}

impl NodeStatus for NodeStatusView {
    fn client_version(&self) -> String {
        client_version()
    }

    fn peer_count(&self) -> u64 {
        self.live.as_ref().map_or(0, |live| live.network.peer_count() as u64)
    }

    fn is_listening(&self) -> bool {
        self.live.is_some()
    }

    fn sync_progress(&self) -> Option<SyncProgress> {
        let live = self.live.as_ref()?;
        if let Some(StateSyncStatus { pivot, progress, .. }) = live.fetching() {
            let highest = pivot.unwrap_or_default().max(live.sync.status().announced).as_u64();
            return Some(SyncProgress { starting: 0, current: 0, highest, state: Some(progress.covered) });
        }
        let status = live.sync.status();
        status.syncing.then(|| SyncProgress {
            state: None,
            starting: status.starting.as_u64(),
            current: status.current.as_u64(),
            highest: status.announced.as_u64(),
        })
    }

    fn report(&self) -> NodeReport {
        let network = self.live.as_ref().map(|live| &live.network);
        let peers = network.map(NetworkHandle::peers).unwrap_or_default();
        let count = |inbound| U64::from(peers.iter().filter(|peer| peer.inbound == inbound).count());
        NodeReport {
            peer_id: network.map(|network| network.local_peer_id().to_string()),
            validator: self.own,
            peers: PeerCounts { inbound: count(true), outbound: count(false) },
            lag: U64::from(self.lag()),
            free_bytes: self.free_bytes(),
            uptime: U64::from(self.started.elapsed().as_secs()),
            time: unix_milliseconds(SystemTime::now()),
        }
    }

    fn consensus(&self) -> Option<ConsensusReport> {
        let handle = self.live.as_ref()?.inbound.consensus()?;
        handle.snapshot().map(|snapshot| consensus_report(&snapshot))
    }
}

/// A time of the system's clock as JSON-RPC writes it.
pub(super) fn unix_milliseconds(time: SystemTime) -> U64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    U64::from(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
