//! `admin.json` in the data directory: where the server is, and the token that opens it.

use crate::keys;
use crate::keys::file::{self, FileError};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

const NAME: &str = "admin.json";
/// Several times what is written.
const BYTES_MAX: u64 = 4 * 1024;

/// Why the file of a running node cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is none.
    #[error(
        "{} does not exist: start the node that has this data directory (without --no-admin), or name another --datadir",
        .0.display()
    )]
    Absent(PathBuf),
    /// Only the node's user may read it.
    #[error("cannot read {}: {source}: run this as the user that the node runs as", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No node wrote it.
    #[error("{} is not what a node writes: {reason}: remove it and start the node again", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: serde_json::Error,
    },
}

/// How to reach a running node's admin server.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields)]
pub struct AdminFile {
    /// Address and port of the server, as this machine reaches it.
    pub address: SocketAddr,
    /// The secret of this run, in hex.
    pub token: String,
}

impl AdminFile {
    /// A fresh token for a server that is bound to `bound`.
    pub(super) fn new(bound: SocketAddr) -> Self {
        let ip = match bound.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        Self { address: SocketAddr::new(ip, bound.port()), token: hex::encode(keys::random::<32>()) }
    }

    /// Where the file of a node with this data directory is.
    pub fn path(datadir: &Path) -> PathBuf {
        datadir.join(NAME)
    }

    /// What the node with this data directory wrote.
    ///
    /// # Errors
    /// [`ReadError`], which says what to do.
    pub fn read(datadir: &Path) -> Result<Self, ReadError> {
        let path = Self::path(datadir);
        let mut content = Vec::new();
        if let Err(source) = File::open(&path).and_then(|file| file.take(BYTES_MAX).read_to_end(&mut content)) {
            return Err(match source.kind() {
                io::ErrorKind::NotFound => ReadError::Absent(path),
                _ => ReadError::Io { path, source },
            });
        }
        serde_json::from_slice(&content).map_err(|reason| ReadError::Malformed { path, reason })
    }
}

/// The file of this process; removed when dropped.
#[derive(Debug)]
pub(super) struct OwnFile(PathBuf);

impl OwnFile {
    /// Writes the file with mode 0600, in place of one that a node that was killed left behind.
    pub(super) fn write(datadir: &Path, content: &AdminFile) -> Result<Self, FileError> {
        let path = AdminFile::path(datadir);
        file::put(&path, (serde_json::json!(content).to_string() + "\n").as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(file = %self.0.display(), %error, "cannot remove");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_is_its_owners_alone_replaces_a_stale_one_and_goes_with_its_server() {
        let datadir = tempfile::tempdir().unwrap();
        let path = AdminFile::path(datadir.path());
        std::fs::write(&path, "left behind").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();

        let content = AdminFile::new("127.0.0.1:4000".parse().unwrap());
        let own = OwnFile::write(datadir.path(), &content).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(AdminFile::read(datadir.path()).unwrap(), content);
        drop(own);
        assert!(matches!(AdminFile::read(datadir.path()), Err(ReadError::Absent(_))));
    }

    #[test]
    fn every_start_has_its_own_token() {
        let bound = "127.0.0.1:4000".parse().unwrap();
        let (first, second) = (AdminFile::new(bound).token, AdminFile::new(bound).token);
        assert_ne!(first, second);
        assert_eq!((first.len(), second.len()), (64, 64));
    }

    #[test]
    fn a_server_on_every_address_is_reached_over_loopback() {
        for (bound, reached) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")] {
            assert_eq!(AdminFile::new(bound.parse().unwrap()).address, reached.parse().unwrap());
        }
    }

    #[test]
    fn what_no_node_wrote_is_refused() {
        let datadir = tempfile::tempdir().unwrap();
        for content in ["", "{}", "[]", r#"{"address":"here","token":"x"}"#] {
            std::fs::write(AdminFile::path(datadir.path()), content).unwrap();
            assert!(matches!(AdminFile::read(datadir.path()), Err(ReadError::Malformed { .. })), "{content}");
        }
    }
}
