//! A file system with little room.

use crate::path_text;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs over a directory, which keeps its content there; unmounted when dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Name of the file that takes the room.
    const FILLER: &'static str = "filler";

    /// Mounts `mebibytes` over the directory `path` and copies its files there. `None` where nothing can be mounted, with
    /// the reason printed.
    pub fn over(path: &Path, mebibytes: u32) -> Option<Self> {
        let aside = path.with_extension("aside");
        std::fs::rename(path, &aside).unwrap();
        std::fs::create_dir(path).unwrap();
        let options = format!("size={mebibytes}m,mode=0700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs", path_text(path)]).output();
        match mount {
            Ok(output) if output.status.success() => {
                let from = format!("{}/.", path_text(&aside));
                assert!(Command::new("cp").args(["-a", &from, path_text(path)]).status().unwrap().success());
                std::fs::remove_dir_all(&aside).unwrap();
                Some(Self { path: path.to_owned() })
            }
            Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => skipped(&error.to_string()),
        }
    }

    /// Takes all the room that is left, and what is freed meanwhile.
    pub fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.path.join(Self::FILLER)).unwrap();
        std::io::copy(&mut std::io::repeat(0), &mut filler).expect_err("a disk that is full");
    }

    /// Gives the room back.
    pub fn free(&self) {
        std::fs::remove_file(self.path.join(Self::FILLER)).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may hold a file for a moment longer.
        let _ = Command::new("umount").args(["--lazy", path_text(&self.path)]).status();
    }
}

fn skipped(reason: &str) -> Option<SmallDisk> {
    println!("skipped: no tmpfs can be mounted: {}", reason.trim());
    None
}
