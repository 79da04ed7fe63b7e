//! Files of a real chain: read back whole, and refused with one thing wrong.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod hostile;
mod restored;
mod world;

use super::format::{BlockChunk, CHUNK_HEAD_BYTES, Chunk, Counts, MAGIC, PieceChunk};
use super::reader::Reader;
use super::writer::Writer;
use super::{create, verify};
use crate::shutdown::StopFlag;
use alloy_primitives::B256;
use heddle_primitives::{Checkpoint, Height, Response};
use std::path::{Path, PathBuf};
use world::World;

/// A file of the chain's last state, in a directory of its own.
struct Archive {
    world: World,
    directory: tempfile::TempDir,
}

impl Archive {
    fn new() -> Self {
        Self::of(World::at(10))
    }

    fn of(world: World) -> Self {
        let archive = Self { world, directory: tempfile::tempdir().unwrap() };
        create(&archive.world.chain, &archive.path(), &StopFlag::default(), &mut |_, _| {}).unwrap();
        archive
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("state.snapshot")
    }

    /// A path beside the file's.
    fn beside(&self) -> PathBuf {
        self.directory.path().join("other.snapshot")
    }

    fn chunks(&self) -> Vec<Chunk> {
        let mut reader = Reader::open(&self.path()).unwrap();
        let mut chunks = Vec::new();
        while !matches!(chunks.last(), Some(Chunk::End(_))) {
            chunks.push(reader.next_chunk().unwrap());
        }
        chunks
    }

    /// The error of a file with these chunks, whose checksums and counts are right.
    fn error_of(&self, chunks: &[Chunk]) -> String {
        let mut writer = Writer::create(&self.beside()).unwrap();
        chunks.iter().for_each(|chunk| writer.write(chunk).unwrap());
        let counts = self.chunks().pop();
        let Some(Chunk::End(counts)) = counts else { unreachable!() };
        writer.finish(counts).unwrap();
        self.error(&self.beside(), None)
    }

    fn error(&self, path: &Path, checkpoint: Option<Checkpoint>) -> String {
        match verify(path, self.world.chain.genesis(), checkpoint, &StopFlag::default(), &mut |_, _| {}) {
            Ok(_) => "nothing is wrong".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

fn checkpoint(number: u64, hash: B256) -> Option<Checkpoint> {
    Some(Checkpoint { height: Height::new(number), hash })
}

#[test]
fn a_file_has_what_the_chain_had() {
    let archive = Archive::new();
    let chain = &archive.world.chain;
    let (trusted, counts) =
        verify(&archive.path(), chain.genesis(), None, &StopFlag::default(), &mut |_, _| {}).unwrap();
    assert_eq!(trusted.base.pivot.header(), &chain.head().header);
    assert_eq!(trusted.base.ancestors.len(), 9);
    assert_eq!(trusted.block.unwrap().receipts, chain.receipts(10).unwrap().unwrap());
    assert!(counts.accounts > 6_000 && counts.slots > 10_000 && counts.codes > 3, "{counts:?}");
    let chunks = archive.chunks();
    assert_eq!(chunks.len() as u64, counts.chunks + 1);
    let of_kind = |is_kind: fn(&Response) -> bool| {
        chunks.iter().filter(|chunk| matches!(chunk, Chunk::Piece(piece) if is_kind(&piece.response))).count()
    };
    assert!(of_kind(|response| matches!(response, Response::Accounts(_))) >= 2);
    assert!(of_kind(|response| matches!(response, Response::Storage(_))) >= 2);
    assert!(of_kind(|response| matches!(response, Response::Code(_))) >= 1);
    // The same chain writes the same file.
    create(chain, &archive.beside(), &StopFlag::default(), &mut |_, _| {}).unwrap();
    assert!(std::fs::read(archive.path()).unwrap() == std::fs::read(archive.beside()).unwrap());
}

#[test]
fn a_file_is_there_when_it_is_whole() {
    let world = World::at(0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let error = create(&world.chain, &path, &StopFlag::default(), &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("at genesis"), "{error}");
    let error =
        create(&World::at(1).chain, directory.path(), &StopFlag::default(), &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_file_of_any_height_is_whole() {
    let world = World::at(0);
    for height in 1..=9 {
        world.run_to(height);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        create(&world.chain, &path, &StopFlag::default(), &mut |_, _| {}).unwrap();
        let (trusted, _) = verify(&path, world.chain.genesis(), None, &StopFlag::default(), &mut |_, _| {}).unwrap();
        assert_eq!(trusted.base.pivot.header(), &world.chain.head().header);
    }
}

#[test]
fn a_checkpoint_must_be_met() {
    let archive = Archive::new();
    let hash = |number| archive.world.chain.header(number).unwrap().unwrap().seal();
    for number in [1, 4, 9, 10] {
        assert_eq!(archive.error(&archive.path(), checkpoint(number, hash(number))), "nothing is wrong");
        let error = archive.error(&archive.path(), checkpoint(number, hash(5)));
        assert!(error.contains("one of them is of another chain"), "{error}");
    }
    let error = archive.error(&archive.path(), checkpoint(11, hash(5)));
    assert!(error.contains("does not show block 11"), "{error}");
}
