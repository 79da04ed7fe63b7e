//! The network, and the server that an operator looks after it by.

use super::{Node, NodeConfig, ending};
use crate::adapters::{GossipedPool, Inbound, PeerServer, ServedStates, SyncChain};
use crate::admin::{self, AdminServer};
use heddle_chain::ChainError;
use heddle_network::{BlockShelf, ChainPace, Network, NetworkConfig, NetworkHandle, NodeKey};
use heddle_primitives::HeddleConfig;
use heddle_sync::{SnapshotServer, SyncServer};
use prometheus_client::registry::Registry;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// What answers peers.
pub(super) struct PeerPorts {
    /// Gossip.
    pub(super) inbound: Arc<Inbound>,
    /// Requests for what is committed.
    pub(super) source: Arc<SyncChain>,
    /// Transactions.
    pub(super) pool: Arc<GossipedPool>,
    /// Requests for what is being decided.
    pub(super) shelf: BlockShelf,
}

impl Node {
    pub(super) async fn start_network(
        &mut self,
        config: &NodeConfig,
        heddle: &HeddleConfig,
        key: NodeKey,
        ports: PeerPorts,
        registry: &mut Registry,
    ) -> Result<NetworkHandle, Box<dyn Error>> {
        let PeerPorts { inbound, source, pool, shelf } = ports;
        let states = SnapshotServer::new(Arc::new(ServedStates(self.chain.clone())), config.sync.serving());
        let server = Arc::new(PeerServer { blocks: SyncServer::new(source), states, shelf });
        let genesis_hash = self.chain.genesis().hash();
        let network_config = NetworkConfig { pace: self.pace(heddle)?, ..config.network.clone() };
        let (network, service) =
            Network::start(network_config, key, genesis_hash, inbound, server, pool, registry).await?;
        self.spawn("network", async { ending(service.run().await) });
        if let Some(address) = config.admin {
            let server = AdminServer::bind(address, &config.datadir).await?;
            let methods = admin::methods(self.admin_subject(network.clone(), &config.datadir))?;
            self.spawn("admin server", async { match server.run(methods).await {} });
        }
        Ok(network)
    }

    /// What the methods for operators are about.
    pub(super) fn admin_subject(&self, network: NetworkHandle, datadir: &Path) -> admin::Subject {
        admin::Subject { network, chain: self.chain.clone(), datadir: datadir.to_owned() }
    }

    /// How much the chain says at present. It is read once, at the start: what follows from it, as the limits of gossip's
    /// rates and scores, does not change with the validators until the node is started again.
    fn pace(&self, heddle: &HeddleConfig) -> Result<ChainPace, ChainError> {
        let validators = self.chain.validators(self.chain.head().height().next())?.validators().len();
        Ok(ChainPace { block_time: heddle.block_time, validators: validators as u32 })
    }
}
