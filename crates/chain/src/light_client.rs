//! What others need to follow this chain by its headers alone, and where this node itself may start to.

use crate::block_store::BlockStore;
use crate::{Chain, ChainError};
use alloy_primitives::Address;
use heddle_primitives::registry::read_members;
use heddle_primitives::{CertifiedHeader, Epoch, EpochStep, Height, LightClient, MembersProof, SlotProof};
use heddle_state::{ProofLimits, StateError, StateView};
use heddle_storage::{Batch, PendingBatch};
use std::sync::Arc;

impl Chain {
    /// A header with the certificate that is served for it, and at the end of an epoch with the proof of the validators
    /// after it, as far as this node has it. Genesis has none, and neither has any block of a plain Ethereum chain.
    ///
    /// # Errors
    /// The database's.
    pub fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, ChainError> {
        let Some(certificate) = self.certificate(height.as_u64())? else { return Ok(None) };
        let Some(header) = self.header(height.as_u64())? else { return Ok(None) };
        let members = match self.epoch_ended_by(height.as_u64()) {
            Some((epoch, _)) => self.inner.blocks.epoch_proof(epoch)?,
            None => None,
        };
        Ok(Some(CertifiedHeader { header: header.into_inner(), certificate, members }))
    }

    /// The end of an epoch, for a light client to go by. `None` for an epoch that has not ended, that ended before this
    /// node kept proofs, and on a chain without registry.
    ///
    /// # Errors
    /// The database's.
    pub fn epoch_step(&self, epoch: Epoch) -> Result<Option<EpochStep>, ChainError> {
        let Some(heddle) = self.inner.genesis.heddle() else { return Ok(None) };
        let last = epoch.as_u64().saturating_add(1).saturating_mul(heddle.epoch_length);
        let step = self.certified_header(Height::new(last))?.and_then(|last| {
            let CertifiedHeader { header, certificate, members } = last;
            Some(EpochStep { header, certificate, members: members? })
        });
        Ok(step)
    }

    /// A light client that starts at genesis; `None` on a plain Ethereum chain.
    pub fn light_client(&self) -> Option<LightClient> {
        LightClient::new(&self.inner.genesis)
    }

    /// A light client that starts at the head; `None` on a plain Ethereum chain.
    pub fn light_client_at_head(&self) -> Option<LightClient> {
        let head = self.head();
        let validators = head.validators.as_ref()?.next.as_ref().clone();
        Some(self.light_client()?.trusting(head.header.clone(), validators))
    }

    /// The epoch that ends with block `number`, if one does on a chain with a registry, and the registry.
    pub(crate) fn epoch_ended_by(&self, number: u64) -> Option<(Epoch, Address)> {
        let heddle = self.inner.genesis.heddle()?;
        let (height, length) = (Height::new(number), heddle.epoch_length);
        let registry = heddle.registry.filter(|_| Epoch::is_last(height, length))?;
        Some((Epoch::of(height, length), registry))
    }

    /// Adds to the batch that commits block `number`, when that ends an epoch, the proof of the validators after it: later
    /// its state cannot be proven any more. All before the batch must be committed.
    pub(crate) fn prove_next_members(&self, number: u64, batch: &mut Batch) -> Result<(), ChainError> {
        let Some((epoch, registry)) = self.epoch_ended_by(number) else { return Ok(()) };
        let state = self.inner.states.view_with(Arc::new(PendingBatch::new(batch.clone())))?;
        if let Some(members) = prove_members(&state, registry)? {
            BlockStore::put_epoch_proof(batch, epoch, &members);
        }
        Ok(())
    }
}

/// Proves the members that the registry holds in a state; `None` when it does not exist there.
fn prove_members(state: &StateView, registry: Address) -> Result<Option<MembersProof>, StateError> {
    let mut slots = Vec::new();
    // Whether they make a set is for the reader of the proof to say.
    let _ = read_members(|slot| {
        slots.push(slot);
        state.storage(registry, slot)
    })?;
    let proof = state.proof(registry, &slots, &ProofLimits::default())?;
    let Some(account) = proof.account else { return Ok(None) };
    let slots = proof.storage.into_iter().map(|slot| SlotProof { value: slot.value, nodes: slot.proof });
    Ok(Some(MembersProof { account, nodes: proof.proof, slots: slots.collect() }))
}
