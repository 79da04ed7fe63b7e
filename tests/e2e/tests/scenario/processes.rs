//! The story on processes of this machine.

use crate::{Build, Deployment, create, previous_binary};
use heddle_e2e::{Process, Rpc, Signal, free_ports, heddle, path_text};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;
use toml::Table;

/// As many nodes as the story has.
const NODES: u16 = 6;

pub struct Processes {
    running: BTreeMap<String, Process>,
    ports: String,
    previous: PathBuf,
    // After the processes, which write there.
    dir: TempDir,
}

impl Processes {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [p2p, http, metrics] = [(); 3].map(|()| free_ports(NODES));
        let ports = format!("[ports]\np2p = {p2p}\nhttp = {http}\nmetrics = {metrics}\n");
        Self { running: BTreeMap::new(), ports, previous: previous_binary(dir.path()), dir }
    }

    fn config(&self, node: &str) -> PathBuf {
        self.dir.path().join("net/processes").join(node).join("node.toml")
    }
}

impl Deployment for Processes {
    async fn create(&mut self, description: &str) {
        create(self.dir.path(), &format!("{description}{}", self.ports), "processes").await;
    }

    async fn start(&mut self, node: &str, build: Build) {
        let binary = match build {
            Build::Previous => self.previous.clone(),
            Build::Current => heddle(),
        };
        let config = self.config(node);
        let log = config.with_file_name("node.log");
        let process = Process::spawn_binary(&log, &binary, &["node", "--config", path_text(&config)]);
        assert!(self.running.insert(node.to_owned(), process).is_none(), "{node} runs already");
    }

    async fn kill(&mut self, node: &str) {
        self.running.remove(node).unwrap().kill9().await;
    }

    async fn stop(&mut self, node: &str) {
        let mut process = self.running.remove(node).unwrap();
        process.signal(Signal::Interrupt).await;
        let (status, _) = process.ended().await;
        assert_eq!(status.code(), Some(0), "{status}:\n{}", process.log());
    }

    async fn rpc(&self, node: &str) -> Rpc {
        let config: Table = std::fs::read_to_string(self.config(node)).unwrap().parse().unwrap();
        Rpc::new(config["http"]["port"].as_integer().unwrap().try_into().unwrap())
    }
}
