//! One `heddle` process.

use crate::{eventually, heddle};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};

/// What a process is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The end, as service managers ask for it.
    Terminate,
    /// Stand still, as if cut off from everything.
    Stop,
    /// Go on after [`Signal::Stop`].
    Continue,
}

/// A running process; dropping it kills it. Its stderr is kept in a file, its stdout in another.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    stdout: PathBuf,
}

impl Process {
    /// Starts `heddle` with these arguments. `log` receives stderr, after what earlier processes wrote there; stdout
    /// goes beside it.
    pub fn spawn(log: &Path, arguments: &[&str]) -> Self {
        Self::spawn_binary(log, &heddle(), arguments)
    }

    /// As [`Self::spawn`], of another build of `heddle`.
    pub fn spawn_binary(log: &Path, binary: &Path, arguments: &[&str]) -> Self {
        Self::spawn_command(log, Command::new(binary).args(arguments))
    }

    /// As [`Self::spawn`], under another program, which must become `heddle` by `exec`: signals and the exit status are
    /// then those of `heddle`.
    pub fn spawn_under(log: &Path, wrapper: &[&str], arguments: &[&str]) -> Self {
        let (program, options) = wrapper.split_first().expect("a program");
        Self::spawn_command(log, Command::new(program).args(options).arg(heddle()).args(arguments))
    }

    fn spawn_command(log: &Path, command: &mut Command) -> Self {
        let stdout = log.with_extension("out");
        let stderr = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(stderr)
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { child, log: log.to_owned(), stdout }
    }

    /// All it has written to stderr, and those that had the same log before it.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits for a line of the log that contains `text`.
    pub async fn line(&mut self, text: &str) -> String {
        let log = self.log.clone();
        let what = format!("a line with `{text}` in {}", log.display());
        eventually(&what, async || {
            let exited = self.child.try_wait().unwrap();
            let found = std::fs::read_to_string(&log).unwrap().lines().find(|l| l.contains(text)).map(str::to_owned);
            assert!(found.is_some() || exited.is_none(), "ended with {exited:?} before it wrote {what}");
            found
        })
        .await
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process has ended.
    pub async fn signal(&self, signal: Signal) {
        let name = match signal {
            Signal::Interrupt => "INT",
            Signal::Terminate => "TERM",
            Signal::Stop => "STOP",
            Signal::Continue => "CONT",
        };
        let pid = self.id();
        // The shell's own `kill`: there is a shell everywhere.
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{name} {pid}")).status().await.unwrap();
        assert!(sent.success(), "kill -{name} {pid}");
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub async fn kill9(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Its number.
    ///
    /// # Panics
    /// When it has ended.
    pub fn id(&self) -> u32 {
        self.child.id().expect("a running process")
    }

    /// Waits until it ends by itself; returns how, and what it wrote to stdout.
    pub async fn ended(&mut self) -> (ExitStatus, String) {
        let what = format!("the end of the process that writes {}", self.log.display());
        let status = eventually(&what, async || self.child.try_wait().unwrap()).await;
        (status, std::fs::read_to_string(&self.stdout).unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        const LINES: usize = 30;
        if !std::thread::panicking() {
            return;
        }
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines = Vec::from_iter(log.lines());
        eprintln!("--- end of {}", self.log.display());
        lines.iter().skip(lines.len().saturating_sub(LINES)).for_each(|line| eprintln!("{line}"));
    }
}
