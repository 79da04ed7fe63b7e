//! Whatever a file holds, the blocks before its damage are imported and kept, and the damage is named.

use super::support::{Files, plain_blocks, rlp};
use alloy_primitives::{B256, U256};
use heddle_primitives::Block;
use serde_json::Value;

/// Asserts that the head kept is this one of the blocks (counted from 1), and that as many were imported.
fn assert_kept(result: &Value, blocks: &[Block], number: usize) {
    let head = &blocks[number - 1].header;
    assert_eq!(result["number"], number as u64);
    assert_eq!(result["hash"], head.hash_slow().to_string());
    assert_eq!(result["stateRoot"], head.state_root.to_string());
    assert_eq!((&result["blocks"], &result["txs"]), (&Value::from(number), &Value::from(2 * number)));
    assert_eq!(result["gasUsed"], 42_000 * number as u64);
    assert!(result["seconds"].is_f64());
}

#[test]
fn a_good_file_is_imported_whole() {
    let files = Files::plain();
    let blocks = plain_blocks(&files, 5);
    let path = files.write("good.rlp", &rlp(&blocks));
    for (datadir, options) in [("a", vec![]), ("b", vec!["--mode", "parallel", "--threads", "1"])] {
        assert_kept(files.import_with(datadir, &[&path], &options).ok(), &blocks, 5);
    }
    let (first, second) = (files.write("1.rlp", &rlp(&blocks[..2])), files.write("2.rlp", &rlp(&blocks[2..])));
    assert_kept(files.import("c", &[&first, &second]).ok(), &blocks, 5);
    let empty = files.write("empty.rlp", &[]);
    assert_eq!(files.import("d", &[&empty]).ok()["number"], 0);
}

#[test]
fn blocks_before_a_malformed_one_are_kept() {
    let files = Files::plain();
    let blocks = plain_blocks(&files, 4);
    let (before, after) = (rlp(&blocks[..3]), rlp(&blocks[3..]));
    let at = format!("malformed at byte {}", before.len());
    let wrong_list = alloy_rlp::encode(vec![1u8, 2, 3]);
    let mut extra_item = after.clone();
    extra_item[1..3].copy_from_slice(&(after.len() as u16 - 3 + 1).to_be_bytes());
    extra_item.push(0x80);
    let cases: [(&str, &[u8], &str); 8] = [
        ("truncated", &after[..after.len() - 1], "ends in the middle of a block"),
        ("header only", &after[..2], "ends in the middle of a block"),
        ("trailing zero", &[0], "an RLP list was expected"),
        ("junk", b"junk", "an RLP list was expected"),
        ("another list", &wrong_list, "not a block"),
        ("block with one item too many", &extra_item, "not a block"),
        ("endless", &[0xfb, 0xff, 0xff, 0xff, 0xff], "is larger than"),
        ("junk between", &[b"junk".as_slice(), &after].concat(), "an RLP list was expected"),
    ];
    for (name, bytes, reason) in cases {
        let path = files.write("bad.rlp", &[&before, bytes].concat());
        let ended = files.import(name, &[&path]);
        assert_kept(ended.kept(&at), &blocks, 3);
        ended.kept(reason);
        assert_eq!(files.open(name).head().header.number, 3, "{name}");
    }
}

#[test]
fn an_invalid_block_ends_the_import_before_it() {
    type Alter = fn(&mut Block);
    let files = Files::plain();
    let blocks = plain_blocks(&files, 5);
    let cases: [(&str, Alter); 5] = [
        ("state root is", |block| block.header.state_root = B256::repeat_byte(7)),
        ("parent hash is", |block| block.header.parent_hash = B256::repeat_byte(7)),
        ("difficulty is", |block| block.header.difficulty = U256::from(1)),
        ("receipts root is", |block| block.header.receipts_root = B256::repeat_byte(7)),
        ("transactions root is", |block| block.body.transactions.reverse()),
    ];
    for (rule, alter) in cases {
        let mut bad = blocks.clone();
        alter(&mut bad[3]);
        let named = format!("block 4 ({}) is invalid: {rule}", bad[3].header.hash_slow());
        let path = files.write("bad.rlp", &rlp(&bad));
        assert_kept(files.import(rule, &[&path]).kept(&named), &blocks, 3);
        // The good file then goes on where the bad one ended.
        let path = files.write("good.rlp", &rlp(&blocks));
        let ended = files.import(rule, &[&path]);
        assert_eq!((&ended.ok()["number"], &ended.ok()["blocks"]), (&Value::from(5), &Value::from(2)));
    }
}

#[test]
fn a_block_that_does_not_follow_is_named() {
    let files = Files::plain();
    let blocks = plain_blocks(&files, 5);
    let gap = files.write("gap.rlp", &rlp(&[&blocks[..2], &blocks[3..]].concat()));
    assert_kept(files.import("a", &[&gap]).kept("block 4 does not follow the head, which is at 2"), &blocks, 2);
    let missing = files.path("missing.rlp");
    assert_eq!(files.import("b", &[&missing]).kept("cannot open")["number"], 0);
}

#[test]
fn a_chain_of_another_genesis_is_refused() {
    let (files, other) = (Files::plain(), Files::heddle());
    let path = files.write("good.rlp", &rlp(&plain_blocks(&files, 1)));
    files.import("a", &[&path]).ok();
    let ended = other.import(files.path("a").to_str().unwrap(), &[&path]);
    assert_eq!((ended.code, &ended.result), (Some(1), &None));
    assert!(ended.stderr.contains("the database is of the chain with genesis"), "{}", ended.stderr);
}
