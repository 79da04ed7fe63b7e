//! What RocksDB's write-ahead log looks like after a crash, and what it does not.
//!
//! A power loss can tear the log's last write: RocksDB recovers what stands before it, and nothing synced is lost. It
//! does the same at any other damage, which would silently take back committed blocks. The difference is what follows.
//! Each logged write is on disk before the next one begins ([`Database::commit`](crate::Database::commit) syncs), so
//! the start of an intact write behind the damage says that no crash did it.
//!
//! ```text
//! file     = block of 32 KiB *                            all numbers little-endian
//! block    = fragment * | up to 6 zeros
//! fragment = masked CRC-32C of type and payload (4) | length of the payload (2) | type (1) | payload
//! write    = Full | First, Middle *, Last                 the payload begins with a sequence number (8) and a count (4)
//! ```

use crate::StorageError;
use crate::durable::CRC;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;
/// Sequence number and count, with which a write begins.
const WRITE_HEADER_BYTES: usize = 12;
/// Types of the fragments that begin a write.
const FULL: u8 = 1;
const FIRST: u8 = 2;
/// Added to a rotated CRC, so that a CRC over bytes that hold one is not trivial.
const MASK_DELTA: u32 = 0xa282_ead8;

/// Damage that no crash did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) path: PathBuf,
    /// Where it begins, in bytes.
    pub(crate) offset: u64,
    /// The highest sequence number behind it: what a recovery must reach, or else it lost something.
    pub(crate) sequence: u64,
}

/// Reads every log in the directory, oldest first, and returns the first damage that an intact write follows.
pub(crate) fn find_damage(directory: &Path) -> Result<Option<Damage>, StorageError> {
    let mut scan = Scan::default();
    for path in log_files(directory)? {
        scan.file(&path)?;
    }
    Ok(scan.damage)
}

/// The logs by number, which RocksDB counts up.
fn log_files(directory: &Path) -> Result<Vec<PathBuf>, StorageError> {
    let entries = std::fs::read_dir(directory).map_err(StorageError::io("list", directory))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(StorageError::io("list", directory))?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == "log")) {
            files.push((number, path));
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}

#[derive(Default)]
struct Scan {
    /// Sequence number of the last intact write before the first bad byte.
    last: u64,
    /// The first bad byte, as long as nothing intact followed it.
    bad: Option<(PathBuf, u64)>,
    damage: Option<Damage>,
}

impl Scan {
    fn file(&mut self, path: &Path) -> Result<(), StorageError> {
        let mut file = File::open(path).map_err(StorageError::io("open", path))?;
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        let mut offset = 0;
        loop {
            block.clear();
            let reader = file.by_ref().take(BLOCK_BYTES as u64);
            let read = { reader }.read_to_end(&mut block).map_err(StorageError::io("read", path))?;
            if read == 0 {
                return Ok(());
            }
            self.block(path, offset, &block);
            offset += read as u64;
        }
    }

    fn block(&mut self, path: &Path, offset: u64, block: &[u8]) {
        let mut rest = block;
        while !is_trailer(rest) {
            match Fragment::read(rest).filter(Fragment::is_intact) {
                Some(fragment) => {
                    rest = &rest[HEADER_BYTES + fragment.payload.len()..];
                    fragment.begins_write().into_iter().for_each(|sequence| self.write(sequence));
                }
                None if self.bad.is_some() => return self.search(rest),
                None => {
                    self.bad = Some((path.to_owned(), offset + (block.len() - rest.len()) as u64));
                    return self.search(rest);
                }
            }
        }
    }

    /// Where a length is damaged, the next fragment of the block can be anywhere behind.
    fn search(&mut self, bytes: &[u8]) {
        for start in 1..bytes.len() {
            let Some(fragment) = Fragment::read(&bytes[start..]) else { continue };
            let Some(sequence) = fragment.begins_write() else { continue };
            // The range keeps what only looks like a fragment, inside of a torn write, from being one.
            if sequence > self.last && sequence - self.last < 1 << 40 && fragment.is_intact() {
                self.write(sequence);
            }
        }
    }

    /// An intact write begins.
    fn write(&mut self, sequence: u64) {
        match (&self.bad, &mut self.damage) {
            (None, _) => self.last = sequence,
            (Some(_), Some(damage)) => damage.sequence = damage.sequence.max(sequence),
            (Some((path, offset)), none) => *none = Some(Damage { path: path.clone(), offset: *offset, sequence }),
        }
    }
}

struct Fragment<'a> {
    checksum: u32,
    kind: u8,
    payload: &'a [u8],
}

impl<'a> Fragment<'a> {
    /// The fragment at the beginning of the bytes, if they are enough for one.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let [c0, c1, c2, c3, l0, l1, kind] = *header;
        let payload = rest.get(..usize::from(u16::from_le_bytes([l0, l1])))?;
        Some(Self { checksum: u32::from_le_bytes([c0, c1, c2, c3]), kind, payload })
    }

    fn is_intact(&self) -> bool {
        let mut digest = CRC.digest();
        digest.update(&[self.kind]);
        digest.update(self.payload);
        self.kind != 0 && digest.finalize().rotate_right(15).wrapping_add(MASK_DELTA) == self.checksum
    }

    /// The sequence number of the write that begins here.
    fn begins_write(&self) -> Option<u64> {
        let header = self.payload.first_chunk::<WRITE_HEADER_BYTES>()?;
        let sequence = header.first_chunk::<8>().filter(|_| matches!(self.kind, FULL | FIRST))?;
        Some(u64::from_le_bytes(*sequence))
    }
}

/// A block too short for another fragment is filled with zeros.
fn is_trailer(rest: &[u8]) -> bool {
    rest.len() < HEADER_BYTES && rest.iter().all(|byte| *byte == 0)
}
