//! Validator sets, the proofs of them, and evidence that waits. The evidence in blocks is checked with their headers, which bind it.

use super::blocks::Last;
use crate::block_store::epoch_key;
use crate::{Chain, ChainError};
use alloy_primitives::Sealable;
use heddle_primitives::registry::read_members;
use heddle_primitives::{Epoch, Evidence, Header, HeddleConfig, Height, MembersProof, ValidatorSet};
use heddle_state::{CheckObserver, CheckProgress, Findings, StateError};
use heddle_storage::{Snapshot, Table};
use std::collections::BTreeMap;

pub(super) fn check(
    chain: &Chain,
    snapshot: &Snapshot,
    last: &Last,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), ChainError> {
    check_sets(chain, snapshot, last, findings, observer)?;
    check_proofs(chain, snapshot, last, findings)?;
    check_blocks(snapshot, last, findings)?;
    check_pending(chain, snapshot, findings)
}

/// Rows stand where the set changes: what the states say that are still readable, and sets in any case.
fn check_sets(
    chain: &Chain,
    snapshot: &Snapshot,
    last: &Last,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), ChainError> {
    let mut rows = BTreeMap::new();
    for row in snapshot.scan(Table::ValidatorSets, &[])? {
        let (key, row) = row?;
        rows.insert(key, row);
    }
    observer(CheckProgress { table: Table::ValidatorSets, rows: rows.len() as u64 });
    if let Ok(heddle) = chain.heddle() {
        let last_epoch = Epoch::of(Height::new(last.number).next(), heddle.epoch_length);
        let mut set = heddle.validators.clone();
        for epoch in (1..=last_epoch.as_u64()).filter(|_| heddle.registry.is_some()) {
            let first = Height::new(epoch.saturating_mul(heddle.epoch_length)).next();
            let key = epoch_key(Epoch::of(first, heddle.epoch_length));
            let row = rows.remove(key.as_slice());
            let stored = row.as_ref().and_then(|row| alloy_rlp::decode_exact::<ValidatorSet>(row).ok());
            let expected = registry_set(chain, heddle, first)?.unwrap_or_else(|| stored.clone()).unwrap_or(set.clone());
            if row.is_some() != (expected != set) || stored.is_some_and(|stored| stored != expected) {
                findings.add(Table::ValidatorSets, &key, format!("not the validators of epoch {epoch}"));
            }
            set = expected;
        }
    }
    for key in rows.keys() {
        findings.add(Table::ValidatorSets, key, "a row of no epoch");
    }
    Ok(())
}

/// Proofs show what the states hold of which the headers have the root. Older versions kept none, so that any may be
/// missing.
fn check_proofs(chain: &Chain, snapshot: &Snapshot, last: &Last, findings: &mut Findings) -> Result<(), ChainError> {
    for row in snapshot.scan(Table::EpochProofs, &[])? {
        let (key, row) = row?;
        if !shows_next_members(chain, snapshot, last, &key, &row)? {
            findings.add(Table::EpochProofs, &key, "not a proof of the validators after this epoch");
        }
    }
    Ok(())
}

fn shows_next_members(
    chain: &Chain,
    snapshot: &Snapshot,
    last: &Last,
    key: &[u8],
    row: &[u8],
) -> Result<bool, ChainError> {
    let Some((heddle, registry)) = chain.heddle().ok().and_then(|heddle| Some((heddle, heddle.registry?))) else {
        return Ok(false);
    };
    let epoch = key.try_into().map(u64::from_be_bytes).unwrap_or(u64::MAX);
    let end = epoch.saturating_add(1).saturating_mul(heddle.epoch_length);
    if end > last.number {
        return Ok(false);
    }
    let header = snapshot.get(Table::Headers, end.to_be_bytes())?;
    let header = header.and_then(|row| alloy_rlp::decode_exact::<Header>(row).ok());
    let proof = alloy_rlp::decode_exact::<MembersProof>(row).ok();
    let (Some(header), Some(proof)) = (header, proof) else { return Ok(false) };
    let Ok(shown) = proof.verify(registry, &header.seal_slow()) else { return Ok(false) };
    // Where the registry holds no set, the old one goes on.
    let after = chain.validators(Height::new(end).next())?;
    Ok(match shown {
        Ok(shown) => shown == *after,
        Err(_) => chain.validators(Height::new(end))? == after,
    })
}

/// The set that the registry held before the first height of an epoch, or none where it held no set; `None` when that
/// state is not readable any more.
fn registry_set(
    chain: &Chain,
    heddle: &HeddleConfig,
    first: Height,
) -> Result<Option<Option<ValidatorSet>>, ChainError> {
    let Some(registry) = heddle.registry else { return Ok(None) };
    let state = match chain.state_at(first.as_u64() - 1) {
        Err(ChainError::State(StateError::HistoryPruned { .. })) => return Ok(None),
        state => state?,
    };
    Ok(Some(read_members(|slot| state.storage(registry, slot))?.ok()))
}

/// Rows of evidence in blocks that there are not.
fn check_blocks(snapshot: &Snapshot, last: &Last, findings: &mut Findings) -> Result<(), ChainError> {
    for row in snapshot.scan(Table::Evidence, &[])? {
        let (key, row) = row?;
        let number = key.as_slice().try_into().map(u64::from_be_bytes).ok();
        let is_evidence = alloy_rlp::decode_exact::<Vec<Evidence>>(&row).is_ok_and(|evidence| !evidence.is_empty());
        if !is_evidence || number.is_none_or(|number| number == last.first || !last.has_body(number)) {
            findings.add(Table::Evidence, &key, "not the evidence in a block");
        }
    }
    Ok(())
}

fn check_pending(chain: &Chain, snapshot: &Snapshot, findings: &mut Findings) -> Result<(), ChainError> {
    for row in snapshot.scan(Table::PendingEvidence, &[])? {
        let (key, row) = row?;
        let evidence = alloy_rlp::decode_exact::<Evidence>(&row).ok().filter(|evidence| evidence.validator() == *key);
        let is_valid = |evidence: &Evidence| {
            let validators = chain.validators(evidence.height());
            validators.is_ok_and(|validators| evidence.verify(&validators, &chain.signing_context()).is_ok())
        };
        if !evidence.as_ref().is_some_and(is_valid) {
            findings.add(Table::PendingEvidence, &key, "it convicts nobody");
        }
    }
    Ok(())
}
