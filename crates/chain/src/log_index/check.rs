//! Whether the index is what the receipts say.

use super::gathering::{Gathering, logged_values};
use super::rows::Segment;
use crate::ChainError;
use heddle_state::{CheckObserver, CheckProgress, Findings};
use heddle_storage::{Snapshot, Table};

/// Makes every stretch anew and compares. `has_body` says whether a block must have receipts.
pub(crate) fn check(
    snapshot: &Snapshot,
    has_body: impl Fn(u64) -> bool,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), ChainError> {
    let (mut before, mut rows): (Option<u64>, _) = (None, 0);
    for row in snapshot.scan(Table::LogIndex, &[])? {
        let (key, value) = row?;
        rows += 1;
        let last = match <[u8; 8]>::try_from(key.as_slice()) {
            Ok(last) => u64::from_be_bytes(last),
            // Found with its stretch, unless it has none.
            Err(_) if key.len() == 16 && before.is_some_and(|before| key.starts_with(&before.to_be_bytes())) => {
                continue;
            }
            Err(_) => {
                findings.add(Table::LogIndex, &key, "a row of no stretch");
                continue;
            }
        };
        let first = alloy_rlp::decode_exact::<u64>(&value).ok().filter(|first| *first <= last);
        let first = first.filter(|first| before.is_none_or(|before| *first == before.saturating_add(1)));
        before = Some(last);
        match first.filter(|first| has_body(*first) && has_body(last)) {
            Some(first) => segment(snapshot, Segment { first, last }, findings)?,
            None => findings.add(Table::LogIndex, &key, "not a stretch of blocks behind the one before"),
        }
        observer(CheckProgress { table: Table::LogIndex, rows });
    }
    Ok(())
}

fn segment(snapshot: &Snapshot, segment: Segment, findings: &mut Findings) -> Result<(), ChainError> {
    let mut gathering = Gathering::default();
    for number in segment.first..=segment.last {
        let receipts = snapshot.get(Table::Receipts, number.to_be_bytes())?;
        // Receipts that are missing or damaged are found with their block.
        let values = receipts.and_then(|receipts| logged_values(number, &receipts).ok());
        let Some(values) = values else { return Ok(()) };
        gathering.add(number, values);
    }
    let mut expected = gathering.rows().peekable();
    for row in snapshot.prefix_scan(Table::LogIndex, &segment.last.to_be_bytes())? {
        let (key, value) = row?;
        while let Some((missing, _)) = expected.next_if(|(expected, _)| *expected < key) {
            findings.add(Table::LogIndex, &missing, "missing: blocks of the stretch log this");
        }
        if expected.next_if(|(expected, _)| *expected == key).is_none_or(|(_, expected)| expected != value) {
            findings.add(Table::LogIndex, &key, "not the blocks of the stretch that log this");
        }
    }
    expected.for_each(|(key, _)| findings.add(Table::LogIndex, &key, "missing: blocks of the stretch log this"));
    Ok(())
}
