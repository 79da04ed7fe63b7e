//! History: one change set for each block that can be gone back behind, history rows for exactly what these list, and
//! values as their digests bind them.

use super::findings::{CheckObserver, Findings, Meter};
use crate::StateError;
use crate::rows::{ChangeSet, OLDEST_KEY, ReplacedDigest, history_key};
use heddle_storage::{Snapshot, Table};

const NUMBER_BYTES: usize = 8;

pub(super) fn check(
    snapshot: &Snapshot,
    head: u64,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), StateError> {
    let oldest = snapshot.get(Table::Meta, OLDEST_KEY)?.and_then(|row| Some(u64::from_be_bytes(row.try_into().ok()?)));
    let Some(oldest) = oldest.filter(|oldest| *oldest <= head) else {
        findings.add(Table::Meta, OLDEST_KEY, "not the number of a committed block");
        return Ok(());
    };
    let listed = check_change_sets(snapshot, oldest, head, findings, observer)?;
    for (table, listed) in [(Table::AccountHistory, listed.accounts), (Table::StorageHistory, listed.slots)] {
        let mut rows = 0;
        let mut meter = Meter::new(table, observer);
        for row in snapshot.scan(table, &[])? {
            row?;
            rows += 1;
            meter.add();
        }
        // Listed rows were all there, or are found already; only when there are others does it pay to look for them.
        if rows != listed {
            find_unlisted(snapshot, table, findings)?;
        }
    }
    Ok(())
}

/// How many history rows the change sets list that are there.
#[derive(Default)]
struct Listed {
    accounts: u64,
    slots: u64,
}

fn check_change_sets(
    snapshot: &Snapshot,
    oldest: u64,
    head: u64,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<Listed, StateError> {
    let mut listed = Listed::default();
    let mut meter = Meter::new(Table::ChangeSets, observer);
    let mut expected = oldest + 1;
    for row in snapshot.scan(Table::ChangeSets, &[])? {
        let (key, row) = row?;
        meter.add();
        let number = key.as_slice().try_into().map(u64::from_be_bytes).ok();
        let Some(number) = number.filter(|number| (expected..=head).contains(number)) else {
            findings.add(Table::ChangeSets, &key, "not a block whose changes are kept");
            continue;
        };
        report_missing(expected..number, findings);
        expected = number + 1;
        match read_change_set(&row) {
            Some(set) => check_change_set(snapshot, number, &set, &mut listed, findings)?,
            None => findings.add(Table::ChangeSets, &key, "not a change set in order"),
        }
    }
    report_missing(expected..head + 1, findings);
    Ok(listed)
}

fn report_missing(numbers: std::ops::Range<u64>, findings: &mut Findings) {
    numbers.for_each(|number| findings.add(Table::ChangeSets, &number.to_be_bytes(), "the row is missing"));
}

/// Decodes a row that is written as this version writes it.
fn read_change_set(row: &[u8]) -> Option<ChangeSet> {
    let set: ChangeSet = alloy_rlp::decode_exact(row).ok()?;
    let is_sorted = set.accounts.is_sorted_by(|one, other| one.account < other.account)
        && set.accounts.iter().all(|changed| changed.slots.is_sorted_by(|one, other| one < other));
    (is_sorted && alloy_rlp::encode(&set) == row).then_some(set)
}

fn check_change_set(
    snapshot: &Snapshot,
    number: u64,
    set: &ChangeSet,
    listed: &mut Listed,
    findings: &mut Findings,
) -> Result<(), StateError> {
    let mut digest = ReplacedDigest::default();
    let mut read = |table, key: Vec<u8>, count: &mut u64, findings: &mut Findings| {
        match snapshot.get(table, &key)? {
            Some(row) => {
                digest.add(&row);
                *count += 1;
            }
            None => findings.add(table, &key, "the row is missing"),
        }
        Ok::<_, StateError>(())
    };
    for changed in &set.accounts {
        read(Table::AccountHistory, history_key(changed.key(), number), &mut listed.accounts, findings)?;
        for slot in changed.slot_keys() {
            read(Table::StorageHistory, history_key(slot, number), &mut listed.slots, findings)?;
        }
    }
    if digest.finish() != set.digest {
        let problem = "the history rows of the block do not have the digest recorded here";
        findings.add(Table::ChangeSets, &number.to_be_bytes(), problem);
    }
    Ok(())
}

fn find_unlisted(snapshot: &Snapshot, table: Table, findings: &mut Findings) -> Result<(), StateError> {
    for row in snapshot.scan(table, &[])? {
        let (key, _) = row?;
        if !is_listed(snapshot, &key)? {
            findings.add(table, &key, "no change set lists the row");
        }
    }
    Ok(())
}

fn is_listed(snapshot: &Snapshot, key: &[u8]) -> Result<bool, StateError> {
    let Some((flat_key, number)) = key.split_last_chunk::<NUMBER_BYTES>() else { return Ok(false) };
    let set = snapshot.get(Table::ChangeSets, number)?.and_then(|row| read_change_set(&row));
    let (account, slot) = flat_key.split_at(flat_key.len().min(32));
    let Some(set) = set else { return Ok(false) };
    let changed = set.accounts.binary_search_by(|changed| changed.account.as_slice().cmp(account));
    let Some(changed) = changed.ok().and_then(|index| set.accounts.get(index)) else { return Ok(false) };
    Ok(slot.is_empty() || changed.slots.binary_search_by(|found| found.as_slice().cmp(slot)).is_ok())
}
