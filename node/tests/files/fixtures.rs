//! The chain of execution-apis: every fork from Frontier on in 54 blocks.

use super::support::{Ended, heddle};
use serde_json::Value;
use std::path::PathBuf;

/// The folder of the fixtures, if it is there.
fn rpc_compat() -> Option<PathBuf> {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/fixtures"));
    let fixtures = std::env::var_os("HEDDLE_FIXTURES").map_or_else(default, PathBuf::from);
    let tests = fixtures.join("rpc-compat/tests");
    if !tests.is_dir() {
        println!("skipped: no fixtures");
        return None;
    }
    Some(tests)
}

#[test]
fn the_chain_of_execution_apis_imports_to_its_last_block_and_is_exported_to_the_byte() {
    let Some(tests) = rpc_compat() else { return };
    let directory = tempfile::tempdir().unwrap();
    let (datadir, exported) = (directory.path().join("data"), directory.path().join("exported.rlp"));
    let mut import = heddle();
    import.arg("import").arg("--chain").arg(tests.join("genesis.json")).arg("--datadir").arg(&datadir);
    let import = Ended::of(import.arg(tests.join("chain.rlp")).output().unwrap());
    let forkchoice: Value =
        serde_json::from_str(&std::fs::read_to_string(tests.join("headfcu.json")).unwrap()).unwrap();
    assert_eq!(import.ok()["hash"], forkchoice["params"][0]["headBlockHash"], "{}", import.stderr);

    let mut export = heddle();
    export.arg("export").arg("--datadir").arg(&datadir).arg(&exported);
    Ended::of(export.output().unwrap()).ok();
    assert!(std::fs::read(exported).unwrap() == std::fs::read(tests.join("chain.rlp")).unwrap());
}
