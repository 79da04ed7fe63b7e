//! Files that only their owner may read or change: keys, passphrases.
//!
//! What is checked is the opened file, not its path, so that nobody can exchange the one for the other in between.

use rustix::fs::OFlags;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use zeroize::Zeroizing;

/// Why a secret file cannot be used. None of them names what is in it.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It would be overwritten.
    #[error("{} exists already: choose another file, or remove it first", .0.display())]
    Exists(PathBuf),
    /// Whoever owns the link decides where it leads.
    #[error("{} is a symbolic link: name the file that it leads to", .0.display())]
    Symlink(PathBuf),
    /// A directory, a pipe or a device.
    #[error("{} is not a regular file: name a file", .0.display())]
    NotAFile(PathBuf),
    /// Another user could read or exchange it.
    #[error("{} belongs to user {found}, this process runs as user {expected}: run `chown {expected} {}`", path.display(), path.display())]
    Owner {
        /// The file or directory.
        path: PathBuf,
        /// Its owner.
        found: u32,
        /// The effective user.
        expected: u32,
    },
    /// Others could read or change it.
    #[error("{} has mode {mode:03o}, but nobody else may {rule} it: run `chmod {fix} {}`", path.display(), path.display())]
    Mode {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// What the bits let others do.
        rule: &'static str,
        /// The bits that it should have.
        fix: &'static str,
    },
    /// Longer than any such file.
    #[error("{} is longer than {bytes_max} bytes: it is not the file that was meant", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The bound.
        bytes_max: usize,
    },
}

impl FileError {
    /// Whether there is no such file.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    }
}

/// The content of a file of at most `bytes_max` bytes that nobody but this user can read or exchange.
///
/// # Errors
/// [`FileError`]; every message names the fix.
pub fn read(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let file = open(path, OpenOptions::new().read(true))?;
    // Room for all of it at once: growing would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(bytes_max + 64));
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    match bytes.len() > bytes_max {
        true => Err(FileError::TooLong { path: path.into(), bytes_max }),
        false => Ok(bytes),
    }
}

/// Opens a secret file and checks it and its directory.
fn open(path: &Path, options: &mut OpenOptions) -> Result<File, FileError> {
    // Opening a pipe would otherwise wait for its other end.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = options.custom_flags(flags.bits().cast_signed()).open(path).map_err(|source| {
        match source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            true => FileError::Symlink(path.into()),
            false => FileError::Io { action: "open", path: path.into(), source },
        }
    })?;
    check_directory(path)?;
    let metadata = file.metadata().map_err(io_error("look at", path))?;
    if !metadata.is_file() {
        return Err(FileError::NotAFile(path.into()));
    }
    let (found, expected) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if found != expected {
        return Err(FileError::Owner { path: path.into(), found, expected });
    }
    let mode = metadata.mode() & 0o7777;
    match mode & !0o600 {
        0 => Ok(file),
        _ => Err(FileError::Mode { path: path.into(), mode, rule: "use", fix: "600" }),
    }
}

/// Checks that no other user but root can exchange what is in the directory of `path`.
///
/// # Errors
/// [`FileError::Owner`] or [`FileError::Mode`] of the directory.
pub fn check_directory(path: &Path) -> Result<(), FileError> {
    let directory = directory_of(path);
    let metadata = std::fs::metadata(directory).map_err(io_error("look at", directory))?;
    let (found, expected) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if ![expected, 0].contains(&found) {
        return Err(FileError::Owner { path: directory.into(), found, expected });
    }
    let mode = metadata.mode() & 0o7777;
    match mode & 0o022 {
        0 => Ok(()),
        _ => Err(FileError::Mode { path: directory.into(), mode, rule: "change what is in", fix: "700" }),
    }
}

/// Makes a directory, and those above it, for this user alone; one that exists stays as it is.
///
/// # Errors
/// [`FileError::Io`].
pub fn create_directory(directory: &Path) -> Result<(), FileError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io_error("create", directory))
}

/// Writes a new secret file, in a directory that is made if needed.
///
/// # Errors
/// As [`write_new`]; or others could exchange what is in the directory.
pub fn create(path: &Path, content: &[u8]) -> Result<(), FileError> {
    create_directory(directory_of(path))?;
    check_directory(path)?;
    write_new(path, content)
}

/// Writes a new file of mode 0600. It appears whole and durable, or not at all.
///
/// # Errors
/// [`FileError::Exists`] and others; nothing is overwritten.
pub fn write_new(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_temporary(path, content)?.persist_noclobber(path).map_err(|failure| match failure.error.kind() {
        ErrorKind::AlreadyExists => FileError::Exists(path.into()),
        _ => io_error("create", path)(failure.error),
    })?;
    sync_directory(path)
}

/// Writes a file of mode 0600, in place of whatever has its name. It appears whole and durable, or not at all.
///
/// # Errors
/// [`FileError::Io`].
pub fn put(path: &Path, content: &[u8]) -> Result<(), FileError> {
    write_temporary(path, content)?.persist(path).map_err(|failure| io_error("replace", path)(failure.error))?;
    sync_directory(path)
}

/// Replaces the content of a file that passes the checks of [`read`]: after a crash it has the old content or the new
/// one. The blocks of the old content are overwritten, as far as the file system does that in place.
///
/// # Errors
/// [`FileError`].
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let mut old = open(path, OpenOptions::new().read(true).write(true))?;
    let old_bytes = old.metadata().map_err(io_error("look at", path))?.len();
    put(path, content)?;
    io::copy(&mut io::repeat(0).take(old_bytes), &mut old)
        .and_then(|_| old.sync_all())
        .map_err(io_error("overwrite the old content of", path))
}

/// A durable file of mode 0600 beside `path`.
fn write_temporary(path: &Path, content: &[u8]) -> Result<NamedTempFile, FileError> {
    let mut file = NamedTempFile::new_in(directory_of(path)).map_err(io_error("create a file beside", path))?;
    file.write_all(content).and_then(|()| file.as_file().sync_all()).map_err(io_error("write", path))?;
    Ok(file)
}

/// Without this a power loss may undo a rename.
fn sync_directory(path: &Path) -> Result<(), FileError> {
    let directory = directory_of(path);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error("sync the directory of", path))
}

/// The directory of a file.
pub fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    let path = path.to_owned();
    move |source| FileError::Io { action, path, source }
}

#[cfg(test)]
mod tests;
