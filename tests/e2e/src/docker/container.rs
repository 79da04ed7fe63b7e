//! One container, and what can be done to it.

use super::client::Client;
use crate::{Rpc, eventually};
use serde_json::Value;

/// A container of [`Docker`](super::Docker), which removes it. While a test panics, the end of its log is printed.
#[derive(Debug)]
pub struct Container {
    client: Client,
    name: String,
}

impl Container {
    pub(super) fn new(client: Client, name: String) -> Self {
        Self { client, name }
    }

    /// Its name, which is also its host name for the containers of its networks.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port of 127.0.0.1 at which a TCP port of the container is published now; it is another one after each start,
    /// unless it was chosen. `None` while the container does not run, or has no network.
    pub async fn published(&self, port: u16) -> Option<u16> {
        let addresses = self.client.run(&["port", &self.name, &format!("{port}/tcp")]).await.ok()?;
        addresses.lines().next()?.rsplit_once(':')?.1.parse().ok()
    }

    /// The RPC server at the published port 8545.
    ///
    /// # Panics
    /// When the port is not published.
    pub async fn rpc(&self) -> Rpc {
        Rpc::new(self.published(8545).await.unwrap_or_else(|| panic!("{} publishes no port 8545", self.name)))
    }

    /// Kills it with SIGKILL, as `docker kill` does.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill(&self) {
        self.run(&["kill"]).await;
        self.ended().await;
    }

    /// Sends SIGTERM, and SIGKILL after 30 seconds; returns the exit status.
    ///
    /// # Panics
    /// When the engine fails.
    pub async fn stop(&self) -> i64 {
        self.run(&["stop", "--time", "30"]).await;
        self.ended().await
    }

    /// Starts it again, after it ended.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start(&self) {
        self.run(&["start"]).await;
    }

    /// Waits until it ends; returns the exit status.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn ended(&self) -> i64 {
        eventually(&format!("the end of {}", self.name), async || {
            let state = self.inspect().await["State"].take();
            (state["Status"] == "exited").then(|| state["ExitCode"].as_i64().unwrap())
        })
        .await
    }

    /// Waits until its health check has passed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn healthy(&self) {
        eventually(&format!("{} to be healthy", self.name), async || {
            (self.inspect().await["State"]["Health"]["Status"] == "healthy").then_some(())
        })
        .await;
    }

    /// Takes it off a network, as if its cable was pulled: also its published ports are gone.
    ///
    /// # Panics
    /// When it is not on it.
    pub async fn disconnect(&self, network: &str) {
        self.client.run(&["network", "disconnect", network, &self.name]).await.unwrap();
    }

    /// Puts it on a network.
    ///
    /// # Panics
    /// When it is on it.
    pub async fn connect(&self, network: &str) {
        self.client.run(&["network", "connect", network, &self.name]).await.unwrap();
    }

    /// Runs `heddle` inside with these arguments; returns its stdout.
    ///
    /// # Errors
    /// What it wrote to stderr when it failed.
    pub async fn heddle(&self, arguments: &[&str]) -> Result<String, String> {
        self.client.run(&[&["exec", &self.name, "heddle"], arguments].concat()).await
    }

    /// All it has written to stderr.
    ///
    /// # Panics
    /// When the engine fails.
    pub fn log(&self) -> String {
        self.client.log(&self.name, &[]).unwrap()
    }

    /// What `docker inspect` says of it.
    ///
    /// # Panics
    /// When the engine fails.
    pub async fn inspect(&self) -> Value {
        let text = self.run(&["inspect"]).await;
        serde_json::from_str::<Value>(&text).unwrap()[0].take()
    }

    async fn run(&self, command: &[&str]) -> String {
        let output = self.client.run(&[command, &[&self.name]].concat()).await;
        output.unwrap_or_else(|error| panic!("docker {} {}: {error}", command.join(" "), self.name))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let end = self.client.log(&self.name, &["--tail", "30"]).unwrap_or_default();
            eprintln!("--- end of the log of {}\n{end}", self.name);
        }
    }
}
