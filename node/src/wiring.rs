//! A node, wired: every task, channel and capacity stands here.
//!
//! ```text
//!   peers --- network ---+--> Inbound --> mempool, consensus        (gossip; verdicts return)
//!                        +--> PeerServer --> chain                  (requests; responses return)
//!   consensus --> ChainApplication --> chain, mempool, sync.wake
//!             --> NetworkOutbound, ConsensusFiles
//!   sync ------> SyncChain --> chain;  NetworkPeers --> network
//!   chain -----> broadcast of committed blocks --> head watch, mempool, telemetry, rpc
//! ```
//!
//! Tasks: network, mempool, sync, consensus, head, telemetry, metrics server. The first that ends stops the node.

use crate::adapters::{
    ChainApplication, ConsensusFiles, Inbound, MempoolBlocks, MempoolChain, MempoolGossip, NetworkOutbound,
    NetworkPeers, NodeStatusView, PeerServer, SyncChain,
};
use crate::telemetry::{ChainMetrics, MetricsServer};
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::{Chain, ChainConfig, CommittedBlock, Head};
use heddle_consensus::{ConsensusConfig, ConsensusMetrics};
use heddle_mempool::{Mempool, MempoolConfig, MempoolMetrics, MempoolService};
use heddle_network::{Multiaddr, Network, NetworkConfig, NetworkHandle, NetworkMetrics, NodeKey};
use heddle_primitives::{ConsensusKey, Genesis, HeddleConfig, Height};
use heddle_rpc::{DevAccounts, RpcConfig, RpcContext, RpcServer};
use heddle_storage::{Database, DatabaseConfig};
use heddle_sync::{SyncConfig, SyncMetrics, SyncServer};
use prometheus_client::registry::Registry;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

/// Everything a node is started with.
pub struct NodeConfig {
    /// The chain.
    pub genesis: Genesis,
    /// Directory of the database, the consensus log and the sign state.
    pub datadir: PathBuf,
    /// Key to validate with.
    pub validator_key: Option<ConsensusKey>,
    /// File of the network key; made when absent.
    pub node_key_file: PathBuf,
    /// Where to listen for peers, TCP and UDP.
    pub listen: SocketAddr,
    /// Peers to connect to first.
    pub bootnodes: Vec<Multiaddr>,
    /// Most peers at a time.
    pub peers_max: u32,
    /// Find peers by multicast DNS.
    pub mdns: bool,
    /// Where to serve JSON-RPC.
    pub http: Option<SocketAddr>,
    /// Namespaces to serve.
    pub http_api: Vec<String>,
    /// Origins that browsers may call from.
    pub http_cors: Vec<String>,
    /// Accounts that the node signs for: a devnet's.
    pub dev_accounts: Vec<PrivateKeySigner>,
    /// Where to serve metrics and probes.
    pub metrics: Option<SocketAddr>,
}

/// A running node. Dropping it stops every task; what was acknowledged is on disk already.
pub struct Node {
    chain: Chain,
    network: Option<NetworkHandle>,
    rpc: Option<RpcServer>,
    tasks: JoinSet<String>,
}

/// Opens the database of a data directory and the chain in it; the genesis block is written at the first start.
///
/// # Errors
/// When another process holds the directory, or it holds another chain.
pub fn open_chain(genesis: Genesis, datadir: &Path) -> Result<Chain, Box<dyn Error>> {
    std::fs::create_dir_all(datadir).map_err(|error| format!("cannot create {}: {error}", datadir.display()))?;
    let database = Database::open(&datadir.join("db"), &DatabaseConfig::default())?;
    Ok(Chain::open(genesis, database, ChainConfig::default())?)
}

impl Node {
    /// Starts every part; returns once all addresses are bound.
    ///
    /// # Errors
    /// One sentence that names the cause, for example the busy port and its flag.
    pub async fn start(config: NodeConfig) -> Result<Self, Box<dyn Error>> {
        let chain = open_chain(config.genesis.clone(), &config.datadir)?;
        let mut registry = Registry::with_prefix("heddle");
        let metrics = MempoolMetrics::new(&mut registry);
        let reader = Arc::new(MempoolChain(chain.clone()));
        let (mempool, service) = Mempool::new(MempoolConfig::default(), chain.genesis(), reader, metrics)?;
        let mut node = Self { chain, network: None, rpc: None, tasks: JoinSet::new() };
        let status = match config.genesis.heddle().cloned() {
            Some(heddle) => node.start_live(&config, &heddle, &mempool, service, &mut registry).await?,
            None => NodeStatusView { live: None, alone: true },
        };
        node.start_telemetry(&config, &status, registry).await?;
        node.start_rpc(config, mempool, status).await?;
        Ok(node)
    }

    /// Network, mempool service, sync and consensus: what a chain with a `heddle` section has.
    async fn start_live(
        &mut self,
        config: &NodeConfig,
        heddle: &HeddleConfig,
        mempool: &Mempool,
        mempool_service: MempoolService,
        registry: &mut Registry,
    ) -> Result<NodeStatusView, Box<dyn Error>> {
        let chain = self.chain.clone();
        let (files, recovered) = ConsensusFiles::open(&config.datadir)?;
        let sync_chain = Arc::new(SyncChain { chain: chain.clone(), validators: heddle.validators.clone() });
        let inbound = Arc::new(Inbound::new(mempool.clone()));
        let network_config = NetworkConfig {
            listen: NetworkConfig::listen_on(config.listen.ip(), config.listen.port()),
            bootnodes: config.bootnodes.clone(),
            mdns: config.mdns,
            peers_max: config.peers_max,
            ..NetworkConfig::default()
        };
        let (network, network_service) = Network::start(
            network_config,
            NodeKey::load_or_create(&config.node_key_file)?,
            chain.genesis().hash(),
            inbound.clone(),
            Arc::new(PeerServer(SyncServer::new(sync_chain.clone()))),
            NetworkMetrics::new(registry),
        )
        .await?;

        let sync_metrics = SyncMetrics::default();
        sync_metrics.register(registry);
        let peers = Arc::new(NetworkPeers(network.clone()));
        let context = chain.signing_context();
        let (sync, sync_service) = heddle_sync::start(SyncConfig::default(), context, sync_chain, peers, sync_metrics);

        let own = config
            .validator_key
            .as_ref()
            .and_then(|key| heddle.validators.validators().iter().find(|v| v.public_key == key.public_key()).cloned());
        if config.validator_key.is_some() && own.is_none() {
            tracing::warn!("the validator key is not one of this chain's validators: the node follows the chain");
        }
        let alone = own.is_some() && heddle.validators.validators().len() == 1;
        let application = Arc::new(ChainApplication {
            chain: chain.clone(),
            mempool: mempool.clone(),
            sync: sync.clone(),
            validators: heddle.validators.clone(),
            own: own.clone(),
        });
        let (head_sender, head) = watch::channel(chain.head().height());
        let consensus_metrics = ConsensusMetrics::default();
        consensus_metrics.register(registry);
        let setup = heddle_consensus::Setup {
            config: ConsensusConfig::default(),
            context,
            key: config.validator_key.clone().filter(|_| own.is_some()),
            block_time: heddle.block_time,
            empty_block_time: heddle.empty_block_time,
            head: chain.head().height(),
            recovered,
        };
        let ports = heddle_consensus::Ports {
            application,
            outbound: Arc::new(NetworkOutbound(network.clone())),
            log: Box::new(files),
            committed: head,
        };
        let (consensus, consensus_service) = heddle_consensus::start(setup, ports, consensus_metrics)?;
        inbound.connect(consensus);

        self.spawn("head", follow_head(chain.clone(), head_sender));
        let (blocks, gossip) = (MempoolBlocks::new(chain.clone()), Arc::new(MempoolGossip(network.clone())));
        self.spawn("mempool", async move { ending(mempool_service.run(blocks, gossip).await) });
        self.spawn("network", async { ending(network_service.run().await) });
        self.spawn("sync", async { sync_service.await.to_string() });
        self.spawn("consensus", async { ending(consensus_service.await) });
        self.network = Some(network.clone());
        Ok(NodeStatusView { live: Some((network, sync)), alone })
    }

    async fn start_telemetry(
        &mut self,
        config: &NodeConfig,
        status: &NodeStatusView,
        mut registry: Registry,
    ) -> Result<(), Box<dyn Error>> {
        let metrics = ChainMetrics::register(&mut registry, self.chain.head().header.number);
        self.spawn("telemetry", observe(self.chain.clone(), metrics));
        if let Some(address) = config.metrics {
            let server = MetricsServer::bind(address, Arc::new(registry), Arc::new(status.clone())).await?;
            tracing::info!(address = %server.local_address()?, "serving metrics");
            self.spawn("metrics server", async { server.run().await.to_string() });
        }
        Ok(())
    }

    async fn start_rpc(
        &mut self,
        config: NodeConfig,
        mempool: Mempool,
        status: NodeStatusView,
    ) -> Result<(), Box<dyn Error>> {
        let Some(address) = config.http else { return Ok(()) };
        let apis = config.http_api.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
        let rpc_config = RpcConfig {
            addr: address.ip(),
            port: address.port(),
            apis,
            cors_origins: config.http_cors,
            ..RpcConfig::default()
        };
        let dev_accounts = (!config.dev_accounts.is_empty()).then(|| DevAccounts::new(config.dev_accounts));
        let context = RpcContext { chain: self.chain.clone(), mempool, node: Arc::new(status), dev_accounts };
        let server = RpcServer::start(rpc_config, context).await?;
        tracing::info!(address = %server.local_addr(), "serving JSON-RPC");
        self.rpc = Some(server);
        Ok(())
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = String> + Send + 'static) {
        self.tasks.spawn(async move { format!("{name} stopped: {}", task.await) });
    }

    /// Resolves when a part that the node cannot live without has ended, with its reason.
    pub async fn failed(&mut self) -> Box<dyn Error> {
        let rpc_stopped = async {
            match &self.rpc {
                Some(rpc) => rpc.stopped().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.tasks.join_next() => match ended {
                Some(Ok(reason)) => reason.into(),
                Some(Err(error)) => format!("a task failed: {error}").into(),
                None => "no task is left".into(),
            },
            () = rpc_stopped => "JSON-RPC stopped".into(),
        }
    }

    /// Stops every part and returns the head it kept.
    pub async fn stop(mut self) -> Arc<Head> {
        if let Some(rpc) = self.rpc.take() {
            rpc.stop().await;
        }
        self.tasks.shutdown().await;
        self.chain.head()
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Where peers reach this node.
    pub fn peer_addresses(&self) -> Vec<Multiaddr> {
        self.network.as_ref().map(NetworkHandle::listen_addresses).unwrap_or_default()
    }

    /// Where JSON-RPC is served.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.rpc.as_ref().map(RpcServer::local_addr)
    }
}

/// Why a task's loop ended, in words.
fn ending<E: std::fmt::Display>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ended".to_owned())
}

/// The next committed block; `None` when the chain is gone. A slow receiver skips to what is still buffered: whoever
/// needs the head reads it from the chain.
async fn next_block(blocks: &mut broadcast::Receiver<Arc<CommittedBlock>>) -> Option<Arc<CommittedBlock>> {
    loop {
        match blocks.recv().await {
            Ok(block) => return Some(block),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

/// Tells consensus of every new head, whoever committed it.
async fn follow_head(chain: Chain, head: watch::Sender<Height>) -> String {
    let mut blocks = chain.subscribe();
    head.send_replace(chain.head().height());
    while next_block(&mut blocks).await.is_some() {
        head.send_replace(chain.head().height());
    }
    "the chain is closed".to_owned()
}

/// Counts committed blocks.
async fn observe(chain: Chain, metrics: ChainMetrics) -> String {
    let mut blocks = chain.subscribe();
    let mut last_block = Instant::now();
    while let Some(committed) = next_block(&mut blocks).await {
        metrics.committed(&committed, last_block.elapsed());
        last_block = Instant::now();
    }
    "the chain is closed".to_owned()
}
