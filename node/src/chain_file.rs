//! Files of blocks: concatenated RLP, as geth writes them. An item is a block on a plain Ethereum chain, and a
//! finalized block (block, certificate of its parent, its own certificate) on a Heddle chain.
//!
//! A file is read as a stream, one item in memory at a time, and every length is checked before anything is read or
//! allocated: whatever the file holds, its reader ends with an item, the end, or an error that names the place.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Largest item. Blocks are bounded by EIP-7934 from Osaka on, and before by gas limits that keep them below this.
pub const ITEM_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// First byte of a list of up to 55 bytes is this plus its length; of a longer one 0xf7 plus the bytes of its length.
const SHORT_LIST: u8 = 0xc0;
const LONG_LIST: u8 = 0xf7;

/// Why a file cannot be read further. What came before is good.
#[derive(Debug, thiserror::Error)]
pub enum ChainFileError {
    /// The file cannot be opened, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There are no blocks here, or no more.
    #[error("{path}: malformed at byte {offset}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where the item starts.
        offset: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The output is not a file that may be replaced.
    #[error("{0} is not a regular file")]
    NotAFile(PathBuf),
}

/// The items of a file, in order.
pub struct ChainFileReader<R = BufReader<File>> {
    path: PathBuf,
    input: R,
    offset: u64,
}

/// An item and where it stands, for errors about its content.
pub struct Item {
    /// Its first byte in the file.
    pub offset: u64,
    /// Its whole RLP.
    pub rlp: Vec<u8>,
}

impl ChainFileReader {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ChainFileError::Io`].
    pub fn open(path: &Path) -> Result<Self, ChainFileError> {
        let file = File::open(path).map_err(io_error("open", path))?;
        Ok(Self::new(path, BufReader::with_capacity(1024 * 1024, file)))
    }
}

impl<R: Read> ChainFileReader<R> {
    fn new(path: &Path, input: R) -> Self {
        Self { path: path.to_owned(), input, offset: 0 }
    }

    /// The next item; `None` at the end of the file.
    ///
    /// # Errors
    /// [`ChainFileError`]; nothing can be read after one.
    pub fn next_item(&mut self) -> Result<Option<Item>, ChainFileError> {
        let offset = self.offset;
        let mut rlp = self.read(1)?;
        let Some(&first) = rlp.first() else { return Ok(None) };
        let payload = match first {
            ..SHORT_LIST => return Err(self.malformed(offset, "an RLP list was expected")),
            SHORT_LIST..=LONG_LIST => u64::from(first - SHORT_LIST),
            _ => {
                let length = self.read_exact(offset, u64::from(first - LONG_LIST))?;
                let payload = self.long_length(offset, &length)?;
                rlp.extend(length);
                payload
            }
        };
        if payload > ITEM_BYTES_MAX {
            let reason = format!("a block of {payload} bytes is larger than {ITEM_BYTES_MAX} bytes");
            return Err(self.malformed(offset, reason));
        }
        rlp.extend(self.read_exact(offset, payload)?);
        Ok(Some(Item { offset, rlp }))
    }

    /// The error for an item whose content is wrong.
    pub fn malformed(&self, offset: u64, reason: impl Into<String>) -> ChainFileError {
        ChainFileError::Malformed { path: self.path.clone(), offset, reason: reason.into() }
    }

    fn long_length(&self, offset: u64, bytes: &[u8]) -> Result<u64, ChainFileError> {
        if bytes.first() == Some(&0) {
            return Err(self.malformed(offset, "the length of a list has a leading zero"));
        }
        let length = bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        if length < 56 {
            return Err(self.malformed(offset, "the length of a list is not in its shortest form"));
        }
        Ok(length)
    }

    fn read_exact(&mut self, offset: u64, count: u64) -> Result<Vec<u8>, ChainFileError> {
        let bytes = self.read(count)?;
        match bytes.len() as u64 {
            found if found < count => Err(self.malformed(offset, "the file ends in the middle of a block")),
            _ => Ok(bytes),
        }
    }

    /// Up to `count` bytes; fewer at the end of the file.
    fn read(&mut self, count: u64) -> Result<Vec<u8>, ChainFileError> {
        let mut bytes = Vec::new();
        self.input.by_ref().take(count).read_to_end(&mut bytes).map_err(io_error("read", &self.path))?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }
}

/// Writes a file that appears under its name only when it is whole.
pub struct ChainFileWriter {
    path: PathBuf,
    output: BufWriter<NamedTempFile>,
    bytes: u64,
}

impl ChainFileWriter {
    /// Starts a file beside `path`, which it replaces in the end.
    ///
    /// # Errors
    /// [`ChainFileError::NotAFile`] when a directory or a device has the name, or [`ChainFileError::Io`].
    pub fn create(path: &Path) -> Result<Self, ChainFileError> {
        match path.metadata() {
            Ok(metadata) if !metadata.is_file() => return Err(ChainFileError::NotAFile(path.to_owned())),
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error("write", path)(error)),
            _ => {}
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.prefix(".heddle-export-").tempfile_in(directory).map_err(io_error("write", path))?;
        Ok(Self { path: path.to_owned(), output: BufWriter::with_capacity(1024 * 1024, file), bytes: 0 })
    }

    /// Appends an item.
    ///
    /// # Errors
    /// [`ChainFileError::Io`].
    pub fn write(&mut self, item: &impl alloy_rlp::Encodable) -> Result<(), ChainFileError> {
        let rlp = alloy_rlp::encode(item);
        self.bytes += rlp.len() as u64;
        self.output.write_all(&rlp).map_err(io_error("write", &self.path))
    }

    /// Gives the file its name, once its bytes are on disk, and returns their number.
    ///
    /// # Errors
    /// [`ChainFileError::Io`].
    pub fn finish(self) -> Result<u64, ChainFileError> {
        let Self { path, output, bytes } = self;
        let file = output.into_inner().map_err(|error| io_error("write", &path)(error.into_error()))?;
        file.as_file().sync_all().map_err(io_error("write", &path))?;
        file.persist(&path).map_err(|error| io_error("write", &path)(error.error))?;
        Ok(bytes)
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> ChainFileError {
    let path = path.to_owned();
    move |source| ChainFileError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(bytes: &[u8]) -> (Vec<Vec<u8>>, Option<String>) {
        let mut reader = ChainFileReader::new(Path::new("file"), bytes);
        let mut items = Vec::new();
        loop {
            match reader.next_item() {
                Ok(Some(item)) => items.push(item.rlp),
                Ok(None) => return (items, None),
                Err(error) => return (items, Some(error.to_string())),
            }
        }
    }

    fn list(payload: usize) -> Vec<u8> {
        let mut rlp = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload }.encode(&mut rlp);
        rlp.resize(rlp.len() + payload, 0x01);
        rlp
    }

    #[test]
    fn items_of_every_length_class_are_read() {
        let items = [0, 1, 55, 56, 255, 256, 70_000].map(list);
        let (found, error) = read_all(&items.concat());
        assert_eq!((found.as_slice(), error), (items.as_slice(), None));
        assert_eq!(read_all(&[]), (Vec::new(), None));
    }

    #[test]
    fn what_stands_before_a_malformed_item_is_read() {
        let good = list(300);
        let truncated = &good[..good.len() - 1];
        let cases: [(&[u8], &str); 8] = [
            (truncated, "the file ends in the middle of a block"),
            (&good[..2], "the file ends in the middle of a block"),
            (&[0x00], "an RLP list was expected"),
            (b"junk", "an RLP list was expected"),
            (&[0xb8, 60], "an RLP list was expected"),
            (&[0xf8, 10], "not in its shortest form"),
            (&[0xf9, 0, 200], "a leading zero"),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "is larger than 16777216 bytes"),
        ];
        for (bytes, reason) in cases {
            let (items, error) = read_all(&[&good, bytes].concat());
            let error = error.unwrap();
            assert_eq!(items.as_slice(), std::slice::from_ref(&good), "{error}");
            assert!(error.contains(reason), "{error}");
            assert!(error.contains(&format!("at byte {}", good.len())), "{error}");
        }
    }

    #[test]
    fn a_written_file_is_whole_or_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain.rlp");
        let mut writer = ChainFileWriter::create(&path).unwrap();
        writer.write(&vec![1u8, 2]).unwrap();
        assert!(!path.exists());
        assert_eq!(writer.finish().unwrap(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), [0xc2, 1, 2]);
        drop(ChainFileWriter::create(&path).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(matches!(ChainFileWriter::create(directory.path()), Err(ChainFileError::NotAFile(_))));
    }
}
