//! Rows that no block has: the tables hold what the blocks put there, which is checked with the blocks, and nothing else.

use super::blocks::Last;
use crate::ChainError;
use crate::block_store::{BodyRow, LookupRow};
use alloy_primitives::keccak256;
use heddle_state::{CheckObserver, CheckProgress, Findings};
use heddle_storage::{Snapshot, Table};

pub(super) fn check(
    snapshot: &Snapshot,
    last: &Last,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), ChainError> {
    for (table, rows, is_known) in [
        (Table::HeaderNumbers, last.headers, &header_number as IsKnown<'_>),
        (Table::Bodies, last.bodies, &|_, key, _| Ok(is_number(key, |number| last.has_body(number)))),
        (Table::Receipts, last.bodies, &|_, key, _| Ok(is_number(key, |number| last.has_body(number)))),
        (Table::Certificates, last.certificates, &|_, key, _| {
            Ok(last.certificates > 0 && is_number(key, |number| last.has_certificate(number)))
        }),
        (Table::TransactionLookup, last.transactions, &lookup),
    ] {
        let mut found = 0;
        for row in snapshot.scan(table, &[])? {
            row?;
            found += 1;
        }
        observer(CheckProgress { table, rows: found });
        // The blocks' own rows were all there, or are found already; only others are left to find.
        if found != rows {
            find_unknown(snapshot, table, is_known, findings)?;
        }
    }
    Ok(())
}

/// Whether a row of a table, given by key and value, is a block's.
type IsKnown<'a> = &'a dyn Fn(&Snapshot, &[u8], &[u8]) -> Result<bool, ChainError>;

fn find_unknown(
    snapshot: &Snapshot,
    table: Table,
    is_known: IsKnown<'_>,
    findings: &mut Findings,
) -> Result<(), ChainError> {
    for row in snapshot.scan(table, &[])? {
        let (key, value) = row?;
        if !is_known(snapshot, &key, &value)? {
            findings.add(table, &key, "a row of no block");
        }
    }
    Ok(())
}

fn is_number(key: &[u8], is_known: impl FnOnce(u64) -> bool) -> bool {
    key.try_into().is_ok_and(|key| is_known(u64::from_be_bytes(key)))
}

fn header_number(snapshot: &Snapshot, hash: &[u8], row: &[u8]) -> Result<bool, ChainError> {
    let Ok(number) = alloy_rlp::decode_exact::<u64>(row) else { return Ok(false) };
    let header = snapshot.get(Table::Headers, number.to_be_bytes())?;
    Ok(header.is_some_and(|header| keccak256(header).as_slice() == hash))
}

fn lookup(snapshot: &Snapshot, hash: &[u8], row: &[u8]) -> Result<bool, ChainError> {
    let Ok(LookupRow { number, index }) = alloy_rlp::decode_exact(row) else { return Ok(false) };
    let body = snapshot.get(Table::Bodies, number.to_be_bytes())?.unwrap_or_default();
    let Ok(BodyRow { body, .. }) = alloy_rlp::decode_exact(&body) else { return Ok(false) };
    let transaction = usize::try_from(index).ok().and_then(|index| body.transactions.get(index));
    Ok(transaction.is_some_and(|transaction| transaction.tx_hash().as_slice() == hash))
}
