//! Nodes whose handlers record what they see.

use alloy_primitives::{B256, Bytes, keccak256};
use async_trait::async_trait;
use heddle_network::{
    Announcement, GossipValidator, Judgement, Multiaddr, Network, NetworkConfig, NetworkError, NetworkHandle,
    NetworkService, NodeKey, PeerId, PeerInfo, RequestServer, Topic, TransactionPool, Verdict,
};
use heddle_primitives::{Height, Request, Response, Status, TransactionAnnouncement};
use libp2p::multiaddr::Protocol;
use prometheus_client::registry::Registry;
use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinHandle,
};

/// Far longer than anything here takes, so that only a hang fails.
const TIMEOUT: Duration = Duration::from_secs(180);

pub const GENESIS: B256 = B256::repeat_byte(0x11);
pub const OTHER_GENESIS: B256 = B256::repeat_byte(0x22);

/// Messages that start with these bytes get that verdict; all others are accepted.
pub const REJECTED: &[u8] = b"reject";

/// A message that makes the validator panic.
pub const FATAL: &[u8] = b"fatal";

/// Waits for `future`, or fails naming what never came.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, future).await.unwrap_or_else(|_| panic!("timed out waiting for {what}"))
}

/// Everything that a node's validator was given.
pub type Seen = watch::Receiver<Vec<(PeerId, Topic, Bytes)>>;

struct Recorder(watch::Sender<Vec<(PeerId, Topic, Bytes)>>);

#[async_trait]
impl GossipValidator for Recorder {
    async fn validate(&self, peer: PeerId, topic: Topic, message: Bytes) -> Verdict {
        assert!(!message.starts_with(FATAL), "told to panic");
        let verdict = if message.starts_with(REJECTED) { Verdict::Reject } else { Verdict::Accept };
        self.0.send_modify(|seen| seen.push((peer, topic, message)));
        verdict
    }
}

/// How a node answers requests.
#[derive(Clone, Copy)]
pub enum Server {
    /// With this height, to every request.
    Height(u64),
    Refuse,
    Never,
}

#[async_trait]
impl RequestServer for Server {
    async fn serve(&self, _: PeerId, _: Request) -> Option<Response> {
        match self {
            Self::Height(height) => Some(Response::Status(status(*height))),
            Self::Refuse => None,
            Self::Never => std::future::pending().await,
        }
    }
}

pub fn status(height: u64) -> Status {
    Status { height: Height::new(height), hash: B256::repeat_byte(7), earliest: Height::GENESIS }
}

/// A pool that takes every transaction, except that those that start with [`REJECTED`] are invalid.
#[derive(Default)]
pub struct Pool {
    held: watch::Sender<BTreeMap<B256, Bytes>>,
    network: OnceLock<NetworkHandle>,
}

impl Pool {
    fn connect(&self, network: NetworkHandle) {
        assert!(self.network.set(network).is_ok(), "a pool has one network");
    }

    /// Adds a transaction and announces it.
    pub fn add(&self, raw: Bytes, announcement: Announcement) -> B256 {
        let named = TransactionAnnouncement { hash: keccak256(&raw), bytes: raw.len() as u32 };
        self.held.send_modify(|held| drop(held.insert(named.hash, raw)));
        self.network.get().unwrap().announce(vec![named], announcement);
        named.hash
    }

    pub fn holds(&self, hash: &B256) -> bool {
        self.held.borrow().contains_key(hash)
    }

    /// Waits until the pool holds all of these.
    pub async fn until_holds(&self, hashes: &[B256]) {
        let mut held = self.held.subscribe();
        let holds_all = |held: &BTreeMap<B256, Bytes>| hashes.iter().all(|hash| held.contains_key(hash));
        within("transactions", held.wait_for(holds_all)).await.unwrap();
    }
}

#[async_trait]
impl TransactionPool for Pool {
    async fn lacking(&self, mut transactions: Vec<TransactionAnnouncement>) -> Vec<TransactionAnnouncement> {
        transactions.retain(|transaction| !self.holds(&transaction.hash));
        transactions
    }

    async fn encoded(&self, hashes: Vec<B256>, bytes_max: usize) -> Vec<Bytes> {
        let held = self.held.borrow();
        let mut bytes = 0;
        let fits = |raw: &Bytes| {
            bytes += raw.len();
            bytes <= bytes_max
        };
        hashes.iter().filter_map(|hash| held.get(hash).cloned()).take_while(fits).collect()
    }

    async fn pending(&self, count_max: usize) -> Vec<TransactionAnnouncement> {
        let name = |(hash, raw): (&B256, &Bytes)| TransactionAnnouncement { hash: *hash, bytes: raw.len() as u32 };
        self.held.borrow().iter().map(name).take(count_max).collect()
    }

    async fn receive(&self, _: PeerId, transactions: Vec<Bytes>) -> Judgement {
        let mut judgement = Judgement::default();
        for raw in transactions {
            assert!(!self.holds(&keccak256(&raw)), "given twice");
            if raw.starts_with(REJECTED) {
                judgement.invalid += 1;
            } else {
                judgement.accepted += 1;
                self.add(raw, Announcement::Gossip);
            }
        }
        judgement
    }
}

/// What to start.
#[derive(Clone)]
pub struct Plan {
    pub key: NodeKey,
    pub genesis: B256,
    pub server: Server,
    pub config: NetworkConfig,
}

pub fn tcp() -> Vec<Multiaddr> {
    vec!["/ip4/127.0.0.1/tcp/0".parse().unwrap()]
}

pub fn quic() -> Vec<Multiaddr> {
    vec!["/ip4/127.0.0.1/udp/0/quic-v1".parse().unwrap()]
}

/// Takes the trailing `/p2p/<peer id>` off addresses.
pub fn without_peer_id(addresses: &[Multiaddr]) -> Vec<Multiaddr> {
    let strip = |address: &Multiaddr| {
        let mut address = address.clone();
        assert!(matches!(address.pop(), Some(Protocol::P2p(_))));
        address
    };
    addresses.iter().map(strip).collect()
}

impl Plan {
    pub fn new() -> Self {
        let listen = NetworkConfig::listen_on(Ipv4Addr::LOCALHOST.into(), 0);
        let config = NetworkConfig { listen, ..NetworkConfig::default() };
        Self { key: NodeKey::generate(), genesis: GENESIS, server: Server::Height(5), config }
    }

    pub fn listen(mut self, addresses: Vec<Multiaddr>) -> Self {
        self.config.listen = addresses;
        self
    }

    /// Dials and cannot be dialled.
    pub fn hidden(self) -> Self {
        self.listen(Vec::new())
    }

    pub fn bootnodes(mut self, nodes: &[&Node]) -> Self {
        self.config.bootnodes = nodes.iter().flat_map(|node| node.handle.listen_addresses()).collect();
        self
    }

    pub fn genesis(mut self, genesis: B256) -> Self {
        self.genesis = genesis;
        self
    }

    pub fn server(mut self, server: Server) -> Self {
        self.server = server;
        self
    }

    pub fn persistent(mut self, nodes: &[&Node]) -> Self {
        self.config.persistent_peers = nodes.iter().flat_map(|node| node.handle.listen_addresses()).collect();
        self
    }

    /// Changes settings.
    pub fn with(mut self, change: impl FnOnce(&mut NetworkConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// The network's parts, not running yet.
    pub async fn parts(self) -> Result<(NetworkHandle, NetworkService, Seen, Arc<Pool>, Registry), NetworkError> {
        let (record, seen) = watch::channel(Vec::new());
        let (validator, server) = (Arc::new(Recorder(record)), Arc::new(self.server));
        let pool = Arc::new(Pool::default());
        let mut registry = Registry::default();
        let (handle, service) =
            Network::start(self.config, self.key, self.genesis, validator, server, pool.clone(), &mut registry).await?;
        Ok((handle, service, seen, pool, registry))
    }

    pub async fn try_start(self) -> Result<Node, NetworkError> {
        let (handle, service, seen, pool, registry) = self.parts().await?;
        pool.connect(handle.clone());
        Ok(Node { handle, seen, pool, registry, task: tokio::spawn(service.run()) })
    }

    pub async fn start(self) -> Node {
        self.try_start().await.unwrap()
    }
}

/// A running node; stops when dropped.
pub struct Node {
    pub handle: NetworkHandle,
    pub seen: Seen,
    pub pool: Arc<Pool>,
    pub registry: Registry,
    task: JoinHandle<Result<(), NetworkError>>,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    pub fn id(&self) -> PeerId {
        self.handle.local_peer_id()
    }

    /// Waits until the list of peers satisfies `condition`.
    pub async fn until_peers(&self, what: &str, condition: impl Fn(&[PeerInfo]) -> bool) -> Arc<[PeerInfo]> {
        let mut peers = self.handle.watch_peers();
        within(what, peers.wait_for(|peers| condition(peers))).await.unwrap().clone()
    }

    pub async fn until_connected(&self, other: &Node) -> PeerInfo {
        let id = other.id();
        let peers = self.until_peers("a peer", |peers| peers.iter().any(|peer| peer.peer_id == id)).await;
        peers.iter().find(|peer| peer.peer_id == id).unwrap().clone()
    }

    pub async fn until_lost(&self, id: PeerId) {
        self.until_peers("the loss of a peer", |peers| peers.iter().all(|peer| peer.peer_id != id)).await;
    }

    /// Waits until the validator was given `message`; by whom.
    pub async fn until_seen(&self, message: &Bytes) -> PeerId {
        let mut seen = self.seen.clone();
        let seen = within("a message", seen.wait_for(|seen| seen.iter().any(|(_, _, bytes)| bytes == message))).await;
        seen.unwrap().iter().find(|(_, _, bytes)| bytes == message).unwrap().0
    }

    pub fn has_seen(&self, message: &Bytes) -> bool {
        self.seen.borrow().iter().any(|(_, _, bytes)| bytes == message)
    }

    /// Waits until the node's loop ends by itself.
    pub async fn until_ended(mut self) -> Result<(), NetworkError> {
        within("the end of the loop", &mut self.task).await.unwrap()
    }

    /// Stops the node and waits until its loop has ended.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

/// A node on its own runtime, which can vanish without a word to its peers.
pub struct Doomed {
    runtime: Runtime,
    pub node: Node,
}

impl Doomed {
    pub async fn start(plan: Plan) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let node = runtime.spawn(plan.start()).await.unwrap();
        Self { runtime, node }
    }

    /// Drops every task and socket at once, as a killed process does.
    pub fn kill(self) {
        self.runtime.shutdown_background();
    }
}
