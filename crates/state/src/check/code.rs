//! Code: every row hashes to its key. That what accounts refer to exists is checked with the accounts.

use super::findings::{CheckObserver, Findings, Meter};
use crate::StateError;
use alloy_primitives::keccak256;
use heddle_storage::{Snapshot, Table};

pub(super) fn check(
    snapshot: &Snapshot,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), StateError> {
    let mut meter = Meter::new(Table::Code, observer);
    for row in snapshot.scan(Table::Code, &[])? {
        let (key, code) = row?;
        meter.add();
        if keccak256(&code).as_slice() != key {
            findings.add(Table::Code, &key, "the code has another hash");
        }
    }
    Ok(())
}
