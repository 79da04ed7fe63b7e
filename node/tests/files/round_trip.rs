//! What `export` writes, `import` reads: on both kinds of chain the same head comes out.

use super::support::{Files, extend_heddle, plain_blocks, raise, rlp, transfer};
use heddle_primitives::Height;

#[test]
fn a_plain_chain_comes_back_from_its_file() {
    let files = Files::plain();
    let bytes = rlp(&plain_blocks(&files, 6));
    let path = files.write("good.rlp", &bytes);
    let head = files.import("a", &[&path]).ok()["hash"].clone();
    let exported = files.path("exported.rlp");
    let result = files.export("a", &exported, &[]);
    assert_eq!((&result.ok()["blocks"], &result.ok()["txs"]), (&6.into(), &12.into()));
    assert!(std::fs::read(&exported).unwrap() == bytes);
    assert_eq!(files.import("b", &[&exported]).ok()["hash"], head);
    // In parts, which overlap; and with the genesis block first, as geth exports it.
    let (first, second) = (files.path("1.rlp"), files.path("2.rlp"));
    files.export("a", &first, &["--from", "0", "--to", "4"]).ok();
    files.export("a", &second, &["--from", "3"]).ok();
    assert_eq!(files.import("c", &[&first, &second]).ok()["hash"], head);
    for range in [["--from", "5", "--to", "4"], ["--from", "1", "--to", "7"]] {
        let ended = files.export("a", &files.path("none.rlp"), &range);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains("no range of this chain, whose head is block 6"), "{}", ended.stderr);
        assert!(!files.path("none.rlp").exists());
    }
}

#[test]
fn a_heddle_chain_comes_back_with_its_certificates_and_validators() {
    let files = Files::heddle();
    let chain = files.open("a");
    (0..4).for_each(|n| extend_heddle(&chain, if n == 1 { raise(n) } else { transfer(n) }));
    let (head, certificates) = (chain.head().hash(), [2, 4].map(|number| chain.certificate(number).unwrap().unwrap()));
    drop(chain);
    let path = files.path("exported.rlp");
    files.export("a", &path, &[]).ok();
    assert_eq!(files.import("b", &[&path]).ok()["hash"], head.to_string());
    let copy = files.open("b");
    assert_eq!([2, 4].map(|number| copy.certificate(number).unwrap().unwrap()), certificates);
    let power = |height| copy.validators(Height::new(height)).unwrap().total_power();
    assert_eq!([3, 4].map(power), [1, 5]);
    drop(copy);

    // A signature that does not verify: the last byte of the file belongs to the last certificate.
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let path = files.write("forged.rlp", &bytes);
    let ended = files.import("c", &[&path]);
    assert_eq!(ended.kept("block 4 (")["number"], 3);
    ended.kept("is invalid: the signature of validator");
    let ended = files.export("c", &files.path("none.rlp"), &["--from", "0"]);
    assert!(ended.code == Some(1) && ended.stderr.contains("block 0 has no certificate"), "{}", ended.stderr);
}

#[test]
fn there_is_nothing_to_export_where_no_database_is() {
    let files = Files::plain();
    let ended = files.export("none", &files.path("out.rlp"), &[]);
    assert!(ended.code == Some(1) && ended.stderr.contains("holds no database"), "{}", ended.stderr);
    assert!(!files.path("none").exists());
}
