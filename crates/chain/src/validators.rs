//! Which validators decide a height. On a chain with a registry they follow, epoch by epoch, from its storage after the
//! last block of the epoch before; a row is written where the set changes, in the batch of that block.

use crate::block_store::BlockStore;
use crate::{Chain, ChainError, Head};
use alloy_primitives::{B256, U256};
use heddle_evm::ChainCall;
use heddle_primitives::registry::{RegistryNotice, SIGNED_SLOT, read_members, read_unusable_keys};
use heddle_primitives::{
    CommitCertificate, Epoch, Genesis, HeddleConfig, Height, StateChanges, ValidatorSet, ValidatorSetError,
};
use heddle_state::{StateError, StateView};
use heddle_storage::Batch;
use std::sync::Arc;

/// The sets around a head.
#[derive(Clone)]
pub(crate) struct HeadValidators {
    /// Of its own height.
    pub(crate) own: Arc<ValidatorSet>,
    /// Of the height after it.
    pub(crate) next: Arc<ValidatorSet>,
}

/// What the registry holds for an epoch that is about to start.
pub(crate) struct NextSet {
    epoch: Epoch,
    members: Result<ValidatorSet, ValidatorSetError>,
}

impl HeadValidators {
    /// The sets around the stored head; `None` on a plain Ethereum chain.
    pub(crate) fn load(genesis: &Genesis, blocks: &BlockStore, head: u64) -> Result<Option<Self>, ChainError> {
        let Some(heddle) = genesis.heddle() else { return Ok(None) };
        let height = Height::new(head);
        let own = Arc::new(stored(heddle, blocks, height)?);
        let next = stored(heddle, blocks, height.next())?;
        let next = if next == *own { own.clone() } else { Arc::new(next) };
        Ok(Some(Self { own, next }))
    }

    /// The sets around the block after this head, when an epoch starts behind it with what that holds; a new set gets its
    /// row.
    pub(crate) fn follow(&self, next_set: Option<NextSet>, batch: &mut Batch) -> Self {
        let own = self.next.clone();
        let next = match next_set {
            Some(NextSet { epoch, members: Ok(set) }) if set != *own => {
                BlockStore::put_validators(batch, epoch, &set);
                Arc::new(set)
            }
            Some(NextSet { epoch, members: Err(error) }) => {
                tracing::error!(%epoch, %error, "the registry holds no validator set: the old one goes on");
                own.clone()
            }
            _ => own.clone(),
        };
        Self { own, next }
    }
}

fn stored(heddle: &HeddleConfig, blocks: &BlockStore, height: Height) -> Result<ValidatorSet, ChainError> {
    let found = blocks.validators(Epoch::of(height, heddle.epoch_length))?;
    Ok(found.unwrap_or_else(|| heddle.validators.clone()))
}

impl Chain {
    /// The validators that decide `height`: known up to the end of the epoch of the height after the head, and for ever
    /// on a chain without a registry. Shared, and from memory around the head: asking often costs nothing.
    ///
    /// # Errors
    /// [`ChainError::ReadOnly`] for a plain Ethereum chain, [`ChainError::UnknownBlock`] for a later epoch, or the
    /// database's for an earlier one.
    pub fn validators(&self, height: Height) -> Result<Arc<ValidatorSet>, ChainError> {
        self.validators_on(&self.head(), height)
    }

    /// The same as if `head` were the head.
    pub(crate) fn validators_on(&self, head: &Head, height: Height) -> Result<Arc<ValidatorSet>, ChainError> {
        let heddle = self.heddle()?;
        let sets = head.validators.as_ref().ok_or(ChainError::ReadOnly)?;
        if heddle.registry.is_none() {
            return Ok(sets.next.clone());
        }
        let epoch = |height| Epoch::of(height, heddle.epoch_length);
        let (asked, next) = (epoch(height), epoch(head.height().next()));
        if asked > next {
            return Err(ChainError::UnknownBlock { number: height.as_u64(), head: head.header.number });
        }
        match asked {
            asked if asked == next => Ok(sets.next.clone()),
            asked if asked == epoch(head.height()) => Ok(sets.own.clone()),
            _ => stored(heddle, &self.inner.blocks, height).map(Arc::new),
        }
    }

    /// The chain's section of genesis.
    pub(crate) fn heddle(&self) -> Result<&HeddleConfig, ChainError> {
        self.inner.genesis.heddle().ok_or(ChainError::ReadOnly)
    }

    /// What the registry holds after a block, when that is the last one of an epoch: read from what the block changes
    /// and from its parent's state.
    pub(crate) fn next_set(
        &self,
        parent: &StateView,
        number: u64,
        changes: &StateChanges,
    ) -> Result<Option<NextSet>, ChainError> {
        let Some((_, registry)) = self.epoch_ended_by(number) else { return Ok(None) };
        let epoch = Epoch::of(Height::new(number).next(), self.heddle()?.epoch_length);
        let changed = changes.accounts.get(&registry);
        let read = |slot: U256| match changed {
            Some(change) if change.storage.contains_key(&slot) => {
                Ok(change.storage.get(&slot).copied().unwrap_or_default())
            }
            Some(change) if change.storage_wiped => Ok(U256::ZERO),
            _ => parent.storage(registry, slot),
        };
        Ok(Some(NextSet { epoch, members: read_members::<StateError>(read)? }))
    }

    /// What the block after `head` tells the registry; see [`Self::registry_call`].
    pub(crate) fn registry_call_on(
        &self,
        head: &Head,
        certificate: Option<&CommitCertificate>,
        equivocators: Vec<B256>,
    ) -> Result<Option<ChainCall>, ChainError> {
        let height = head.height().next();
        let validators = self.validators_on(head, height)?;
        self.registry_call(height, &head.state(), &validators, certificate, equivocators)
    }

    /// What the block at `height` tells the registry, if there is one. `state` is its parent's and `certificate` the
    /// parent's that the block binds, `validators` decide the block, `equivocators` are those whom it convicts.
    pub(crate) fn registry_call(
        &self,
        height: Height,
        state: &StateView,
        validators: &ValidatorSet,
        certificate: Option<&CommitCertificate>,
        equivocators: Vec<B256>,
    ) -> Result<Option<ChainCall>, ChainError> {
        let heddle = self.heddle()?;
        let Some(registry) = heddle.registry else { return Ok(None) };
        let epoch = |height| Epoch::of(height, heddle.epoch_length);
        let certificate = certificate.filter(|certificate| epoch(certificate.height) == epoch(height));
        let signers = certificate.map_or(U256::ZERO, |certificate| signers(certificate, validators));
        let absent = match Epoch::is_last(height, heddle.epoch_length) {
            true => {
                let signed = state.storage(registry, SIGNED_SLOT)? | signers;
                let mut absent = absent(signed, validators, heddle.epoch_length);
                absent.extend(read_unusable_keys(|slot| state.storage(registry, slot))?);
                absent
            }
            false => Vec::new(),
        };
        let data = RegistryNotice { signers, absent, equivocators }.calldata();
        Ok(Some(ChainCall { to: registry, data }))
    }
}

/// Bit i for the member i that signed.
fn signers(certificate: &CommitCertificate, validators: &ValidatorSet) -> U256 {
    let places = certificate.signatures.iter().filter_map(|signature| validators.position(&signature.validator));
    places.fold(U256::ZERO, |bits, place| bits | (U256::ONE << place))
}

/// The keys of the members without a bit. An epoch in which nobody was seen convicts nobody: its only block may have no
/// parent in it. Nor does one that is too short for everybody to propose, which puts a member's own vote into a certificate
/// for certain.
fn absent(signed: U256, validators: &ValidatorSet, epoch_length: u64) -> Vec<B256> {
    if signed.is_zero() || epoch_length <= validators.validators().len() as u64 {
        return Vec::new();
    }
    let members = validators.validators().iter().enumerate();
    members.filter(|(place, _)| !signed.bit(*place)).map(|(_, member)| member.public_key.to_bytes().into()).collect()
}
