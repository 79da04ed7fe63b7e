//! One process a directory, and one a sign state.

use crate::StorageError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

/// Most bytes of a lock file that are read for a pid.
const PID_BYTES_MAX: u64 = 16;

/// Ownership of a directory. The system releases it when the value is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _lock: FileLock,
}

/// An advisory lock on a file. The file itself stays, because removing it would let two processes lock two files.
#[derive(Debug)]
pub(crate) struct FileLock(File);

/// Closing the file would not do: a child process that was forked meanwhile, and has not executed its program yet, holds
/// the same lock.
impl Drop for FileLock {
    fn drop(&mut self) {
        // The system unlocks it at the latest when the last such process is gone.
        let _ = self.0.unlock();
    }
}

impl DirectoryLock {
    /// Name of the lock file in the directory.
    const FILE_NAME: &'static str = "heddle.lock";

    /// Creates the directory if needed and takes ownership of it.
    ///
    /// # Errors
    /// [`StorageError::Locked`] names the process that owns it.
    pub fn acquire(directory: &Path) -> Result<Self, StorageError> {
        std::fs::create_dir_all(directory).map_err(StorageError::io("create directory", directory))?;
        Ok(Self { _lock: FileLock::acquire(directory, &directory.join(Self::FILE_NAME))? })
    }
}

impl DirectoryLock {
    /// Who owns the directory, without taking it or writing anything: `None` nobody, `Some(None)` a process that did not
    /// say its number.
    ///
    /// # Errors
    /// The lock file cannot be read.
    pub fn owner(directory: &Path) -> Result<Option<Option<u32>>, StorageError> {
        let path = directory.join(Self::FILE_NAME);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StorageError::io("open lock file", &path)(source)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(read_pid(&mut file))),
            Err(TryLockError::Error(source)) => Err(StorageError::io("lock", &path)(source)),
        }
    }
}

impl FileLock {
    /// Takes ownership of `what` by a lock on the file `path`, which is made if needed.
    ///
    /// # Errors
    /// [`StorageError::Locked`] names the process that owns it.
    pub(crate) fn acquire(what: &Path, path: &Path) -> Result<Self, StorageError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(StorageError::io("open lock file", path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StorageError::Locked { path: what.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(StorageError::io("lock", path)(source)),
        }
        let mut lock = Self(file);
        let file = &mut lock.0;
        file.set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(StorageError::io("write lock file", path))?;
        Ok(lock)
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_owner_is_refused_with_directory_and_pid_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(directory.path()).unwrap();
        let error = DirectoryLock::acquire(directory.path()).unwrap_err().to_string();
        assert!(error.contains(&directory.path().display().to_string()), "{error}");
        assert!(error.contains(&format!("pid {}", std::process::id())), "{error}");
        assert_eq!(DirectoryLock::owner(directory.path()).unwrap(), Some(Some(std::process::id())));
        drop(first);
        assert_eq!(DirectoryLock::owner(directory.path()).unwrap(), None);
        DirectoryLock::acquire(directory.path()).unwrap();
    }

    #[test]
    fn a_forked_child_does_not_keep_it() {
        let directory = tempfile::tempdir().unwrap();
        let lock = DirectoryLock::acquire(directory.path()).unwrap();
        // What a child has of it between fork and exec.
        let _inherited = lock._lock.0.try_clone().unwrap();
        drop(lock);
        DirectoryLock::acquire(directory.path()).unwrap();
    }
}
