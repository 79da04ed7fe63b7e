//! Coming to the head: first a state, where the chain is at genesis and one is wanted; then blocks; and the past beside
//! all else.

use super::{Node, NodeConfig};
use crate::adapters::{ChainPast, NetworkPeers, StagedState, SyncChain};
use crate::cache::CacheSize;
use crate::command::{BackfillMode, SyncMode};
use crate::shutdown::StopFlag;
use crate::snapshot::{self, Restore};
use heddle_chain::Chain;
use heddle_network::NetworkHandle;
use heddle_sync::{
    BackfillConfig, Depth, StateOutcome, StateSyncConfig, StateSyncMetrics, StateSyncStage, StateSyncStatus,
    SyncConfig, SyncHandle, SyncMetrics,
};
use prometheus_client::registry::Registry;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;

/// How often the progress of restoring a file is logged.
const LOG: Duration = Duration::from_secs(10);

/// What others see of it.
pub(super) struct CatchingUp {
    /// The blocks.
    pub(super) sync: SyncHandle,
    /// The state.
    pub(super) state: watch::Receiver<StateSyncStatus>,
    /// Whether no state is waited for any more: nothing may be decided before.
    pub(super) has_state: watch::Receiver<bool>,
}

/// A state that is to be fetched.
struct Fetch {
    config: StateSyncConfig,
    chain: Chain,
    datadir: PathBuf,
    cache: CacheSize,
    peers: Arc<NetworkPeers>,
    metrics: StateSyncMetrics,
    status: watch::Sender<StateSyncStatus>,
}

impl Fetch {
    /// Ends when the chain has a state, or nobody offers one; the error is the node's end.
    async fn run(self) -> Result<(), String> {
        let target = StagedState::open(self.chain.clone(), &self.datadir, &self.cache.database());
        let target = Arc::new(target.map_err(|error| format!("cannot open the staging database: {error}"))?);
        let genesis = self.chain.genesis();
        let config = StateSyncConfig { resumed: target.resumed(), ..self.config };
        let fetched = heddle_sync::fetch_state(config, genesis, target, self.peers, self.metrics, self.status).await;
        match fetched.map_err(|error| error.to_string())? {
            StateOutcome::Synced(height) => tracing::info!(%height, "the chain begins with a fetched state"),
            // What was staged goes when the chain has left genesis: until then it may still be of use.
            StateOutcome::NoSnapshots => {
                tracing::info!("no peer offers a state: executing every block instead");
                return Ok(());
            }
            StateOutcome::Refused(error) => return Err(error.to_string()),
        }
        StagedState::remove(&self.datadir).map_err(|error| format!("cannot remove what was staged: {error}"))
    }
}

/// Begins with the state in the file that is named, where that is asked for and the chain is at genesis.
///
/// # Errors
/// When no file is named, and what is wrong with it; the chain is at genesis then.
pub(super) async fn begin_with_file(config: &NodeConfig, chain: &Chain) -> Result<(), Box<dyn Error>> {
    if config.sync.mode != SyncMode::FromFile || !chain.is_at_genesis() {
        return Ok(());
    }
    let file = config.sync.snapshot_file.clone().ok_or("--sync from-file needs --snapshot.file FILE")?;
    let (chain, datadir, checkpoint, cache) =
        (chain.clone(), config.datadir.clone(), config.sync.checkpoint, config.cache);
    let restored = tokio::task::spawn_blocking(move || {
        let stop = StopFlag::default();
        let restore = Restore { chain: &chain, datadir: &datadir, checkpoint, cache, stop: &stop };
        let mut logged = Instant::now();
        let restored = snapshot::restore(&file, &restore, &mut |stage, thousandths| {
            if logged.elapsed() >= LOG {
                logged = Instant::now();
                tracing::info!(stage, percent = thousandths / 10, "restoring a state from a file");
            }
        });
        restored.map(drop).map_err(|error| format!("{}: {error}", file.display()))
    });
    Ok(restored.await??)
}

/// Removes what was staged for a chain that has begun since: whatever stopped the node may have come between the two.
///
/// # Errors
/// The system's.
pub(super) fn remove_staged(config: &NodeConfig, chain: &Chain) -> Result<(), Box<dyn Error>> {
    if !chain.is_at_genesis() {
        StagedState::remove(&config.datadir).map_err(|error| format!("cannot remove what was staged: {error}"))?;
    }
    Ok(())
}

impl Node {
    /// Starts what brings this node to the head and keeps it there when consensus does not.
    pub(super) fn start_sync(
        &mut self,
        config: &NodeConfig,
        source: Arc<SyncChain>,
        network: &NetworkHandle,
        registry: &mut Registry,
    ) -> CatchingUp {
        let peers = Arc::new(NetworkPeers(network.clone()));
        let metrics = SyncMetrics::default();
        metrics.register(registry);
        let (sync, service) = heddle_sync::start(SyncConfig::default(), source, peers.clone(), metrics);
        let (status, state) = watch::channel(StateSyncStatus::default());
        let fetch = self.state_to_fetch(config, peers.clone(), registry, status);
        let (synced, has_state) = watch::channel(fetch.is_none());
        self.spawn("sync", async move {
            if let Some(fetch) = fetch
                && let Err(reason) = fetch.run().await
            {
                return reason;
            }
            synced.send_replace(true);
            service.await.to_string()
        });
        self.start_backfill(config, peers, has_state.clone());
        CatchingUp { sync, state, has_state }
    }

    fn state_to_fetch(
        &self,
        config: &NodeConfig,
        peers: Arc<NetworkPeers>,
        registry: &mut Registry,
        status: watch::Sender<StateSyncStatus>,
    ) -> Option<Fetch> {
        if config.sync.mode != SyncMode::Snapshot || !self.chain.is_at_genesis() {
            status.send_replace(StateSyncStatus { stage: StateSyncStage::Ended, ..StateSyncStatus::default() });
            return None;
        }
        let metrics = StateSyncMetrics::default();
        metrics.register(registry);
        // A clock before 1970 trusts every checkpoint, which is what an operator with such a clock would expect.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let checkpoint_not_before = now.saturating_sub(config.sync.trusting_period()).as_secs();
        let checkpoint = config.sync.checkpoint;
        Some(Fetch {
            config: StateSyncConfig { checkpoint, checkpoint_not_before, ..StateSyncConfig::default() },
            chain: self.chain.clone(),
            datadir: config.datadir.clone(),
            cache: config.cache,
            peers,
            metrics,
            status,
        })
    }

    /// Fetches what came before the state that the chain began with.
    fn start_backfill(&mut self, config: &NodeConfig, peers: Arc<NetworkPeers>, mut has_state: watch::Receiver<bool>) {
        let depth = match config.sync.backfill {
            BackfillMode::None => Depth::Head,
            BackfillMode::Headers => Depth::Headers,
            BackfillMode::Blocks => Depth::Blocks,
        };
        let past = Arc::new(ChainPast(self.chain.clone()));
        self.spawn("backfill", async move {
            // When sync ends before, its own task says why.
            if has_state.wait_for(|has_state| *has_state).await.is_ok()
                && let Err(error) = heddle_sync::backfill(BackfillConfig::new(depth), past, peers).await
            {
                return error.to_string();
            }
            std::future::pending().await
        });
    }
}
