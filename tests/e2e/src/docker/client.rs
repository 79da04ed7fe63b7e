//! The program `docker`.

use std::process::{Command, Output, Stdio};

/// A Docker client, and the engine that it speaks to.
#[derive(Clone, Debug)]
pub(super) struct Client {
    program: &'static str,
    /// DOCKER_HOST; the environment's when absent.
    host: Option<String>,
}

impl Client {
    /// The client on the PATH, with whatever engine it is set up for.
    pub(super) fn of_machine() -> Self {
        Self { program: "docker", host: None }
    }

    /// The client of Debian's package, which suits the engine of the same package.
    pub(super) fn of_package(host: String) -> Self {
        Self { program: "/usr/bin/docker", host: Some(host) }
    }

    /// Whether an engine answers.
    pub(super) async fn answers(&self) -> bool {
        self.run(&["info"]).await.is_ok()
    }

    /// Whether images are built by BuildKit, which builds only the stages that an image needs.
    pub(super) async fn has_buildkit(&self) -> bool {
        self.run(&["build", "--help"]).await.is_ok()
    }

    /// Makes a program speak to the same engine.
    pub(super) fn point(&self, command: &mut Command) {
        if let Some(host) = &self.host {
            command.env("DOCKER_HOST", host);
        }
        command.env("DOCKER_BUILDKIT", "1");
    }

    /// Runs it to its end; returns stdout.
    ///
    /// # Errors
    /// What it wrote to stderr when it failed.
    pub(super) async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = tokio::process::Command::from(self.command(arguments));
        outcome(command.kill_on_drop(true).output().await)
    }

    /// Everything a container wrote to stderr, which comes on the client's own; `options` are those of `docker logs`.
    ///
    /// # Errors
    /// When there is no such client.
    pub(super) fn log(&self, container: &str, options: &[&str]) -> std::io::Result<String> {
        let output = self.command(&[&["logs"], options, &[container]].concat()).output()?;
        Ok(String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Gives each line that `list` prints to `remove` as an argument; what fails is left to who cleans the machine.
    pub(super) fn remove_all(&self, list: &[&str], filter: &[&str], remove: &[&str]) {
        let listed = outcome(self.command(&[list, filter].concat()).output()).unwrap_or_default();
        let found = Vec::from_iter(listed.lines());
        if !found.is_empty() {
            let _ = self.command(&[remove, &found].concat()).output();
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        self.point(command.args(arguments).stdin(Stdio::null()));
        command
    }
}

fn outcome(output: std::io::Result<Output>) -> Result<String, String> {
    let output = output.map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
