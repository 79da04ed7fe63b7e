//! A network of separate processes, made by `heddle genesis create`.

use crate::last_words::LastWords;
use crate::{Process, Rpc, Signal, eventually, free_port, heddle, run, run_binary};
use alloy_primitives::{Address, B256};
use serde_json::Value;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use toml::Table;

struct Node {
    dir: PathBuf,
    http_port: u16,
    /// What it is started with.
    binary: PathBuf,
    process: Option<Process>,
}

/// Validators 0 to N-1, and followers after them. Dropping it kills every node and removes every file.
pub struct Network {
    // Before the directory: the processes end before their files are removed.
    nodes: Vec<Node>,
    validators: usize,
    dir: TempDir,
    // After the nodes, which print their logs.
    _last_words: LastWords,
}

impl Network {
    /// Makes the files of a network of `validators`; nothing runs yet.
    pub async fn create(validators: usize) -> Self {
        Self::create_with(validators, &[]).await
    }

    /// As [`Self::create`], with more options for `heddle genesis create`.
    pub async fn create_with(validators: usize, options: &[&str]) -> Self {
        Self::create_by(&heddle(), validators, options).await
    }

    /// As [`Self::create_with`], made and run by another build of `heddle`; see [`Self::set_binary`].
    pub async fn create_by(binary: &Path, validators: usize, options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (count, out) = (validators.to_string(), dir.path().join("net"));
        let create = ["genesis", "create", "--validators", &count, "--out", path_text(&out)];
        run_binary(binary, &[&create, options].concat()).await.result();
        let mut network = Self { nodes: Vec::new(), validators, dir, _last_words: LastWords::new() };
        let ports = Vec::from_iter((0..validators).map(|_| free_port()));
        for node in 0..validators {
            let dir = out.join(format!("node{node}"));
            network.nodes.push(Node { dir, http_port: free_port(), binary: binary.to_owned(), process: None });
            network.move_ports(node, &ports);
        }
        network
    }

    /// Gives a node ports that are free here; `ports` are those of all validators for their peers.
    fn move_ports(&mut self, node: usize, ports: &[u16]) {
        /// The first peer-to-peer port that `genesis create` gives by default.
        const FIRST_PORT: usize = 30303;
        let http_port = self.nodes[node].http_port;
        self.configure(node, |toml| {
            toml.insert("addr".into(), "127.0.0.1".into());
            toml.insert("port".into(), i64::from(ports[node]).into());
            toml.insert("metrics".into(), format!("127.0.0.1:{}", free_port()).into());
            toml["http"]["port"] = i64::from(http_port).into();
            for address in toml["persistent-peers"].as_array_mut().unwrap() {
                let text = address.as_str().unwrap();
                let moved = ports.iter().enumerate().find_map(|(peer, port)| {
                    let written = format!("/tcp/{}/", FIRST_PORT + peer);
                    text.contains(&written).then(|| text.replace(&written, &format!("/tcp/{port}/")))
                });
                *address = moved.unwrap().into();
            }
        });
    }

    /// Adds a node without a validator key, with every validator as bootnode; returns its number.
    pub fn add_follower(&mut self) -> usize {
        let number = self.nodes.len();
        let dir = self.dir.path().join(format!("follower{number}"));
        std::fs::create_dir(&dir).unwrap();
        let http_port = free_port();
        let mut toml = Table::new();
        toml.insert("chain".into(), path_text(&self.genesis()).into());
        toml.insert("datadir".into(), path_text(&dir.join("data")).into());
        toml.insert("addr".into(), "127.0.0.1".into());
        toml.insert("port".into(), i64::from(free_port()).into());
        toml.insert("metrics".into(), format!("127.0.0.1:{}", free_port()).into());
        toml.insert("bootnodes".into(), self.addresses().into());
        let http = [("enabled", toml::Value::from(true)), ("port", i64::from(http_port).into())];
        toml.insert("http".into(), Table::from_iter(http.map(|(key, value)| (key.to_owned(), value))).into());
        std::fs::write(dir.join("node.toml"), toml.to_string()).unwrap();
        self.nodes.push(Node { dir, http_port, binary: heddle(), process: None });
        number
    }

    /// As [`Self::add_follower`], with a validator's key of its own: it validates once it is made a member.
    pub async fn add_candidate(&mut self) -> usize {
        let node = self.add_follower();
        self.new_key(node, "validator.key").await;
        node
    }

    /// Gives a node a new validator's key in a file of this name, which counts from the next start; returns the public key.
    pub async fn new_key(&mut self, node: usize, name: &str) -> B256 {
        let file = self.node_dir(node).join(name);
        let made = run(&["key", "generate", "--out", path_text(&file)]).await.result();
        self.configure(node, |toml| _ = toml.insert("validator-key".into(), path_text(&file).into()));
        serde_json::from_value(made["publicKey"].clone()).unwrap()
    }

    /// The public key that a node is configured to validate with, and its address.
    pub async fn validator(&self, node: usize) -> (B256, String) {
        let configured = self.configuration(node)["validator-key"].as_str().unwrap().to_owned();
        let shown = run(&["key", "show", path_text(&self.node_dir(node).join(configured))]).await.result();
        let key = serde_json::from_value(shown["publicKey"].clone()).unwrap();
        (key, shown["validatorAddress"].as_str().unwrap().to_owned())
    }

    /// Where peers reach the validators; known when there are at least two, from each other's configuration.
    pub fn addresses(&self) -> Vec<toml::Value> {
        let others = |node| self.configuration(node)["persistent-peers"].as_array().unwrap().clone();
        let first_two = Vec::from_iter((0..self.validators.min(2)).flat_map(others));
        let mut addresses = Vec::new();
        for address in first_two {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// The genesis file.
    pub fn genesis(&self) -> PathBuf {
        self.dir.path().join("net").join("genesis.json")
    }

    /// Changes the genesis file, before any node starts.
    pub fn edit_genesis(&self, change: impl FnOnce(&mut Value)) {
        let mut genesis = serde_json::from_slice(&std::fs::read(self.genesis()).unwrap()).unwrap();
        change(&mut genesis);
        std::fs::write(self.genesis(), genesis.to_string()).unwrap();
    }

    /// A directory for what a test needs besides; removed with the network.
    pub fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// The directory of a node's configuration, keys and log.
    pub fn node_dir(&self, node: usize) -> &Path {
        &self.nodes[node].dir
    }

    /// A node's data directory.
    pub fn datadir(&self, node: usize) -> PathBuf {
        self.nodes[node].dir.join("data")
    }

    /// A node's configuration file.
    pub fn config_file(&self, node: usize) -> PathBuf {
        self.nodes[node].dir.join("node.toml")
    }

    /// A node's configuration.
    pub fn configuration(&self, node: usize) -> Table {
        std::fs::read_to_string(self.config_file(node)).unwrap().parse().unwrap()
    }

    /// Changes a node's configuration; it counts from the next start.
    pub fn configure(&mut self, node: usize, change: impl FnOnce(&mut Table)) {
        let mut toml = self.configuration(node);
        change(&mut toml);
        std::fs::write(self.config_file(node), toml.to_string()).unwrap();
    }

    /// Starts a node with this build of `heddle` from the next start on.
    pub fn set_binary(&mut self, node: usize, binary: &Path) {
        self.nodes[node].binary = binary.to_owned();
    }

    /// Starts a node without waiting for it.
    pub fn launch(&mut self, node: usize) {
        assert!(self.nodes[node].process.is_none(), "node {node} runs already");
        let config = self.config_file(node);
        let log = self.nodes[node].dir.join("node.log");
        let process = Process::spawn_binary(&log, &self.nodes[node].binary, &["node", "--config", path_text(&config)]);
        self.nodes[node].process = Some(process);
    }

    /// As [`Self::launch`], under a program that becomes the node by `exec`.
    pub fn launch_under(&mut self, node: usize, wrapper: &[&str]) {
        assert!(self.nodes[node].process.is_none(), "node {node} runs already");
        let config = self.config_file(node);
        let log = self.nodes[node].dir.join("node.log");
        let process = Process::spawn_under(&log, wrapper, &["node", "--config", path_text(&config)]);
        self.nodes[node].process = Some(process);
    }

    /// Starts a node and waits until it answers.
    pub async fn start(&mut self, node: usize) {
        self.launch(node);
        self.wait_answer(node).await;
    }

    /// Starts every node that does not run, and waits until all answer.
    pub async fn start_all(&mut self) {
        let down = Vec::from_iter((0..self.nodes.len()).filter(|node| self.nodes[*node].process.is_none()));
        down.iter().for_each(|node| self.launch(*node));
        for node in down {
            self.wait_answer(node).await;
        }
    }

    async fn wait_answer(&mut self, node: usize) {
        let rpc = self.rpc(node);
        let process = self.process(node);
        eventually(&format!("an answer of node {node}"), async || {
            assert!(!process.has_ended(), "node {node} ended:\n{}", process.log());
            rpc.try_height().await
        })
        .await;
    }

    /// The process of a running node.
    pub fn process(&mut self, node: usize) -> &mut Process {
        self.nodes[node].process.as_mut().expect("a running node")
    }

    /// Kills a node with SIGKILL.
    pub async fn kill9(&mut self, node: usize) {
        self.nodes[node].process.take().expect("a running node").kill9().await;
    }

    /// Stops a node by a signal.
    pub async fn stop(&mut self, node: usize) {
        let mut process = self.nodes[node].process.take().expect("a running node");
        process.signal(Signal::Interrupt).await;
        let (status, _) = process.ended().await;
        assert_eq!(status.code(), Some(0), "{status}:\n{}", process.log());
    }

    /// Forgets a node whose process has ended by itself, so that it can start again.
    pub fn forget(&mut self, node: usize) {
        assert!(self.process(node).has_ended(), "node {node} still runs");
        self.nodes[node].process = None;
    }

    /// A node's RPC server.
    pub fn rpc(&self, node: usize) -> Rpc {
        Rpc::new(self.nodes[node].http_port)
    }

    /// The value of a node's metric; `None` while the node does not serve it.
    pub async fn metric(&self, node: usize, name: &str) -> Option<u64> {
        let address = self.configuration(node)["metrics"].as_str().unwrap().to_owned();
        let port = address.rsplit(':').next().unwrap().parse().unwrap();
        let text = Rpc::new(port).get("/metrics").await.ok()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        value.parse().ok()
    }

    /// Waits until a node's last block is `height` or later.
    pub async fn wait_height(&self, node: usize, height: u64) {
        let rpc = self.rpc(node);
        let what = format!("height {height} at node {node}");
        eventually(&what, async || rpc.try_height().await.filter(|now| *now >= height)).await;
    }

    /// Waits until each of these nodes is at `height` or later.
    pub async fn wait_heights(&self, nodes: impl IntoIterator<Item = usize>, height: u64) {
        for node in nodes {
            self.wait_height(node, height).await;
        }
    }

    /// Waits until `more` blocks are committed at a node after the ones it has now; returns the new height.
    pub async fn wait_blocks(&self, node: usize, more: u64) -> u64 {
        let height = self.rpc(node).height().await + more;
        self.wait_height(node, height).await;
        height
    }

    /// Checks that these nodes have the same block at every height from genesis to `height`, which each may still have to
    /// reach.
    ///
    /// # Panics
    /// When two differ, or one does not get so far.
    pub async fn check_agreement(&self, nodes: impl IntoIterator<Item = usize> + Clone, height: u64) {
        self.wait_heights(nodes.clone(), height).await;
        for number in 0..=height {
            let mut first = None;
            for node in nodes.clone() {
                let hash = self.rpc(node).hash(number).await;
                let (of, expected) = *first.get_or_insert((node, hash));
                assert_eq!(hash, expected, "block {number} of node {node} is not that of node {of}");
            }
        }
    }

    /// The account that receives the fees of a validator's blocks.
    pub async fn fee_recipient(&self, validator: usize) -> Address {
        let key = self.node_dir(validator).join("validator.key");
        let shown = run(&["key", "show", path_text(&key)]).await.result();
        let genesis: Value = serde_json::from_slice(&std::fs::read(self.genesis()).unwrap()).unwrap();
        let entries = genesis["config"]["heddle"]["validators"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["publicKey"] == shown["publicKey"]).expect("a validator");
        serde_json::from_value(entry["feeRecipient"].clone()).unwrap()
    }
}

/// A path as a command's argument.
pub fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
