//! Files with something wrong.

use super::*;
use crate::snapshot::format::{CHUNK_BYTES_MAX, COMPRESSED_BYTES_MAX, checksum};
use crate::snapshot::tests::world::genesis;
use alloy_primitives::U256;

/// Places all over a file, the same at each run.
fn spread(count: u64, bytes: usize) -> impl Iterator<Item = usize> {
    (1..=count).map(move |n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16) as usize % bytes)
}

/// Whether an error names a chunk.
pub fn place(error: &str, chunk: usize) -> bool {
    error.contains(&format!("chunk {chunk} at byte "))
}

#[test]
fn each_of_300_flipped_bits_is_found() {
    let archive = Archive::new();
    let whole = std::fs::read(archive.path()).unwrap();
    // All of the beginning, and many places behind.
    let places = (0..MAGIC.len() + 4 + CHUNK_HEAD_BYTES).chain(spread(240, whole.len()));
    for (bit, at) in (0..8).cycle().zip(places) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        std::fs::write(archive.beside(), damaged).unwrap();
        let error = archive.error(&archive.beside(), None);
        let is_named = error.contains("chunk ") || error.contains("has version") || error.contains("not a snapshot");
        assert!(is_named, "byte {at}: {error}");
    }
}

#[test]
fn a_cut_file_is_noticed_wherever_it_is_cut() {
    let archive = Archive::new();
    let whole = std::fs::read(archive.path()).unwrap();
    let ends = (0..80).chain(spread(100, whole.len())).chain(whole.len() - 20..whole.len());
    for end in ends {
        std::fs::write(archive.beside(), &whole[..end]).unwrap();
        let error = archive.error(&archive.beside(), None);
        assert!(error.contains("cut") || error.contains("not a snapshot"), "{end} bytes: {error}");
    }
    std::fs::write(archive.beside(), [&whole[..], &[0]].concat()).unwrap();
    assert!(archive.error(&archive.beside(), None).contains("goes on behind its end"));
}

#[test]
fn a_piece_left_out_twice_or_elsewhere_is_found_where_it_is() {
    let archive = Archive::new();
    let mut chunks = archive.chunks();
    chunks.pop();
    assert_eq!(archive.error_of(&chunks), "nothing is wrong");
    let first = chunks.iter().position(|chunk| matches!(chunk, Chunk::Piece(_))).unwrap();
    for at in first..chunks.len() {
        let mut without = chunks.clone();
        without.remove(at);
        let error = archive.error_of(&without);
        assert!(place(&error, at), "without {at}: {error}");
        let mut twice = chunks.clone();
        twice.insert(at, chunks[at].clone());
        let error = archive.error_of(&twice);
        assert!(place(&error, at + 1), "{at} twice: {error}");
        if at > first {
            let mut swapped = chunks.clone();
            swapped.swap(at - 1, at);
            let error = archive.error_of(&swapped);
            assert!(place(&error, at - 1), "{at} swapped: {error}");
        }
    }
}

#[test]
fn what_leads_to_the_state_must_be_whole() {
    type Alter = fn(&mut Vec<Chunk>);
    let table: [(&str, Alter); 9] = [
        ("chunk 0 at byte 20: it is not the pivot", |chunks| drop(chunks.remove(0))),
        ("the validators are known up to height 4", |chunks| drop(chunks.remove(1))),
        ("the validators are known up to height 4", |chunks| {
            let Chunk::Steps(steps) = &mut chunks[1] else { panic!() };
            steps.remove(0);
        }),
        ("the headers before the pivot are missing", |chunks| drop(chunks.remove(2))),
        ("the parent of the one after it", |chunks| {
            let Chunk::Ancestors(headers) = &mut chunks[2] else { panic!() };
            headers[3].gas_limit += 1;
        }),
        ("chunk 2 ", |chunks| {
            let Chunk::Ancestors(headers) = &mut chunks[2] else { panic!() };
            headers.remove(0);
        }),
        ("not more than two thirds", |chunks| {
            let Chunk::Pivot(pivot) = &mut chunks[0] else { panic!() };
            pivot.certificate.signatures.clear();
        }),
        ("chunk 3 ", |chunks| {
            let Chunk::Block(block) = &mut chunks[3] else { panic!() };
            let BlockChunk { receipts, .. } = &mut **block;
            receipts.clear();
        }),
        ("chunk 4 ", |chunks| {
            let again = chunks[3].clone();
            chunks.insert(4, again);
        }),
    ];
    let archive = Archive::new();
    for (index, (problem, alter)) in table.into_iter().enumerate() {
        let mut chunks = archive.chunks();
        chunks.pop();
        alter(&mut chunks);
        let error = archive.error_of(&chunks);
        assert!(error.contains(problem), "{index}: {error}");
    }
}

pub fn alter(piece: &mut PieceChunk) {
    match &mut piece.response {
        Response::Accounts(range) => range.accounts[7].account.balance += U256::ONE,
        Response::Storage(ranges) => ranges.accounts[0][0].value += U256::ONE,
        Response::Code(codes) => codes[0] = codes[0].iter().rev().copied().collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_piece_that_lies_is_found() {
    let archive = Archive::new();
    let chunks = archive.chunks();
    for at in 0..chunks.len() {
        let mut altered = chunks.clone();
        altered.pop();
        let Some(Chunk::Piece(piece)) = altered.get_mut(at) else { continue };
        alter(piece);
        let error = archive.error_of(&altered);
        assert!(place(&error, at), "{at}: {error}");
    }
}

#[test]
fn counts_must_be_right() {
    let archive = Archive::new();
    let mut chunks = archive.chunks();
    let Some(Chunk::End(counts)) = chunks.pop() else { panic!() };
    let mut writer = Writer::create(&archive.beside()).unwrap();
    chunks.iter().for_each(|chunk| writer.write(chunk).unwrap());
    writer.finish(Counts { slots: counts.slots + 1, ..counts }).unwrap();
    assert!(archive.error(&archive.beside(), None).contains("it says that the file holds"));
}

#[test]
fn another_chains_file_is_refused_by_its_genesis() {
    let archive = Archive::new();
    let error =
        verify(&archive.path(), &genesis(5), None, &StopFlag::default(), &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("of the chain with genesis"), "{error}");
    let mut chunks = archive.chunks();
    chunks.pop();
    let Chunk::Pivot(pivot) = &mut chunks[0] else { panic!() };
    pivot.genesis = genesis(5).hash();
    let mut writer = Writer::create(&archive.beside()).unwrap();
    chunks.iter().for_each(|chunk| writer.write(chunk).unwrap());
    writer.finish(Counts::default()).unwrap();
    let error =
        verify(&archive.beside(), &genesis(5), None, &StopFlag::default(), &mut |_, _| {}).err().unwrap().to_string();
    assert!(error.contains("chunk 1 at byte"), "{error}");
}

/// A file with one chunk after the beginning.
fn with_chunk(archive: &Archive, compressed_length: u32, length: u32, compressed: &[u8]) -> String {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1u32.to_be_bytes());
    bytes.extend(compressed_length.to_be_bytes());
    bytes.extend(length.to_be_bytes());
    bytes.extend(checksum(0, length, compressed));
    bytes.extend(compressed);
    std::fs::write(archive.beside(), bytes).unwrap();
    archive.error(&archive.beside(), None)
}

#[test]
fn lengths_are_bounded_before_anything_is_allocated() {
    let archive = Archive::of(World::at(1));
    let (longest, compressed_longest) = (CHUNK_BYTES_MAX as u32, COMPRESSED_BYTES_MAX as u32);
    for (compressed, length) in [(u32::MAX, 1), (compressed_longest + 1, 1), (1, u32::MAX), (1, longest + 1)] {
        let error = with_chunk(&archive, compressed, length, &[1]);
        assert!(error.contains("its length is not that of a chunk"), "{error}");
    }
    assert!(with_chunk(&archive, compressed_longest, longest, &[1]).contains("it is cut"));
    // A gigabyte of zeros in a few bytes.
    let bomb = zstd::bulk::compress(&vec![0; 1 << 30], 1).unwrap();
    for length in [0, 1, longest] {
        let error = with_chunk(&archive, bomb.len() as u32, length, &bomb);
        assert!(error.contains("chunk 0 at byte 20"), "{error}");
    }
    let short = zstd::bulk::compress(&[1, 2, 3], 1).unwrap();
    assert!(with_chunk(&archive, short.len() as u32, 9, &short).contains("another length"));
    for raw in [&[][..], &[0], &[9, 0xc0], &[5, 0xc0], &[2, 0xc0, 0xc0]] {
        let compressed = zstd::bulk::compress(raw, 1).unwrap();
        let error = with_chunk(&archive, compressed.len() as u32, raw.len() as u32, &compressed);
        assert!(place(&error, 0), "{error}");
    }
}
