//! `heddle db`, and imports that keep few states.

use super::support::{Ended, Files, heddle, plain_blocks, rlp};
use heddle_storage::{Batch, Database, DatabaseConfig, Table};

const BLOCKS: u64 = 8;

/// Files with a chain of eight blocks, imported into `data` with this history.
fn imported(history: &str) -> Files {
    let files = Files::plain();
    let path = files.write("chain.rlp", &rlp(&plain_blocks(&files, BLOCKS)));
    files.import_with("data", &[&path], &["--history", history]).ok();
    files
}

fn db(files: &Files, subcommand: &str, options: &[&str]) -> Ended {
    let mut command = heddle();
    command.arg("db").arg(subcommand).arg("--datadir").arg(files.path("data")).args(options);
    Ended::of(command.output().unwrap())
}

#[test]
fn an_import_keeps_the_states_that_it_is_told_to() {
    for (history, oldest) in [("archive", 0), ("full(3)", 5), ("full:0", 8), ("full(100)", 0)] {
        let files = imported(history);
        let chain = files.open("data");
        for number in 0..=BLOCKS {
            assert_eq!(chain.state_at(number).is_ok(), number >= oldest, "{history}: block {number}");
        }
        if let Err(error) = chain.state_at(oldest.wrapping_sub(1)) {
            assert!(oldest == 0 || error.to_string().contains(&format!("block {oldest}")), "{error}");
        }
        drop(chain);
        assert_eq!(db(&files, "stats", &[]).ok()["oldest"], oldest);
    }
}

#[test]
fn pruning_forgets_states_and_nothing_else() {
    let files = imported("archive");
    let result = db(&files, "prune", &["--history", "full(2)"]);
    assert_eq!((&result.ok()["oldest"], &result.ok()["blocks"]), (&6.into(), &6.into()));
    // A longer history does not bring states back.
    assert_eq!(db(&files, "prune", &["--history", "full(5)"]).ok()["oldest"], 6);
    let result = db(&files, "prune", &["--history", "some"]);
    assert!(result.code == Some(2) && result.stderr.contains("full(100000)"), "{}", result.stderr);
    let chain = files.open("data");
    assert!(chain.state_at(5).is_err() && chain.state_at(6).is_ok() && chain.block(1).unwrap().is_some());
}

#[test]
fn stats_show_every_table() {
    let files = imported("archive");
    let stats = db(&files, "stats", &[]);
    let tables = stats.ok()["tables"].as_object().unwrap();
    assert_eq!(tables.len(), heddle_storage::Table::ALL.len());
    assert_eq!((&tables["headers"]["rows"], &stats.ok()["head"]), (&(BLOCKS + 1).into(), &BLOCKS.into()));
    assert!(stats.ok()["fileBytes"].as_u64().unwrap() > 0 && stats.stderr.contains("transaction_lookup"));
    let nowhere = Files::plain();
    let result = db(&nowhere, "stats", &[]);
    assert!(result.code == Some(1) && result.stderr.contains("holds no database"), "{}", result.stderr);
}

#[test]
fn a_check_passes_a_sound_database_and_names_a_damaged_row() {
    let files = imported("full(3)");
    assert_eq!(db(&files, "check", &[]).ok()["findings"], 0);
    {
        let database = Database::open(&files.path("data").join("db"), &DatabaseConfig::default()).unwrap();
        let (key, mut row) = database.snapshot().seek(Table::Receipts, &5u64.to_be_bytes()).unwrap().unwrap();
        let last = row.len() - 1;
        row[last] ^= 1;
        let mut batch = Batch::new();
        batch.put(Table::Receipts, key, row);
        database.commit(batch).unwrap();
    }
    let damaged = db(&files, "check", &[]);
    assert!(damaged.kept("1 findings")["first"][0].as_str().unwrap().contains("receipts, key 0x0000000000000005"));
}
