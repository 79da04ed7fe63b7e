use super::*;

struct Fixture {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("consensus.log");
        Self { _directory: directory, path }
    }

    fn open(&self) -> (ConsensusLog, Vec<Vec<u8>>) {
        ConsensusLog::open(&self.path).unwrap()
    }

    /// Writes each group of records as one frame and returns the length of the file after each.
    fn write(&self, frames: &[&[&str]]) -> Vec<usize> {
        let (mut log, _) = self.open();
        let mut ends = Vec::new();
        for frame in frames {
            for record in *frame {
                log.append(record.as_bytes()).unwrap();
            }
            log.sync().unwrap();
            ends.push(std::fs::metadata(&self.path).unwrap().len() as usize);
        }
        ends
    }

    fn damage(&self, offset: usize) {
        let mut bytes = std::fs::read(&self.path).unwrap();
        bytes[offset] ^= 0x40;
        std::fs::write(&self.path, bytes).unwrap();
    }
}

fn records(of: &[&str]) -> Vec<Vec<u8>> {
    of.iter().map(|record| record.as_bytes().to_vec()).collect()
}

#[test]
fn synced_records_come_back_in_order_and_appending_continues() {
    let fixture = Fixture::new();
    fixture.write(&[&["a", ""], &["b"]]);
    assert_eq!(fixture.open().1, records(&["a", "", "b"]));
    fixture.write(&[&["c"]]);
    assert_eq!(fixture.open().1, records(&["a", "", "b", "c"]));
}

#[test]
fn unsynced_records_are_not_promised() {
    let fixture = Fixture::new();
    fixture.write(&[&["a"]]);
    let (mut log, _) = fixture.open();
    log.append(b"b").unwrap();
    drop(log);
    assert_eq!(fixture.open().1, records(&["a"]));
}

#[test]
fn a_last_frame_torn_at_any_byte_is_cut_off_and_the_log_goes_on() {
    let fixture = Fixture::new();
    let ends = fixture.write(&[&["first"], &["second", "third"]]);
    let whole = std::fs::read(&fixture.path).unwrap();
    for length in ends[0]..ends[1] {
        std::fs::write(&fixture.path, &whole[..length]).unwrap();
        assert_eq!(fixture.open().1, records(&["first"]), "cut to {length} bytes");
        fixture.write(&[&["again"]]);
        assert_eq!(fixture.open().1, records(&["first", "again"]), "cut to {length} bytes");
    }
}

#[test]
fn a_last_frame_of_which_pages_never_reached_the_disk_is_cut_off() {
    let fixture = Fixture::new();
    let ends = fixture.write(&[&["first"], &["second", "third"]]);
    let whole = std::fs::read(&fixture.path).unwrap();
    for from in ends[0]..ends[1] {
        let mut bytes = whole.clone();
        bytes[from..].fill(0);
        std::fs::write(&fixture.path, &bytes).unwrap();
        assert_eq!(fixture.open().1, records(&["first"]), "zeros from byte {from}");
    }
}

#[test]
fn damage_before_an_intact_frame_is_an_error_at_every_byte() {
    let fixture = Fixture::new();
    let ends = fixture.write(&[&["first"], &["second"], &["third"]]);
    for offset in 0..ends[1] {
        fixture.damage(offset);
        let error = ConsensusLog::open(&fixture.path).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "byte {offset}: {error}");
        fixture.damage(offset);
    }
    assert_eq!(fixture.open().1, records(&["first", "second", "third"]));
}

#[test]
fn reset_forgets_everything_and_an_unfinished_reset_nothing() {
    let fixture = Fixture::new();
    fixture.write(&[&["a"]]);
    std::fs::write(fixture.path.with_extension("log.new"), b"hedd").unwrap();
    let (mut log, old) = fixture.open();
    assert_eq!(old, records(&["a"]));
    log.append(b"never synced").unwrap();
    log.reset().unwrap();
    log.append(b"b").unwrap();
    log.sync().unwrap();
    assert_eq!(fixture.open().1, records(&["b"]));
}

#[test]
fn a_record_above_the_bound_is_refused_and_nothing_is_added() {
    let fixture = Fixture::new();
    let (mut log, _) = fixture.open();
    assert!(matches!(
        log.append(&vec![0; ConsensusLog::RECORD_BYTES_MAX + 1]),
        Err(StorageError::TooLarge { bytes_max: 16_777_216, .. })
    ));
    log.append(b"small").unwrap();
    log.sync().unwrap();
    assert_eq!(fixture.open().1, records(&["small"]));
}
