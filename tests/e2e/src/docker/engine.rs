//! A Docker engine of the test's own.

use super::client::Client;
use crate::tools::has_package;
use crate::{eventually, path_text};
use std::fs::File;
use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running `dockerd`, all of whose files are in one temporary directory; several can live beside each other. Dropping it
/// ends it and the containers that are left.
#[derive(Debug)]
pub(super) struct Engine {
    process: Child,
    dir: TempDir,
}

/// What comes before `dockerd`: mounts of its own, which nobody else has to undo, and an end with the test, however the
/// test ends.
const WRAPPER: [&str; 5] = ["--pdeathsig", "TERM", "unshare", "--mount", "dockerd"];
/// The machine's packet filter, forwarding and default bridge stay as they are: containers meet on the bridges that a
/// test makes, and their published ports are carried by a proxy.
const KEEP_OUT: [&str; 5] =
    ["--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"];

impl Engine {
    /// Starts an engine, after an attempt to install it; `None` where it does not run, with the reason printed.
    pub(super) async fn start() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: no Docker engine answers, and only root starts one");
            return None;
        }
        if !has_package("dockerd", "docker.io").await {
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut engine = Self { process: spawn(dir.path()), dir };
        let client = engine.client();
        let ended = eventually("a Docker engine that answers", async || {
            let ended = engine.process.try_wait().unwrap();
            (ended.is_some() || client.answers().await).then_some(ended)
        });
        match ended.await {
            None => Some(engine),
            Some(status) => {
                let log = std::fs::read_to_string(engine.dir.path().join("log")).unwrap_or_default();
                println!("skipped: dockerd ended with {status}: {}", log.lines().last().unwrap_or_default());
                None
            }
        }
    }

    /// A client of this engine.
    pub(super) fn client(&self) -> Client {
        Client::of_package(host(self.dir.path()))
    }
}

fn host(dir: &Path) -> String {
    format!("unix://{}", path_text(&dir.join("socket")))
}

fn spawn(dir: &Path) -> Child {
    let log = File::create(dir.join("log")).unwrap();
    let mut command = Command::new("setpriv");
    command.args(WRAPPER).args(KEEP_OUT).args(["--host", &host(dir)]);
    for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
        command.args([option, path_text(&dir.join(name))]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true).spawn().unwrap()
}

impl Drop for Engine {
    fn drop(&mut self) {
        // It ends its containers and its own helpers before itself, and nothing then writes to the directory any more.
        let process = self.process.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        let Some(process) = process else { return };
        let _ = rustix::process::kill_process(process, rustix::process::Signal::TERM);
        let _ = rustix::process::waitpid(Some(process), rustix::process::WaitOptions::empty());
    }
}
