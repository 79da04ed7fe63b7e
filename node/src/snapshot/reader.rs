//! Reading a file chunk by chunk. Every length is checked before anything is read or allocated for it.

use super::format::{
    CHUNK_BYTES_MAX, CHUNK_HEAD_BYTES, COMPRESSED_BYTES_MAX, Chunk, MAGIC, SnapshotFileError, VERSION, checksum,
};
use super::writer::io_error;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The chunks of a file, in order.
pub struct Reader<R = BufReader<File>> {
    path: PathBuf,
    input: R,
    /// Of the chunk that was read last, and where the next one starts.
    number: u64,
    offset: u64,
    next: u64,
    /// Chunks read.
    chunks: u64,
    /// Length of the file, if it is known.
    bytes: u64,
}

impl Reader {
    /// Opens a file.
    pub fn open(path: &Path) -> Result<Self, SnapshotFileError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        let metadata = file.metadata().map_err(io_error("open", path))?;
        if !metadata.is_file() {
            return Err(SnapshotFileError::NotASnapshot(path.to_owned()));
        }
        Ok(Self { bytes: metadata.len(), ..Reader::new(path, BufReader::with_capacity(1 << 20, file))? })
    }
}

impl<R: Read> Reader<R> {
    /// Reads the beginning.
    pub fn new(path: &Path, input: R) -> Result<Self, SnapshotFileError> {
        let mut reader = Self { path: path.to_owned(), input, number: 0, offset: 0, next: 0, chunks: 0, bytes: 0 };
        let start = reader.read(MAGIC.len() + 4)?;
        match start.strip_prefix(&MAGIC).and_then(|version| version.try_into().ok()).map(u32::from_be_bytes) {
            Some(VERSION) => Ok(reader),
            Some(found) => Err(SnapshotFileError::Version { path: reader.path, found }),
            None => Err(SnapshotFileError::NotASnapshot(reader.path)),
        }
    }

    /// The next chunk. Nothing can be read after an error.
    pub fn next_chunk(&mut self) -> Result<Chunk, SnapshotFileError> {
        (self.number, self.offset) = (self.chunks, self.next);
        let head = self.read(CHUNK_HEAD_BYTES)?;
        let head: Option<&[u8; CHUNK_HEAD_BYTES]> = head.as_slice().try_into().ok();
        let head = head.ok_or_else(|| self.wrong("the file ends here: it is cut"))?;
        let (lengths, hash) = head.split_at(8);
        let (compressed_length, length) = lengths.split_at(4);
        let (compressed_length, length) = (number(compressed_length), number(length));
        if length as usize > CHUNK_BYTES_MAX || compressed_length as usize > COMPRESSED_BYTES_MAX {
            return Err(self.wrong("its length is not that of a chunk: the file is damaged here"));
        }
        let compressed = self.read(compressed_length as usize)?;
        if compressed.len() < compressed_length as usize {
            return Err(self.wrong("the file ends in the middle of it: it is cut"));
        }
        if checksum(self.number, length, &compressed) != hash {
            return Err(self.wrong("its SHA-256 is another: the file is damaged here"));
        }
        let raw = zstd::bulk::decompress(&compressed, length as usize).map_err(|error| self.wrong(error))?;
        if raw.len() != length as usize {
            return Err(self.wrong("it decompresses to another length than it says"));
        }
        self.chunks += 1;
        Chunk::decode(&raw).map_err(|error| self.wrong(error))
    }

    /// Whether the file ends behind the chunk that was read last.
    pub fn expect_end(&mut self) -> Result<(), SnapshotFileError> {
        (self.number, self.offset) = (self.chunks, self.next);
        match self.read(1)?.is_empty() {
            true => Ok(()),
            false => Err(self.wrong("the file goes on behind its end")),
        }
    }

    /// How many chunks were read.
    pub fn chunks(&self) -> u64 {
        self.chunks
    }

    /// How much of the file was read.
    pub fn thousandths(&self) -> u64 {
        self.next.saturating_mul(1_000).checked_div(self.bytes).unwrap_or_default()
    }

    /// The error about the chunk that was read last.
    pub fn wrong(&self, reason: impl ToString) -> SnapshotFileError {
        let (number, offset) = (self.number, self.offset);
        SnapshotFileError::Chunk { path: self.path.clone(), number, offset, reason: reason.to_string() }
    }

    /// Up to `count` bytes; fewer at the end of the file.
    fn read(&mut self, count: usize) -> Result<Vec<u8>, SnapshotFileError> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(count as u64).read_to_end(&mut bytes).map_err(io_error("read", &self.path))?;
        self.next += bytes.len() as u64;
        Ok(bytes)
    }
}

/// Four bytes as a number.
fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}
