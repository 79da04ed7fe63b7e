//! A network of containers: four validators and a node for JSON-RPC on one bridge.

use heddle_e2e::docker::{Container, Docker, HARDENED};
use heddle_e2e::{Rpc, eventually, path_text, run};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use toml::Table;

/// How many validators there are; the RPC node comes after them.
pub const VALIDATORS: usize = 4;
/// The number of the RPC node.
pub const RPC_NODE: usize = VALIDATORS;
/// User and group of the image.
const USER: u32 = 10_001;
const NETWORK: &str = "heddle-e2e";

/// The containers of the network; their files live as long as it does.
pub struct Fleet {
    nodes: Vec<Container>,
    _dir: TempDir,
}

impl Fleet {
    /// Starts all nodes, hardened and with a published JSON-RPC port each. `options` are more options of `docker run` for
    /// one of them.
    pub async fn start(docker: &Docker, options: impl Fn(usize) -> Vec<&'static str>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("net");
        let count = VALIDATORS.to_string();
        let create = ["genesis", "create", "--validators", &count, "--block-time", "200ms", "--out", path_text(&net)];
        run(&create).await.result();
        docker.create_network(NETWORK).await;
        let peers = peers(&net);
        let mut nodes = Vec::new();
        for node in 0..=RPC_NODE {
            let files = prepare(&net, node, &peers);
            let mount = format!("{}:/config", path_text(&files));
            let mut arguments = HARDENED.to_vec();
            arguments.extend(["--network", NETWORK, "--publish", "127.0.0.1::8545", "--volume", &mount]);
            arguments.extend(options(node));
            nodes.push(docker.start_container(&name(node), &arguments, &[]).await);
        }
        let fleet = Self { nodes, _dir: dir };
        for node in 0..=RPC_NODE {
            fleet.reach(node, 2).await;
        }
        fleet
    }

    /// A node's container.
    pub fn node(&self, node: usize) -> &Container {
        &self.nodes[node]
    }

    /// Waits until a node has this block; returns its RPC server.
    pub async fn reach(&self, node: usize, height: u64) -> Rpc {
        eventually(&format!("block {height} at {}", name(node)), async || {
            let rpc = Rpc::new(self.node(node).published(8545).await?);
            (rpc.try_height().await? >= height).then_some(rpc)
        })
        .await
    }

    /// Waits until the chain has grown, as the RPC node sees it.
    pub async fn goes_on(&self) {
        let height = self.node(RPC_NODE).rpc().await.height().await;
        self.reach(RPC_NODE, height + 3).await;
    }

    /// Waits until a node has what the RPC node has now, and the same.
    pub async fn follows(&self, node: usize) {
        let rpc = self.node(RPC_NODE).rpc().await;
        let height = rpc.height().await;
        let follower = self.reach(node, height).await;
        assert_eq!(follower.hash(height).await, rpc.hash(height).await, "block {height} of {}", name(node));
    }

    /// Cuts a node off.
    pub async fn disconnect(&self, node: usize) {
        self.node(node).disconnect(NETWORK).await;
    }

    /// Joins it again.
    pub async fn connect(&self, node: usize) {
        self.node(node).connect(NETWORK).await;
    }
}

/// A container's name, which is what its peers call it.
fn name(node: usize) -> String {
    match node {
        RPC_NODE => "heddle-e2e-rpc".to_owned(),
        validator => format!("heddle-e2e-validator-{validator}"),
    }
}

fn read(net: &Path, node: usize) -> Table {
    std::fs::read_to_string(net.join(format!("node{node}")).join("node.toml")).unwrap().parse().unwrap()
}

/// How containers reach each validator, in order.
fn peers(net: &Path) -> Vec<String> {
    let others = |node: usize| {
        let addresses = read(net, node)["persistent-peers"].as_array().unwrap().clone();
        Vec::from_iter(addresses.iter().map(|address| address.as_str().unwrap().to_owned()))
    };
    let written = [&others(1)[..1], &others(0)].concat();
    let address = |(node, written): (usize, &String)| {
        let (_, id) = written.rsplit_once("/p2p/").unwrap();
        format!("/dns4/{}/tcp/30303/p2p/{id}", name(node))
    };
    Vec::from_iter(written.iter().enumerate().map(address))
}

/// Makes the files that a node's container mounts, its user's own.
fn prepare(net: &Path, node: usize, peers: &[String]) -> PathBuf {
    let dir = net.join(format!("node{node}"));
    let mut toml = match node {
        RPC_NODE => Table::new(),
        validator => read(net, validator),
    };
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(net.join("genesis.json"), dir.join("genesis.json")).unwrap();
    let others = Vec::from_iter(peers.iter().enumerate().filter(|(peer, _)| *peer != node).map(|(_, peer)| &**peer));
    let http = toml::toml! {
        enabled = true
        addr = "0.0.0.0"
        port = 8545
    };
    let changes = [
        ("chain", "genesis.json".into()),
        ("datadir", "/data".into()),
        ("cache", 64.into()),
        ("port", 30303.into()),
        ("metrics", "0.0.0.0:9001".into()),
        ("persistent-peers", others.into()),
        ("http", http.into()),
    ];
    toml.extend(changes.map(|(key, value): (_, toml::Value)| (key.to_owned(), value)));
    std::fs::write(dir.join("node.toml"), toml.to_string()).unwrap();
    for file in std::fs::read_dir(&dir).unwrap() {
        chown(file.unwrap().path(), Some(USER), Some(USER)).unwrap();
    }
    chown(&dir, Some(USER), Some(USER)).unwrap();
    dir
}
