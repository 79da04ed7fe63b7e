//! The story in containers, as docker-compose starts them from the file that the command wrote.

use crate::{Build, Deployment, create, previous_binary};
use heddle_e2e::docker::Docker;
use heddle_e2e::{Rpc, free_port, has_program, path_text};
use std::collections::BTreeMap;
use std::fmt::Write;
use tempfile::TempDir;

/// What containers bear instead of `heddle-`, so that nobody else's are met.
const NAME: &str = "heddle-scenario";
/// Image of the build that is upgraded from.
const PREVIOUS: &str = "heddle:e2e-previous";

pub struct Compose {
    docker: Docker,
    /// Where a node's JSON-RPC is published. Only RPC nodes publish it by themselves.
    published: BTreeMap<String, u16>,
    /// Which build each node was started from last.
    builds: BTreeMap<String, Build>,
    rpc_port: u16,
    dir: TempDir,
}

impl Compose {
    /// `None` where there is no Docker, or no docker-compose, with the reason printed.
    pub async fn new() -> Option<Self> {
        if !has_program("docker-compose").await {
            return None;
        }
        let docker = Docker::start().await?;
        let dir = tempfile::tempdir().unwrap();
        docker.build_image(PREVIOUS, &previous_binary(dir.path())).await;
        Some(Self { docker, published: BTreeMap::new(), builds: BTreeMap::new(), rpc_port: free_port(), dir })
    }

    /// Runs `docker-compose` on the file as written, and on one that adds what only the story needs: the images, and
    /// every node's JSON-RPC at a port of this machine.
    async fn compose(&self, arguments: &[&str]) {
        let net = self.dir.path().join("net");
        let mut more = "services:\n".to_owned();
        for (node, port) in &self.published {
            let image = if self.builds[node] == Build::Previous { PREVIOUS } else { self.docker.image() };
            let _ = writeln!(more, "  {node}:\n    image: {image}");
            if !node.starts_with("rpc") {
                let inside = self.rpc_port;
                let _ = writeln!(
                    more,
                    "    environment: {{HEDDLE_HTTP_ADDR: 0.0.0.0}}\n    ports: [\"127.0.0.1:{port}:{inside}\"]"
                );
            }
        }
        let story = net.join("story.yaml");
        std::fs::write(&story, more).unwrap();
        let mut command = self.docker.command("docker-compose");
        command.args(["--project-name", NAME, "--file", path_text(&net.join("compose.yaml"))]);
        command.args(["--file", path_text(&story)]).args(arguments);
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn container_name(node: &str) -> String {
        format!("{NAME}-{node}")
    }
}

impl Deployment for Compose {
    async fn create(&mut self, description: &str) {
        let head = format!("name = \"{NAME}\"\n");
        let ports = format!("[ports]\nhttp = {}\n", self.rpc_port);
        create(self.dir.path(), &format!("{head}{description}{ports}"), "compose").await;
    }

    async fn start(&mut self, node: &str, build: Build) {
        self.builds.insert(node.to_owned(), build);
        let port = if node == "rpc-0" { self.rpc_port } else { free_port() };
        self.published.entry(node.to_owned()).or_insert(port);
        self.compose(&["up", "--detach", "--no-deps", node]).await;
    }

    async fn kill(&mut self, node: &str) {
        self.docker.container(&Self::container_name(node)).kill().await;
    }

    async fn stop(&mut self, node: &str) {
        let status = self.docker.container(&Self::container_name(node)).stop().await;
        assert_eq!(status, 0, "{node}");
    }

    async fn rpc(&self, node: &str) -> Rpc {
        Rpc::new(self.published[node])
    }
}

impl Drop for Compose {
    fn drop(&mut self) {
        // On an engine of the machine nothing else removes what docker-compose made.
        let mut command = self.docker.command("docker-compose");
        let file = self.dir.path().join("net/compose.yaml");
        command.args(["--project-name", NAME, "--file", path_text(&file), "down", "--volumes"]);
        let _ = command.as_std_mut().output();
    }
}
