//! A node, wired: every task, channel and capacity stands here.
//!
//! ```text
//!   peers --- network ---+--> Inbound --> consensus                 (gossip; verdicts return)
//!                        |       +--> 16 --> Arrivals --> BlockRelay --> consensus, SyncChain    (blocks, once filled)
//!                        +--> GossipedPool --> mempool              (transactions; judgements return)
//!                        +--> PeerServer --> chain, BlockShelf      (requests; responses return)
//!   consensus --> ChainApplication --> chain, mempool, sync.wake
//!             --> NetworkOutbound --> BlockShelf, network;  ConsensusFiles
//!   sync ------> StagedState, SyncChain, ChainPast --> chain;  NetworkPeers --> network
//!   chain -----> broadcast of committed blocks --> head watch, mempool, telemetry, traces, rpc
//! ```
//!
//! Tasks: network, block arrivals, block announcer, mempool, sync, backfill, consensus, head, peers, pruning, log index,
//! telemetry, traces (and a thread of their own, behind a queue of 8192), metrics server, admin server. The first that ends stops the node.
//! JSON-RPC has a runtime of its own, of low priority: nothing here waits for it.

mod followers;
mod network;
mod sync;
mod traces;

use crate::adapters::{
    Arrivals, ChainApplication, ConsensusFiles, ConsensusFilesError, GossipedPool, Inbound, Live, LocalPool,
    MempoolBlocks, MempoolChain, MempoolGossip, NetworkOutbound, NodeStatusView, Probes, SyncChain, announce_commits,
};
use crate::admin;
use crate::cache::CacheSize;
use crate::command::SyncOptions;
use crate::database;
use crate::execution::Execution;
use crate::keys::{self, ValidatorKey};
use crate::telemetry::traces::{TracesConfig, TransactionTraces};
use crate::telemetry::{MetricsServer, NodeRegistry};
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::{Chain, ChainConfig, ChainError, Head, History};
use heddle_consensus::{ConsensusConfig, ConsensusMetrics, Heartbeat};
use heddle_mempool::{Mempool, MempoolConfig, MempoolMetrics, MempoolService};
use heddle_network::{BlockRelay, BlockShelf, Multiaddr, NetworkConfig, NetworkHandle, PropagationMetrics};
use heddle_primitives::{Genesis, HeddleConfig, ValidatorAddress};
use heddle_rpc::{DevAccounts, RpcConfig, RpcContext, RpcMetrics, RpcServer};
use heddle_sync::SyncHandle;
use network::PeerPorts;
use prometheus_client::registry::Registry;
use std::error::Error;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Everything a node is started with.
pub struct NodeConfig {
    /// The chain.
    pub genesis: Genesis,
    /// Directory of the database and the consensus log.
    pub datadir: PathBuf,
    /// Memory for caches.
    pub cache: CacheSize,
    /// How blocks are executed.
    pub execution: Execution,
    /// Past states to keep.
    pub history: History,
    /// How to come to the head, and what others are served who do.
    pub sync: SyncOptions,
    /// Key to validate with, and its sign state.
    pub validator_key: Option<ValidatorKey>,
    /// File of the network key; made when absent.
    pub node_key_file: PathBuf,
    /// Where peers find the node, and it them.
    pub network: NetworkConfig,
    /// Where `heddle peers` is served.
    pub admin: Option<SocketAddr>,
    /// How JSON-RPC is served.
    pub rpc: Option<RpcConfig>,
    /// Accounts that the node signs for: a devnet's.
    pub dev_accounts: Vec<PrivateKeySigner>,
    /// Where to serve metrics and probes.
    pub metrics: Option<SocketAddr>,
    /// Where traces of transactions go.
    pub traces: Option<TracesConfig>,
}

/// A running node. Dropping it stops every task; what was acknowledged is on disk already.
pub struct Node {
    chain: Chain,
    network: Option<NetworkHandle>,
    rpc: Option<RpcServer>,
    traces: TransactionTraces,
    tasks: JoinSet<String>,
}

impl Node {
    /// Starts every part; returns once all addresses are bound.
    ///
    /// # Errors
    /// One sentence that names the cause, for example the busy port and its flag.
    pub async fn start(config: NodeConfig) -> Result<Self, Box<dyn Error>> {
        let chain_config = ChainConfig {
            snapshot_interval: config.sync.snapshot_interval,
            checkpoint: config.sync.checkpoint,
            ..config.execution.apply(config.cache.chain())
        };
        let chain = database::open_chain(config.genesis.clone(), &config.datadir, config.cache, chain_config)?;
        sync::begin_with_file(&config, &chain).await?;
        sync::remove_staged(&config, &chain)?;
        let (genesis_hash, height) = (chain.genesis().hash(), chain.head().header.number);
        tracing::info!(version = env!("CARGO_PKG_VERSION"), chain_id = chain.genesis().chain_id(), %genesis_hash, height, "starting");
        let mut node_registry = NodeRegistry::new();
        let registry = node_registry.ours();
        let metrics = MempoolMetrics::new(registry);
        let rpc_metrics = RpcMetrics::new(registry);
        let reader = Arc::new(MempoolChain(chain.clone()));
        let (mempool, service) = Mempool::new(MempoolConfig::default(), chain.genesis(), reader, metrics)?;
        let mut node =
            Self { chain, network: None, rpc: None, traces: TransactionTraces::default(), tasks: JoinSet::new() };
        let status = match config.genesis.heddle().cloned() {
            Some(heddle) => node.start_live(&config, &heddle, &mempool, service, registry).await?,
            None => {
                if config.validator_key.is_some() {
                    tracing::warn!("the genesis has no heddle section: the validator key is not used");
                }
                node.status(&config, None, None)
            }
        };
        if config.history != History::Archive {
            node.spawn("pruning", followers::prune(node.chain.clone(), config.history));
        }
        node.spawn("log index", followers::index_logs(node.chain.clone()));
        let (started, is_started) = watch::channel(false);
        let probes = Probes { status: status.clone(), started: is_started };
        node.start_telemetry(&config, probes, node_registry).await?;
        node.start_rpc(config, mempool, status, rpc_metrics).await?;
        started.send_replace(true);
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
        let source = Arc::new(SyncChain::new(chain.clone())?);
        let (inbound, arrivals) = Inbound::new(chain.clone());
        let key = keys::load_or_create_node_key(&config.node_key_file)?;
        self.start_traces(config, key.peer_id(), registry)?;
        let gossiped = GossipedPool { mempool: mempool.clone(), traces: self.traces.clone() };
        let (inbound, pool) = (Arc::new(inbound), Arc::new(gossiped));
        let shelf = BlockShelf::default();
        let ports =
            PeerPorts { inbound: inbound.clone(), source: source.clone(), pool: pool.clone(), shelf: shelf.clone() };
        let network = self.start_network(config, heddle, key, ports, registry).await?;
        let relay = BlockRelay::new(shelf.clone(), network.clone(), pool, PropagationMetrics::new(registry));
        let filling = Arrivals { relay, source: source.clone(), chain: chain.clone() };
        self.spawn("block arrivals", filling.run(arrivals));
        let catching_up = self.start_sync(config, source, &network, registry);
        let sync = catching_up.sync.clone();
        let own = config.validator_key.as_ref().map(|validator| validator.key.address());
        self.tell_own_validator(own)?;
        let application = ChainApplication {
            chain: chain.clone(),
            mempool: mempool.clone(),
            sync: sync.clone(),
            own,
            traces: self.traces.clone(),
        };
        let outbound = NetworkOutbound {
            network: network.clone(),
            shelf: shelf.clone(),
            whole_block_bytes: config.network.whole_block_bytes,
        };
        if let Some(own) = own {
            self.spawn("block announcer", announce_commits(chain.clone(), own, outbound.clone()));
        }
        let consensus = self.prepare_consensus(config, heddle, application, outbound, registry)?;
        let heartbeat = consensus.ports.heartbeat.clone();
        self.start_consensus(consensus, catching_up.has_state, inbound.clone())?;
        let (blocks, gossip) = (MempoolBlocks::new(chain.clone()), Arc::new(MempoolGossip(network.clone())));
        self.spawn("mempool", async move { ending(mempool_service.run(blocks, gossip).await) });
        self.network = Some(network.clone());
        let live = Live { network, sync, state: catching_up.state, heartbeat, inbound };
        Ok(self.status(config, Some(live), own))
    }

    fn status(&self, config: &NodeConfig, live: Option<Live>, own: Option<ValidatorAddress>) -> NodeStatusView {
        let (chain, datadir) = (self.chain.clone(), config.datadir.clone());
        NodeStatusView { live, chain, own, datadir, started: Instant::now() }
    }

    /// A key that is none of the validators' only earns a warning: they may change.
    fn tell_own_validator(&self, own: Option<ValidatorAddress>) -> Result<(), ChainError> {
        let Some(validator) = own else { return Ok(()) };
        if self.chain.validators(self.chain.head().height().next())?.get(&validator).is_some() {
            tracing::info!(%validator, "validating");
        } else {
            tracing::warn!(%validator, "the validator key is not one of the present validators: the node follows the chain until it is");
        }
        Ok(())
    }

    fn prepare_consensus(
        &mut self,
        config: &NodeConfig,
        heddle: &HeddleConfig,
        application: ChainApplication,
        outbound: NetworkOutbound,
        registry: &mut Registry,
    ) -> Result<PreparedConsensus, Box<dyn Error>> {
        let context = self.chain.signing_context();
        let validator_key = config.validator_key.as_ref();
        let sign_state = validator_key.map(|key| key.open_sign_state(context.genesis_hash)).transpose()?;
        let (files, recovered) = ConsensusFiles::open(&config.datadir, sign_state)?;
        let metrics = ConsensusMetrics::default();
        metrics.register(registry);
        let (head_sender, head) = watch::channel(self.chain.head().height());
        self.spawn("head", followers::follow_head(self.chain.clone(), head_sender));
        let sync = application.sync.clone();
        let status = sync.subscribe();
        let (peers_sender, peers) = watch::channel(followers::catch_up(*status.borrow()));
        self.spawn("peers", followers::follow_sync(status, peers_sender));
        let setup = heddle_consensus::Setup {
            config: ConsensusConfig::default(),
            context,
            key: validator_key.map(|validator| validator.key.clone()),
            block_time: heddle.block_time,
            empty_block_time: heddle.empty_block_time,
            head: self.chain.head().height(),
            recovered,
        };
        let ports = heddle_consensus::Ports {
            application: Arc::new(application),
            outbound: Arc::new(outbound),
            log: Box::new(files),
            committed: head,
            peers,
            heartbeat: Heartbeat::default(),
        };
        let (chain, datadir) = (self.chain.clone(), config.datadir.clone());
        Ok(PreparedConsensus { chain, datadir, setup, ports, metrics, sync })
    }

    /// Starts consensus now, or when the chain has the state that is being fetched.
    fn start_consensus(
        &mut self,
        consensus: PreparedConsensus,
        mut has_state: watch::Receiver<bool>,
        inbound: Arc<Inbound>,
    ) -> Result<(), Box<dyn Error>> {
        if *has_state.borrow() {
            self.spawn("consensus", consensus.start(&inbound)?);
            return Ok(());
        }
        self.spawn("consensus", async move {
            if has_state.wait_for(|has_state| *has_state).await.is_err() {
                // The task of sync says why.
                return std::future::pending().await;
            }
            match consensus.start(&inbound) {
                Ok(service) => service.await,
                Err(error) => error.to_string(),
            }
        });
        Ok(())
    }

    async fn start_telemetry(
        &mut self,
        config: &NodeConfig,
        probes: Probes,
        mut registry: NodeRegistry,
    ) -> Result<(), Box<dyn Error>> {
        let metrics = registry.watch(&self.chain, config.datadir.clone());
        self.spawn("telemetry", followers::observe(self.chain.clone(), probes.status.clone(), metrics));
        if let Some(address) = config.metrics {
            let server = MetricsServer::bind(address, Arc::new(registry.into_inner()), Arc::new(probes)).await?;
            tracing::info!(address = %server.local_address()?, "serving metrics");
            self.spawn("metrics server", async { match server.run().await {} });
        }
        Ok(())
    }

    async fn start_rpc(
        &mut self,
        config: NodeConfig,
        mempool: Mempool,
        status: NodeStatusView,
        metrics: RpcMetrics,
    ) -> Result<(), Box<dyn Error>> {
        let Some(rpc_config) = config.rpc else { return Ok(()) };
        let dev_accounts = (!config.dev_accounts.is_empty()).then(|| DevAccounts::new(config.dev_accounts));
        let intake = Arc::new(LocalPool { mempool: mempool.clone(), traces: self.traces.clone() });
        let admin = self.network.clone().map(|network| admin::methods(self.admin_subject(network, &config.datadir)));
        let admin = admin.transpose()?.map(Into::into).unwrap_or_default();
        let (chain, node) = (self.chain.clone(), Arc::new(status));
        let ipc = rpc_config.ipc.clone();
        let context = RpcContext { chain, mempool, intake, node, dev_accounts, admin, metrics };
        // Threads inherit their maker's priority: blocks are verified on these, which no call shall be the first to ask for.
        let _ = rayon::current_num_threads();
        let server = RpcServer::start(rpc_config, context).await?;
        if let Some(address) = server.local_addr() {
            tracing::info!(%address, "serving JSON-RPC");
        }
        if let Some(address) = server.auth_addr() {
            tracing::info!(%address, "serving JSON-RPC to operators");
        }
        if let Some(file) = ipc {
            tracing::info!(file = %file.display(), "serving JSON-RPC on a Unix socket");
        }
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
        self.rpc.as_ref().and_then(RpcServer::local_addr)
    }
}

/// Consensus with all that it needs, before it starts.
struct PreparedConsensus {
    chain: Chain,
    datadir: PathBuf,
    setup: heddle_consensus::Setup,
    ports: heddle_consensus::Ports,
    metrics: ConsensusMetrics,
    sync: SyncHandle,
}

impl PreparedConsensus {
    /// Starts it at the head, and lets its messages in.
    fn start(mut self, inbound: &Inbound) -> Result<impl Future<Output = String> + use<>, ConsensusFilesError> {
        self.setup.head = self.chain.head().height();
        let (consensus, service) = heddle_consensus::start(self.setup, self.ports, self.metrics)
            .map_err(|error| ConsensusFilesError::starting(error, &self.datadir))?;
        inbound.connect(consensus, self.sync);
        Ok(async { ending(service.await) })
    }
}

/// Why a task's loop ended, in words.
fn ending<E: std::fmt::Display>(result: Result<(), E>) -> String {
    result.map_or_else(|error| error.to_string(), |()| "ended".to_owned())
}
