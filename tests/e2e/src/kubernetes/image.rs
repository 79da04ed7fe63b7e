//! What a container image of the binary has: itself and the libraries that it needs, and no shell.

use super::tools::said;
use crate::heddle;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A root directory with the binary under test, where it also stands outside.
#[derive(Debug)]
pub struct Image {
    directory: TempDir,
}

impl Image {
    /// Makes one.
    ///
    /// # Panics
    /// When `ldd` does not know the binary.
    pub fn of_binary() -> Self {
        let image = Self { directory: tempfile::tempdir().unwrap() };
        let root = Root(image.root());
        let binary = heddle();
        let output = Command::new("ldd").arg(&binary).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        let libraries = said(&output);
        let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/')).map(Path::new);
        for file in libraries.chain([&*binary]) {
            let copy = root.place(file);
            std::fs::create_dir_all(copy.parent().expect("a directory")).unwrap();
            std::fs::copy(file, copy).unwrap();
        }
        for directory in ["/proc", "/dev", "/tmp"] {
            std::fs::create_dir_all(root.place(Path::new(directory))).unwrap();
        }
        image
    }

    fn root(&self) -> PathBuf {
        // The temporary directory itself is root's alone.
        self.directory.path().join("root")
    }

    /// The root of a new container, in a directory that may have been another's before.
    pub(super) fn container(&self, directory: &Path) -> Root {
        if directory.exists() {
            std::fs::remove_dir_all(directory).unwrap();
        }
        let output = Command::new("cp").arg("-al").arg(self.root()).arg(directory).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        Root(directory.to_owned())
    }
}

/// The root directory of one container. Whatever the container mounts finds a place.
pub(super) struct Root(pub(super) PathBuf);

impl Root {
    /// Where something stands outside.
    pub(super) fn place(&self, path: &Path) -> PathBuf {
        self.0.join(path.strip_prefix("/").expect("an absolute path"))
    }

    /// Makes a place where `source` can be mounted.
    pub(super) fn make_mount_point(&self, path: &Path, source: &Path) {
        let place = self.place(path);
        if source.is_dir() {
            std::fs::create_dir_all(place).unwrap();
        } else {
            std::fs::create_dir_all(place.parent().expect("a directory")).unwrap();
            std::fs::write(place, "").unwrap();
        }
    }
}
