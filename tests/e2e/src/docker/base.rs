//! The base of the image, made without a registry.

use crate::has_program;
use crate::path_text;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// A minimal Debian as a tar file, which `docker import` takes. Made once, and kept in the target directory; `None` where
/// it cannot be made, with the reason printed.
pub(super) async fn debian_tar() -> Option<PathBuf> {
    let dir = target().join("docker");
    let tar = dir.join("debian-bookworm.tar");
    if tar.exists() {
        return Some(tar);
    }
    if !has_program("debootstrap").await {
        return None;
    }
    std::fs::create_dir_all(&dir).unwrap();
    let scratch = TempDir::new_in(&dir).unwrap();
    match make(scratch.path()).await {
        Ok(made) => {
            // Under its name only when it is whole.
            std::fs::rename(made, &tar).unwrap();
            Some(tar)
        }
        Err(reason) => {
            println!("skipped: no base for the image: {reason}");
            None
        }
    }
}

/// `target`, seen from `target/<profile>/deps/<test>`.
fn target() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().to_owned()
}

async fn make(scratch: &Path) -> Result<PathBuf, String> {
    let (root, tar) = (scratch.join("root"), scratch.join("tar"));
    run("debootstrap", &["--variant=minbase", "bookworm", path_text(&root)]).await?;
    // What was downloaded on the way is of no use in an image.
    let without = ["--exclude=./var/cache/apt/*", "--exclude=./var/lib/apt/lists/*"];
    run("tar", &[&without[..], &["-C", path_text(&root), "-cf", path_text(&tar), "."]].concat()).await?;
    Ok(tar)
}

async fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    // debootstrap tells its progress, and what went wrong, on stdout.
    let told = [output.stdout, output.stderr].concat();
    let last = String::from_utf8_lossy(&told).lines().last().unwrap_or_default().to_owned();
    output.status.success().then_some(()).ok_or_else(|| format!("{program}: {last}"))
}
