//! The binary under test.

use crate::DEADLINE;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Where the binary is.
///
/// # Panics
/// When it has not been built.
pub fn heddle() -> PathBuf {
    let path = std::env::var_os("HEDDLE_BIN").map_or_else(beside_the_test, PathBuf::from);
    assert!(path.exists(), "{} does not exist: run `cargo build --release --bin heddle`", path.display());
    path
}

/// `target/<profile>/heddle`, seen from `target/<profile>/deps/<test>`.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join("heddle")
}

/// How a command ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit status; `None` when a signal ended it.
    pub code: Option<i32>,
    /// All of stdout.
    pub stdout: String,
    /// All of stderr.
    pub stderr: String,
}

impl Finished {
    /// The JSON object that every successful command prints as the last line of stdout.
    ///
    /// # Panics
    /// When the command failed, or printed something else.
    pub fn result(&self) -> serde_json::Value {
        assert_eq!(self.code, Some(0), "{self:#?}");
        let last = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Checks that the command failed, and that stderr says each of `words`.
    ///
    /// # Panics
    /// When it did not.
    pub fn fails_naming(&self, words: &[&str]) {
        assert!(!matches!(self.code, Some(0) | None), "expected a non-zero exit status: {self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "stderr does not name `{word}`: {self:#?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:#?}");
    }
}

/// Runs a command of `heddle` to its end.
///
/// # Panics
/// When it does not end.
pub async fn run(arguments: &[&str]) -> Finished {
    run_with(&[], arguments).await
}

/// Runs a command of `heddle` to its end, with these environment variables besides the test's own.
///
/// # Panics
/// When it does not end.
pub async fn run_with(environment: &[(&str, &str)], arguments: &[&str]) -> Finished {
    finish(Command::new(heddle()).args(arguments).envs(environment.iter().copied())).await
}

/// Runs a command of another build of `heddle` to its end.
///
/// # Panics
/// When it does not end.
pub async fn run_binary(binary: &Path, arguments: &[&str]) -> Finished {
    finish(Command::new(binary).args(arguments)).await
}

async fn finish(command: &mut Command) -> Finished {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(DEADLINE, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{command:?} did not end")).unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
