//! The archive of ethereum/tests among the fixtures, unpacked once into a cache.

use alloy_primitives::keccak256;
use liblzma::read::XzDecoder;
use std::io;
use std::path::{Path, PathBuf};

const ARCHIVE: &str = "ethereum-tests.tar.xz";

/// The directory of fixtures: `$HEDDLE_FIXTURES`, or `../shared/fixtures` beside the repository.
pub fn fixtures() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    std::env::var_os("HEDDLE_FIXTURES").map_or_else(default, PathBuf::from)
}

/// The directory with the archive's content, unpacked unless it was before; `None` when there is no archive.
///
/// # Errors
/// The disk's, or a damaged archive.
pub fn unpack(fixtures: &Path) -> io::Result<Option<PathBuf>> {
    let archive = match std::fs::read(fixtures.join(ARCHIVE)) {
        Ok(archive) => archive,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let cache = cache();
    // Named by its content: another archive never meets this one's files.
    let directory = cache.join(format!("ethereum-tests-{:x}", keccak256(&archive)));
    if directory.is_dir() {
        return Ok(Some(directory));
    }
    std::fs::create_dir_all(&cache)?;
    let unpacked = tempfile::Builder::new().prefix(".unpacking-").tempdir_in(&cache)?;
    tar::Archive::new(XzDecoder::new(archive.as_slice())).unpack(unpacked.path())?;
    // Moved into place when complete, so that a killed run leaves nothing that looks like the whole.
    match std::fs::rename(unpacked.path(), &directory) {
        Ok(()) => {}
        // Another run may have been faster.
        Err(_) if directory.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(Some(directory))
}

/// The user's cache, by the XDG convention.
fn cache() -> PathBuf {
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(std::env::temp_dir).join("heddle").join("conformance")
}
