//! `heddle devnet` as a process.

use crate::{Process, Rpc, free_port};
use tempfile::TempDir;

/// A running devnet.
pub struct Devnet {
    /// The process.
    pub process: Process,
    /// Its RPC server.
    pub rpc: Rpc,
    port: u16,
    // After the process, which writes its log there.
    _dir: TempDir,
}

impl Devnet {
    /// Starts a devnet with these options on a port that is free, and waits for its first block.
    pub async fn start(options: &[&str]) -> Self {
        let mut devnet = Self::launch(options);
        devnet.process.line("block ").await;
        devnet
    }

    /// Starts a devnet without waiting.
    pub fn launch(options: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let text = port.to_string();
        let arguments = [&["devnet", "--http-port", &text], options].concat();
        let process = Process::spawn(&dir.path().join("devnet.log"), &arguments);
        Self { process, rpc: Rpc::new(port), port, _dir: dir }
    }

    /// The port of HTTP and WebSocket.
    pub fn port(&self) -> u16 {
        self.port
    }
}
