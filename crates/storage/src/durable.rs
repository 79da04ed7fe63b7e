//! Crash-safe file replacement.

use crate::StorageError;
use crc::{CRC_32_ISCSI, Crc};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// CRC-32C: detects every burst of damage up to 32 bits, and has hardware support on common processors.
pub(crate) const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Makes `path` hold `bytes`: after a crash at any moment the file has its old content or its new one, whole.
/// Returns the new file, open for reading and writing, positioned at its end.
pub(crate) fn replace_file(path: &Path, bytes: &[u8]) -> Result<File, StorageError> {
    let temporary = temporary_path(path);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&temporary)
        .map_err(StorageError::io("create", &temporary))?;
    file.write_all(bytes).map_err(StorageError::io("write", &temporary))?;
    file.sync_all().map_err(StorageError::io("sync", &temporary))?;
    std::fs::rename(&temporary, path).map_err(StorageError::io("rename into place", path))?;
    sync_directory(path)?;
    Ok(file)
}

/// Without this a power loss may undo a rename that the process has already acted on.
fn sync_directory(path: &Path) -> Result<(), StorageError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory).and_then(|d| d.sync_all()).map_err(StorageError::io("sync the directory of", path))
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}
