use super::*;
use crate::migration::META_FORMAT_KEY;
use crate::{Migration, MigrationObserver, MigrationProgress, MigrationStep, Rows};

pub(super) fn open(directory: &Path) -> Result<Database, StorageError> {
    // Memory enough that nothing is flushed but on demand, while a test copies the files.
    let config = DatabaseConfig { block_cache_bytes: 1 << 20, write_buffer_bytes: 64 << 20, open_files_max: 64 };
    Database::open(directory, &config)
}

pub(super) fn put(table: Table, key: &[u8], value: &[u8]) -> Batch {
    let mut batch = Batch::new();
    batch.put(table, key, value);
    batch
}

#[test]
fn a_batch_is_applied_in_order_and_survives_reopening() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    let mut batch = Batch::new();
    batch.put(Table::Headers, b"1", b"old");
    batch.put(Table::Headers, b"2", b"gone");
    batch.delete_range(Table::Headers, b"1", b"3");
    batch.put(Table::Headers, b"1", b"new");
    batch.put(Table::Headers, b"3", b"gone too");
    batch.delete(Table::Headers, b"3");
    batch.put(Table::Bodies, b"1", b"body");
    database.commit(batch).unwrap();
    drop(database);
    let database = open(directory.path()).unwrap();
    let headers = database.multi_get(Table::Headers, [b"3", b"2", b"1"]).unwrap();
    assert_eq!(headers, [None, None, Some(b"new".to_vec())]);
    assert_eq!(database.get(Table::Bodies, b"1").unwrap().as_deref(), Some(&b"body"[..]));
    assert_eq!(database.get(Table::Receipts, b"1").unwrap(), None);
}

#[test]
fn a_snapshot_sees_the_moment_it_was_taken_and_outlives_the_handle() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    let put = |key: &[u8], value: &[u8]| database.commit(put(Table::Accounts, key, value)).unwrap();
    put(b"a1", b"1");
    put(b"a2", b"2");
    put(b"b1", b"3");
    let snapshot = database.snapshot();
    put(b"a1", b"changed");
    put(b"a3", b"later");
    assert_eq!(database.get(Table::Accounts, b"a1").unwrap().as_deref(), Some(&b"changed"[..]));
    drop(database);

    let keys = |rows: Rows<'_>| rows.map(|row| String::from_utf8(row.unwrap().0).unwrap()).collect::<Vec<_>>();
    assert_eq!(snapshot.get(Table::Accounts, b"a1").unwrap().as_deref(), Some(&b"1"[..]));
    assert_eq!(keys(snapshot.prefix(Table::Accounts, b"a").unwrap()), ["a1", "a2"]);
    assert_eq!(keys(snapshot.range(Table::Accounts, b"a2", None).unwrap()), ["a2", "b1"]);
    assert_eq!(keys(snapshot.range(Table::Accounts, b"a", Some(b"a2")).unwrap()), ["a1"]);
    assert_eq!(snapshot.seek(Table::Accounts, b"a3").unwrap().map(|(key, _)| key), Some(b"b1".to_vec()));
    assert_eq!(snapshot.seek(Table::Accounts, b"c").unwrap(), None);
    let values = snapshot.multi_get(Table::Accounts, ["b1", "a3"]).unwrap();
    assert_eq!(values, [Some(b"3".to_vec()), None]);
}

#[test]
fn a_database_in_memory_holds_rows_and_shares_nothing() {
    let [one, other] = [(); 2].map(|()| Database::open_in_memory(&DatabaseConfig::default()).unwrap());
    one.commit(put(Table::Code, b"hash", b"code")).unwrap();
    one.commit_unsynced(put(Table::Code, b"hash 2", b"code 2")).unwrap();
    one.sync().unwrap();
    let read = |database: &Database| database.multi_get(Table::Code, ["hash", "hash 2"]).unwrap();
    assert_eq!(read(&one), [Some(b"code".to_vec()), Some(b"code 2".to_vec())]);
    assert_eq!(read(&other), [None, None]);
    let directory = std::env::temp_dir();
    assert!(!directory.join(CURRENT_FILE).exists() && !directory.join("heddle.lock").exists());
}

/// What a crash at this moment leaves: the files as they are, without what the process still holds.
pub(super) fn crash(directory: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(directory).unwrap() {
        let file = file.unwrap();
        // What disappears meanwhile was about to.
        if let Err(error) = std::fs::copy(file.path(), copy.path().join(file.file_name())) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
    copy
}

#[test]
fn what_is_unsynced_is_lost_whole_and_what_is_synced_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    let both = |number: u64| {
        let mut batch = put(Table::Headers, &number.to_be_bytes(), b"header");
        batch.put(Table::Bodies, number.to_be_bytes(), b"body");
        batch
    };
    let found = |directory: &Path| {
        let database = open(directory).unwrap();
        let rows = |table| database.snapshot().range(table, &[], None).unwrap().count();
        (rows(Table::Headers), rows(Table::Bodies))
    };
    database.commit(both(1)).unwrap();
    database.commit_unsynced(both(2)).unwrap();
    assert_eq!(found(crash(directory.path()).path()), (1, 1));
    database.sync().unwrap();
    database.commit_unsynced(both(3)).unwrap();
    assert_eq!(found(crash(directory.path()).path()), (2, 2));
    // A synced batch takes every earlier one with it.
    database.commit(both(4)).unwrap();
    assert_eq!(found(crash(directory.path()).path()), (4, 4));
    database.commit_unsynced(both(5)).unwrap();
    drop(database);
    assert_eq!(found(directory.path()), (5, 5), "closing writes what is left");
}

#[test]
fn a_second_opener_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    assert!(matches!(open(directory.path()), Err(StorageError::Locked { pid: Some(_), .. })));
    drop(database);
    open(directory.path()).unwrap();
}

#[test]
fn other_formats_are_refused_with_both_numbers() {
    for (row, expected) in [(&[0, 0, 0, 9][..], "format 9"), (b"?", "format of an unknown kind")] {
        let directory = tempfile::tempdir().unwrap();
        open(directory.path()).unwrap().commit(put(Table::Meta, META_FORMAT_KEY, row)).unwrap();
        let error = open(directory.path()).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains(&format!("reads format {FORMAT}")), "{error}");
    }
}

#[test]
fn a_database_with_rows_but_no_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut batch = Batch::new();
    batch.delete(Table::Meta, META_FORMAT_KEY);
    batch.put(Table::Code, b"hash", b"code");
    open(directory.path()).unwrap().commit(batch).unwrap();
    assert!(matches!(open(directory.path()), Err(StorageError::Format { .. })));
}

#[test]
fn a_database_without_a_newer_table_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).unwrap().commit(put(Table::Code, b"hash", b"code")).unwrap();
    {
        let mut db =
            DB::open_cf(&Options::default(), directory.path(), Table::ALL.iter().map(|table| table.name())).unwrap();
        db.drop_cf(Table::AccessLists.name()).unwrap();
    }
    let database = open(directory.path()).unwrap();
    database.commit(put(Table::AccessLists, b"number", b"list")).unwrap();
    assert_eq!(database.get(Table::AccessLists, b"number").unwrap(), Some(b"list".to_vec()));
    assert_eq!(database.get(Table::Code, b"hash").unwrap(), Some(b"code".to_vec()));
}

#[test]
fn an_unknown_table_means_another_format() {
    let directory = tempfile::tempdir().unwrap();
    {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        DB::open_cf(&options, directory.path(), ["meta", "verkle"]).unwrap();
    }
    let error = open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("unknown table `verkle`"), "{error}");
}

#[test]
fn an_older_format_is_migrated_step_by_step_and_can_be_interrupted() {
    fn rename(database: &Database, observer: MigrationObserver<'_>, from: &[u8], to: &[u8]) -> Batch {
        let row = database.get(Table::Code, from).unwrap().unwrap();
        observer(MigrationProgress { from: 0, table: Table::Code, rows_done: 1, rows_estimate: 1 });
        let mut batch = put(Table::Code, to, &row);
        batch.delete(Table::Code, from);
        batch
    }
    let steps: [MigrationStep; 2] =
        [|database, observer| Ok(rename(database, observer, b"v-1", b"v0")), |_, _| Err("the plug was pulled".into())];
    let directory = tempfile::tempdir().unwrap();
    {
        let mut batch = put(Table::Code, b"v-1", b"code");
        batch.put(Table::Meta, META_FORMAT_KEY, (FORMAT - 2).to_be_bytes());
        open(directory.path()).unwrap().commit(batch).unwrap();
    }
    let config = DatabaseConfig::default();
    let mut seen = 0;
    let mut migrate = |last: MigrationStep| {
        let migrations = [(FORMAT - 2, steps[0]), (FORMAT - 1, last)].map(|(from, step)| Migration { from, step });
        Database::open_migrating(directory.path(), &config, &migrations, &mut |_| seen += 1)
    };
    let error = migrate(steps[1]).unwrap_err();
    assert!(matches!(error, StorageError::Migration { from, .. } if from == FORMAT - 1), "{error}");
    let database = migrate(|database, observer| Ok(rename(database, observer, b"v0", b"v1"))).unwrap();
    assert_eq!(database.get(Table::Code, b"v1").unwrap().as_deref(), Some(&b"code"[..]));
    drop(database);
    assert_eq!(seen, 2, "no step runs twice");
    open(directory.path()).unwrap();
}

#[test]
fn sizes_cover_every_table_and_compaction_gives_space_back() {
    let directory = tempfile::tempdir().unwrap();
    let database = open(directory.path()).unwrap();
    for number in 0..100u64 {
        database.commit_unsynced(put(Table::Bodies, &number.to_be_bytes(), &[7; 100])).unwrap();
    }
    database.sync().unwrap();
    let stats = database.stats().unwrap();
    assert_eq!(stats.iter().map(|stats| stats.table).collect::<Vec<_>>(), Table::ALL);
    let bodies = database.table_stats(Table::Bodies).unwrap();
    assert!(bodies.rows_estimate == 100 && bodies.file_bytes > 0, "{bodies:?}");
    let mut batch = Batch::new();
    batch.delete_range(Table::Bodies, 0u64.to_be_bytes(), 100u64.to_be_bytes());
    database.commit(batch).unwrap();
    database.compact(Table::Bodies).unwrap();
    assert_eq!(database.table_stats(Table::Bodies).unwrap().file_bytes, 0);
}
