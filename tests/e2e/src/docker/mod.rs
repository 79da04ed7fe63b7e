//! Nodes in containers: the image that operators run, on an engine that a test may hurt.
//!
//! ```text
//!   the test --- DOCKER_HOST ---> dockerd (the machine's, or one of the test's own in a temporary directory)
//!       |                            |
//!       |                         bridge of the test ------ container ------ container
//!       +--- 127.0.0.1:port ---------------------------------^ published port
//! ```
//!
//! [`Docker::start`] finds or starts the engine and builds the image from `docker/Dockerfile` around the binary under
//! test. An own engine gets everything it needs without any registry: its Debian base is made here by debootstrap. It
//! leaves the machine's packet filter and its forwarding alone. Dropping [`Docker`] removes all that it made.

mod base;
mod client;
mod container;
mod engine;

pub use container::Container;

use crate::{heddle, path_text};
use client::Client;
use engine::Engine;
use std::path::Path;
use std::process::Stdio;
use tokio::process::Command;

/// What every node of an operator should run with: nothing to write but its volumes, and no rights to gain.
pub const HARDENED: [&str; 5] = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"];
/// The image around the binary under test. Not `heddle:latest`, which on a developer's engine is the developer's.
const IMAGE: &str = "heddle:e2e";
/// The base that `docker/Dockerfile` asks for by default.
const BASE: &str = "debian:bookworm-slim";

/// A Docker engine with the image of a node.
///
/// Everything made through it bears its label, and is removed when it is dropped.
#[derive(Debug)]
pub struct Docker {
    client: Client,
    label: String,
    // After the client's last commands, in `drop`.
    own: Option<Engine>,
}

impl Docker {
    /// An engine that runs here, otherwise one of the test's own, with the image built; `None` where there can be none,
    /// with the reason printed.
    ///
    /// # Panics
    /// When the image cannot be built.
    pub async fn start() -> Option<Self> {
        let own = match Client::of_machine().answers().await {
            true => None,
            false => Some(Engine::start().await?),
        };
        let client = own.as_ref().map_or_else(Client::of_machine, Engine::client);
        if !client.has_buildkit().await {
            println!("skipped: the Docker client cannot build with BuildKit: install its buildx plugin");
            return None;
        }
        let docker = Self { client, label: format!("heddle-e2e={}", std::process::id()), own };
        if docker.own.is_some() {
            let tar = base::debian_tar().await?;
            docker.run(&["import", path_text(&tar), BASE]).await;
        }
        docker.build_image(IMAGE, &heddle()).await;
        Some(docker)
    }

    /// Name of the image around the binary under test.
    pub fn image(&self) -> &'static str {
        IMAGE
    }

    /// Builds an image from `docker/Dockerfile` around another binary; returns what the builder wrote.
    ///
    /// # Panics
    /// When it cannot be built.
    pub async fn build_image(&self, name: &str, binary: &Path) -> String {
        const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker/Dockerfile");
        // The context is the binary and nothing else: a build takes as long as it is large.
        let context = tempfile::tempdir().unwrap();
        std::fs::copy(binary, context.path().join("heddle")).unwrap();
        let arguments = ["--build-arg", "BINARY=prebuilt", "--build-arg", "PREBUILT=heddle"];
        let build = [&["build", "--label", &self.label, "--file", FILE, "--tag", name], &arguments[..]].concat();
        self.run(&[&build, &[path_text(context.path())][..]].concat()).await
    }

    /// Makes a bridge network, in which containers find each other by name.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn create_network(&self, name: &str) {
        self.run(&["network", "create", "--label", &self.label, name]).await;
    }

    /// Makes a volume in memory of that many mebibytes, the image's user's own: a disk that can be full.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn create_small_volume(&self, name: &str, mebibytes: u32) {
        let options = format!("o=size={mebibytes}m,uid=10001,gid=10001,mode=0700");
        let device = ["--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", &options];
        self.run(&[&["volume", "create", "--label", &self.label], &device[..], &[name]].concat()).await;
    }

    /// Starts a container with these options of `docker run` (see [`HARDENED`]) that runs `heddle` with these arguments.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_container(&self, name: &str, options: &[&str], arguments: &[&str]) -> Container {
        self.start_container_of(IMAGE, name, options, arguments).await
    }

    /// As [`Self::start_container`], from another image.
    ///
    /// # Panics
    /// When it cannot be started.
    pub async fn start_container_of(&self, image: &str, name: &str, options: &[&str], arguments: &[&str]) -> Container {
        let run = ["run", "--detach", "--label", &self.label, "--name", name];
        self.run(&[&run, options, &[image], arguments].concat()).await;
        self.container(name)
    }

    /// A container that something else started, such as docker-compose.
    pub fn container(&self, name: &str) -> Container {
        Container::new(self.client.clone(), name.to_owned())
    }

    /// Another program that speaks to this engine.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.client.point(command.as_std_mut());
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs `docker` with these arguments; returns its stdout.
    ///
    /// # Errors
    /// What it wrote to stderr when it failed.
    pub async fn try_run(&self, arguments: &[&str]) -> Result<String, String> {
        self.client.run(arguments).await
    }

    /// As [`Self::try_run`], for what must succeed.
    ///
    /// # Panics
    /// When it does not.
    pub async fn run(&self, arguments: &[&str]) -> String {
        let output = self.client.run(arguments).await;
        output.unwrap_or_else(|error| panic!("docker {}: {error}", arguments.join(" ")))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let label = format!("label={}", self.label);
        // An own engine ends here with all it has, also what docker-compose made.
        let filter: &[&str] = if self.own.is_some() { &[] } else { &["--filter", &label] };
        self.client.remove_all(&["ps", "--all", "--quiet"], filter, &["rm", "--force", "--volumes"]);
        self.client.remove_all(&["network", "ls", "--quiet", "--filter", "type=custom"], filter, &["network", "rm"]);
        if self.own.is_none() {
            self.client.remove_all(&["volume", "ls", "--quiet"], filter, &["volume", "rm", "--force"]);
            self.client.remove_all(&["image", "ls", "--quiet"], filter, &["image", "rm", "--force"]);
        }
    }
}
