//! Evidence on its way into a block: kept in a table until a block convicts its validator, or it is too old.

use crate::block_store::decode;
use crate::{BlockError, Chain, ChainError, Head};
use alloy_primitives::{Address, B256};
use heddle_primitives::registry::{RegistryStanding, read_standing};
use heddle_primitives::{
    EVIDENCE_AGE_MAX, EVIDENCE_PER_BLOCK_MAX, Evidence, EvidenceError, Height, ProposedBlock, Validator,
    ValidatorAddress,
};
use heddle_storage::{Batch, Database, Table};
use std::collections::BTreeMap;

/// Validators with evidence that waits, at most: further evidence is dropped.
const PENDING_MAX: usize = 1_024;

/// By validator: of all evidence against one the newest, which waits longest.
pub(crate) type PendingEvidence = BTreeMap<ValidatorAddress, Evidence>;

/// The rule that evidence breaks. Always the fault of the block's author, or of whoever sent it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EvidenceRuleError {
    /// Nobody could be convicted.
    #[error("the chain has no validator registry, its blocks have no evidence")]
    NoRegistry,
    /// More than a block may have.
    #[error("{0} pieces of evidence, at most {max} are allowed", max = EVIDENCE_PER_BLOCK_MAX)]
    TooMany(usize),
    /// Out of order, or two against one validator.
    #[error("evidence must be sorted by validator without repetition; that against {0} is out of place")]
    NotCanonical(ValidatorAddress),
    /// Of a height that is not decided yet, or was too long ago.
    #[error("evidence of height {height} in block {block}: it must be of one of the {max} heights before", max = EVIDENCE_AGE_MAX)]
    Height {
        /// Of the messages.
        height: u64,
        /// Number of the block.
        block: u64,
    },
    /// It proves nothing.
    #[error(transparent)]
    Invalid(#[from] EvidenceError),
    /// Its validator was convicted before, or is none that the registry knows.
    #[error("evidence against {0}, who is tombstoned already or unknown to the registry")]
    NotStanding(ValidatorAddress),
}

/// The evidence that waits in a database.
pub(crate) fn load_pending(database: &Database) -> Result<PendingEvidence, ChainError> {
    let snapshot = database.snapshot();
    let mut pending = PendingEvidence::new();
    for row in snapshot.scan(Table::PendingEvidence, &[])? {
        let (key, row) = row?;
        let evidence: Evidence = decode(&key, &row, "pending evidence")?;
        pending.insert(evidence.validator(), evidence);
    }
    Ok(pending)
}

impl Chain {
    /// Keeps evidence until a block has it, or newer evidence against the same validator comes; `true` when it is new.
    /// Evidence that is too old, of an epoch that this node
    /// does not know yet, or against somebody convicted already is not kept. Durable at return.
    ///
    /// # Errors
    /// [`ChainError::InvalidEvidence`] when it proves nothing, [`ChainError::ReadOnly`] on a plain Ethereum chain, or
    /// the database's.
    pub fn add_evidence(&self, evidence: Evidence) -> Result<bool, ChainError> {
        let head = self.head();
        if is_too_old(&evidence, head.height().next()) {
            return Ok(false);
        }
        let validators = match self.validators_on(&head, evidence.height()) {
            Err(ChainError::UnknownBlock { .. }) => return Ok(false),
            validators => validators?,
        };
        let validator = evidence.verify(&validators, &self.signing_context()).map_err(EvidenceRuleError::from)?;
        if let Some(registry) = self.heddle()?.registry
            && !self.can_be_convicted(&head, registry, validator)?
        {
            return Ok(false);
        }
        let mut pending = self.inner.pending_evidence.lock();
        let address = validator.address;
        let is_wanted = match pending.get(&address) {
            Some(waiting) => waiting.height() < evidence.height(),
            None => pending.len() < PENDING_MAX,
        };
        if !is_wanted {
            return Ok(false);
        }
        let mut batch = Batch::new();
        batch.put(Table::PendingEvidence, address, alloy_rlp::encode(&evidence));
        self.inner.database.commit(batch)?;
        pending.insert(address, evidence);
        Ok(true)
    }

    /// Evidence that no block has yet, at most `max` pieces.
    pub fn pending_evidence(&self, max: usize) -> Vec<Evidence> {
        self.inner.pending_evidence.lock().values().take(max).cloned().collect()
    }

    /// The evidence in the blocks `from` to `to`, each piece with the number of its block.
    ///
    /// # Errors
    /// [`ChainError::LogRange`] for a range backwards or longer than `blocks_max`, [`ChainError::AbsentBlock`] for one that
    /// begins before the oldest block, or the database's.
    pub fn evidence(&self, from: u64, to: u64, blocks_max: u64) -> Result<Vec<(u64, Evidence)>, ChainError> {
        if to.checked_sub(from).is_none_or(|distance| distance >= blocks_max) {
            return Err(ChainError::LogRange { from, to, blocks_max });
        }
        self.require_blocks(from, to)?;
        let snapshot = self.inner.database.snapshot();
        let end = to.checked_add(1).map(u64::to_be_bytes);
        let mut found = Vec::new();
        for row in snapshot.range(Table::Evidence, &from.to_be_bytes(), end.as_ref().map(|end| &end[..]))? {
            let (key, row) = row?;
            let number = key.as_slice().try_into().map(u64::from_be_bytes);
            let number = number.map_err(|_| ChainError::Corrupt("an evidence row of no block".to_owned()))?;
            let evidence: Vec<Evidence> = decode(&key, &row, "evidence")?;
            found.extend(evidence.into_iter().map(|evidence| (number, evidence)));
        }
        Ok(found)
    }

    /// What waits and the block after `head` may have.
    pub(crate) fn evidence_for_next(&self, head: &Head) -> Result<Vec<Evidence>, ChainError> {
        let mut chosen = Vec::new();
        let Some(registry) = self.heddle()?.registry else { return Ok(chosen) };
        for evidence in self.pending_evidence(PENDING_MAX) {
            if chosen.len() == EVIDENCE_PER_BLOCK_MAX {
                break;
            }
            if check_height(&evidence, head.height().next()).is_err() {
                continue;
            }
            let validator = self.convicted(head, &evidence)?;
            if self.can_be_convicted(head, registry, &validator)? {
                chosen.push(evidence);
            }
        }
        Ok(chosen)
    }

    /// Checks every rule of the evidence in the block after `head`; gives the keys of the convicted.
    pub(crate) fn check_evidence(&self, head: &Head, proposed: &ProposedBlock) -> Result<Vec<B256>, ChainError> {
        let evidence = &proposed.evidence;
        if evidence.is_empty() {
            return Ok(Vec::new());
        }
        let refused = |error: EvidenceRuleError| ChainError::from(BlockError::from(error));
        let registry = self.heddle()?.registry.ok_or_else(|| refused(EvidenceRuleError::NoRegistry))?;
        if evidence.len() > EVIDENCE_PER_BLOCK_MAX {
            return Err(refused(EvidenceRuleError::TooMany(evidence.len())));
        }
        if let Some([_, later]) = evidence.array_windows().find(|[one, other]| one.validator() >= other.validator()) {
            return Err(refused(EvidenceRuleError::NotCanonical(later.validator())));
        }
        let mut keys = Vec::with_capacity(evidence.len());
        for piece in evidence {
            check_height(piece, head.height().next()).map_err(refused)?;
            let validators = self.validators_on(head, piece.height())?;
            let validator =
                piece.verify(&validators, &self.signing_context()).map_err(|error| refused(error.into()))?;
            if !self.can_be_convicted(head, registry, validator)? {
                return Err(refused(EvidenceRuleError::NotStanding(validator.address)));
            }
            keys.push(validator.public_key.to_bytes().into());
        }
        Ok(keys)
    }

    /// The keys of those whom verified evidence convicts.
    pub(crate) fn convicted_keys(&self, head: &Head, evidence: &[Evidence]) -> Result<Vec<B256>, ChainError> {
        evidence.iter().map(|piece| Ok(self.convicted(head, piece)?.public_key.to_bytes().into())).collect()
    }

    /// Removes the rows of what waits no longer after a block with this evidence; says whose.
    pub(crate) fn settle_evidence(
        &self,
        number: u64,
        evidence: &[Evidence],
        batch: &mut Batch,
    ) -> Vec<ValidatorAddress> {
        let pending = self.inner.pending_evidence.lock();
        let next = Height::new(number).next();
        let is_over = |waiting: &Evidence| {
            is_too_old(waiting, next) || evidence.iter().any(|piece| piece.validator() == waiting.validator())
        };
        let settled = pending.values().filter(|waiting| is_over(waiting)).map(Evidence::validator);
        let settled = Vec::from_iter(settled);
        settled.iter().for_each(|validator| batch.delete(Table::PendingEvidence, validator));
        settled
    }

    fn convicted(&self, head: &Head, evidence: &Evidence) -> Result<Validator, ChainError> {
        let validators = self.validators_on(head, evidence.height())?;
        let stranger = || EvidenceError::UnknownValidator(evidence.validator(), evidence.height());
        Ok(validators.get(&evidence.validator()).cloned().ok_or_else(stranger).map_err(EvidenceRuleError::from)?)
    }

    fn can_be_convicted(&self, head: &Head, registry: Address, validator: &Validator) -> Result<bool, ChainError> {
        let state = head.state();
        let standing = read_standing(&validator.public_key, |slot| state.storage(registry, slot))?;
        Ok(standing == RegistryStanding::Known)
    }
}

fn is_too_old(evidence: &Evidence, block: Height) -> bool {
    evidence.height().as_u64().saturating_add(EVIDENCE_AGE_MAX) < block.as_u64()
}

fn check_height(evidence: &Evidence, block: Height) -> Result<(), EvidenceRuleError> {
    let height = evidence.height();
    if height < block && !is_too_old(evidence, block) {
        return Ok(());
    }
    Err(EvidenceRuleError::Height { height: height.as_u64(), block: block.as_u64() })
}
