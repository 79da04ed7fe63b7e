//! Running a page's commands.

use super::{Block, Kind, Page, repository};
use crate::netns::Namespace;
use crate::{heddle, within};
use std::os::unix::fs::symlink;
use std::process::{Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// How long a command may fail while one in the background is coming up.
const COMING_UP: Duration = Duration::from_secs(60);

/// A machine of a page's own: an empty directory, a network where every port is free, `heddle` on the path. The
/// repository's `config` and `docker` are in the directory, for pages that name them.
pub struct Shell {
    // Before the directory and the namespace that they use.
    background: Vec<(String, Child)>,
    directory: TempDir,
    namespace: Namespace,
}

impl Shell {
    /// Makes one; needs what [`Namespace::are_possible`] says.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["config", "docker"].into_iter().filter(|name| repository().join(name).exists()) {
            symlink(repository().join(name), directory.path().join(name)).unwrap();
        }
        // Where the binary is called otherwise, or beside others that must not be on the path.
        std::fs::create_dir(directory.path().join(".bin")).unwrap();
        symlink(heddle(), directory.path().join(".bin/heddle")).unwrap();
        Self { background: Vec::new(), directory, namespace: Namespace::create() }
    }

    /// Runs all commands of a page, in order.
    ///
    /// # Panics
    /// When one fails, naming page, line and what it wrote.
    pub async fn run(mut self, page: &Page) {
        for block in page.blocks() {
            let place = format!("{}:{}", page.name, block.line);
            match self.missing(block.kind).await {
                Some(reason) => println!("skipped: {place}: {reason}"),
                None => self.block(&place, &block).await,
            }
        }
    }

    /// Why blocks of this kind cannot be run here.
    async fn missing(&self, kind: Kind) -> Option<&'static str> {
        let (probe, reason) = match kind {
            Kind::Foreground | Kind::Background => return None,
            Kind::Docker => ("docker image inspect heddle", "no Docker here, or no image of Heddle"),
            Kind::Kubernetes => ("kubectl version --client", "no kubectl here"),
        };
        (!self.output(probe).await.status.success()).then_some(reason)
    }

    async fn block(&mut self, place: &str, block: &Block) {
        for command in &block.commands {
            if block.kind == Kind::Background {
                let child = self.command(&format!("exec {command}")).stdout(Stdio::null()).stderr(self.log()).spawn();
                self.background.push((command.clone(), child.unwrap()));
                continue;
            }
            let mut last = self.output(command).await;
            if !last.status.success() && !self.background.is_empty() {
                // What runs in the background may be coming up still.
                within(COMING_UP, async || {
                    self.check_background(place);
                    last = self.output(command).await;
                    last.status.success().then_some(())
                })
                .await;
            }
            let text = String::from_utf8_lossy(&last.stderr);
            assert!(last.status.success(), "{place}: `{command}` failed, {}:\n{text}\n{}", last.status, self.logged());
        }
        self.check_background(place);
    }

    fn check_background(&mut self, place: &str) {
        let mut ended = None;
        for (command, child) in &mut self.background {
            ended = ended.or(child.try_wait().unwrap().map(|status| (command.clone(), status)));
        }
        if let Some((command, status)) = ended {
            panic!("{place}: `{command}` ended in the background, {status}:\n{}", self.logged());
        }
    }

    async fn output(&self, command: &str) -> Output {
        self.command(command).output().await.unwrap()
    }

    fn command(&self, line: &str) -> Command {
        let directory = self.directory.path();
        let path = format!("{}:{}", directory.join(".bin").display(), std::env::var("PATH").unwrap_or_default());
        let [ip, options @ ..] = self.namespace.wrapper();
        let mut command = Command::new(ip);
        command.args(options).args(["bash", "-c", line]).env("PATH", path).current_dir(directory);
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    fn log(&self) -> std::fs::File {
        let path = self.directory.path().join(".background.log");
        std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
    }

    fn logged(&self) -> String {
        std::fs::read_to_string(self.directory.path().join(".background.log")).unwrap_or_default()
    }
}

impl Default for Shell {
    fn default() -> Self {
        Self::new()
    }
}
