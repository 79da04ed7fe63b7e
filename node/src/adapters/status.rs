//! What JSON-RPC and the readiness probe say of the node.

use crate::telemetry::Health;
use heddle_chain::Chain;
use heddle_network::NetworkHandle;
use heddle_primitives::ValidatorAddress;
use heddle_rpc::{NodeStatus, SyncProgress};
use heddle_sync::SyncHandle;

/// Blocks that a ready node may be behind the best peer.
const LAG_MAX: u64 = 5;

/// The running parts; none of them on a node that serves a plain Ethereum chain.
#[derive(Clone)]
pub struct NodeStatusView {
    /// Network and sync.
    pub live: Option<(NetworkHandle, SyncHandle)>,
    /// Who decides.
    pub chain: Chain,
    /// The validator whose key this node has.
    pub own: Option<ValidatorAddress>,
}

impl NodeStatusView {
    /// Whether this validator decides alone, so that it needs no peers.
    fn is_alone(&self) -> bool {
        let next = self.chain.head().height().next();
        let decides =
            |own| self.chain.validators(next).is_ok_and(|set| set.validators().len() == 1 && set.get(&own).is_some());
        self.own.is_some_and(decides)
    }
}

impl NodeStatus for NodeStatusView {
    fn client_version(&self) -> String {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        format!("heddle/v{}/{os}-{arch}", env!("CARGO_PKG_VERSION"))
    }

    fn peer_count(&self) -> u64 {
        self.live.as_ref().map_or(0, |(network, _)| network.peer_count() as u64)
    }

    fn is_listening(&self) -> bool {
        self.live.is_some()
    }

    fn sync_progress(&self) -> Option<SyncProgress> {
        let (_, sync) = self.live.as_ref()?;
        let status = sync.status();
        status.syncing.then(|| SyncProgress {
            starting: status.starting.as_u64(),
            current: status.current.as_u64(),
            highest: status.highest.as_u64(),
        })
    }
}

impl Health for NodeStatusView {
    fn ready(&self) -> Result<String, String> {
        let Some((network, sync)) = &self.live else { return Ok("ready: serving read-only".to_owned()) };
        let peers = network.peer_count();
        if peers == 0 && !self.is_alone() {
            return Err("not ready: no peers".to_owned());
        }
        let status = sync.status();
        let lag = status.highest.as_u64().saturating_sub(status.current.as_u64());
        if lag > LAG_MAX {
            return Err(format!("not ready: {lag} blocks behind the best peer"));
        }
        Ok(format!("ready: {peers} peers, {lag} blocks behind"))
    }
}
