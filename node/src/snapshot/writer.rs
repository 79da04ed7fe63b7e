//! Writing a file that appears under its name when it is whole.

use super::format::{CHUNK_BYTES_MAX, Chunk, Counts, MAGIC, SnapshotFileError, VERSION, checksum};
use std::fs::File;
use std::io::{BufWriter, Error, ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// zstd's own default: state is mostly hashes, which more effort makes no shorter.
const COMPRESSION_LEVEL: i32 = 3;

/// A file that is being written.
pub struct Writer {
    path: PathBuf,
    directory: PathBuf,
    output: BufWriter<NamedTempFile>,
    chunks: u64,
    bytes: u64,
}

impl Writer {
    /// Starts a file beside `path`, which it replaces in the end.
    pub fn create(path: &Path) -> Result<Self, SnapshotFileError> {
        if path.metadata().is_ok_and(|metadata| !metadata.is_file()) {
            return Err(io_error("write", path)(Error::new(ErrorKind::InvalidInput, "it is not a regular file")));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.prefix(".heddle-snapshot-").tempfile_in(directory).map_err(io_error("write", path))?;
        let output = BufWriter::with_capacity(1 << 20, file);
        let mut writer = Self { path: path.to_owned(), directory: directory.to_owned(), output, chunks: 0, bytes: 0 };
        writer.put(&MAGIC)?;
        writer.put(&VERSION.to_be_bytes())?;
        Ok(writer)
    }

    /// Appends a chunk.
    pub fn write(&mut self, chunk: &Chunk) -> Result<(), SnapshotFileError> {
        let raw = chunk.encode();
        let too_long = |_| {
            let reason = format!("a chunk of {} bytes is larger than {CHUNK_BYTES_MAX}", raw.len());
            io_error("write", &self.path)(Error::new(ErrorKind::InvalidData, reason))
        };
        let length = u32::try_from(raw.len()).map_err(too_long)?;
        let compressed = zstd::bulk::compress(&raw, COMPRESSION_LEVEL).map_err(io_error("write", &self.path))?;
        let compressed_length = u32::try_from(compressed.len()).map_err(too_long)?;
        let hash = checksum(self.chunks, length, &compressed);
        for part in [&compressed_length.to_be_bytes()[..], &length.to_be_bytes(), &hash, &compressed] {
            self.put(part)?;
        }
        self.chunks += 1;
        Ok(())
    }

    /// Chunks so far.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Appends the end, and gives the file its name once its bytes are on disk; returns their number.
    pub fn finish(mut self, counts: Counts) -> Result<u64, SnapshotFileError> {
        self.write(&Chunk::End(Counts { chunks: self.chunks, ..counts }))?;
        let Self { path, directory, output, bytes, .. } = self;
        let file = output.into_inner().map_err(|error| io_error("write", &path)(error.into_error()))?;
        file.as_file().sync_all().map_err(io_error("write", &path))?;
        file.persist(&path).map_err(|error| io_error("write", &path)(error.error))?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(io_error("write", &path))?;
        Ok(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), SnapshotFileError> {
        self.bytes += bytes.len() as u64;
        self.output.write_all(bytes).map_err(io_error("write", &self.path))
    }
}

/// The error of the system about a file.
pub fn io_error(action: &'static str, path: &Path) -> impl FnOnce(Error) -> SnapshotFileError {
    let path = path.to_owned();
    move |source| SnapshotFileError::Io { action, path, source }
}
