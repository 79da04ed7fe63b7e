//! Beginning with a state that others proved, instead of with genesis.
//!
//! The rows of such a state are more than one batch holds. So a marker is written first, and removed by the batch that
//! makes the pivot the head: whoever finds it when opening puts the genesis state back. There is a verified state or that
//! of genesis, never anything else.

use crate::beginning::Oldest;
use crate::block_store::{BlockStore, META_ADOPTING};
use crate::chain::genesis_state;
use crate::validators::HeadValidators;
use crate::{Chain, ChainError, CommittedBlock, Head, Timings};
use alloy_consensus::BlockBody;
use alloy_primitives::B256;
use heddle_primitives::{
    Block, CertificateError, Epoch, Genesis, HeddleConfig, Height, SealedHeader, StateChanges, ValidatorSet,
    VerifiedHeader,
};
use heddle_state::{RestoreObserver, Staging, StateError, StateStore};
use heddle_storage::{Batch, Database, PendingBatch, Table};
use std::path::Path;
use std::sync::Arc;

/// Headers whose hashes the next block can ask for.
pub(crate) const ANCESTORS: u64 = 256;

/// What a chain takes over, beside a state, to go on from there.
#[derive(Clone, Debug)]
pub struct AdoptedBase {
    /// The block whose state it is.
    pub pivot: VerifiedHeader,
    /// The headers before it, oldest first: 256, or as many as there are behind genesis. Nothing about them is believed
    /// but what the pivot binds.
    pub ancestors: Vec<SealedHeader>,
    /// The validator sets that a light client met on its way from genesis to the pivot, in order, each with its first
    /// epoch. Those that do not change anything may be left out; empty on a chain without registry.
    pub validator_sets: Vec<(Epoch, ValidatorSet)>,
}

/// Why a chain cannot go on from a base. The fault of whoever put it together.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// It is genesis, or before it.
    #[error("block {0} is not behind genesis")]
    NotBehindGenesis(u64),
    /// More or fewer headers than are needed.
    #[error("{found} headers come before block {pivot}, {expected} are needed")]
    AncestorCount {
        /// How many there are.
        found: usize,
        /// How many there must be.
        expected: u64,
        /// Number of the pivot.
        pivot: u64,
    },
    /// Not the parent of the header after it.
    #[error("header {number} ({hash}) is not the parent of the one after it")]
    Unlinked {
        /// The number that it should have.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// Sets out of order, of an epoch that is not known yet, or another one than that of genesis for its epoch.
    #[error("the validator set of epoch {0} is out of place")]
    ValidatorSets(Epoch),
    /// The set of the pivot's epoch did not decide the pivot.
    #[error("the pivot's certificate: {0}")]
    Certificate(#[from] CertificateError),
}

impl AdoptedBase {
    /// Checks that it fits together, as [`Chain::adopt`] does.
    ///
    /// # Errors
    /// The fault of whoever put it together; of a plain Ethereum chain too.
    pub fn verify(&self, genesis: &Genesis) -> Result<(), ChainError> {
        let heddle = genesis.heddle().ok_or(ChainError::ReadOnly)?;
        Ok(self.check(genesis, heddle).map(drop)?)
    }

    /// Checks that the ancestors are linked, and that the last of the sets decided the pivot. Gives the sets up to the pivot
    /// that differ from those before them.
    fn check(&self, genesis: &Genesis, heddle: &HeddleConfig) -> Result<Vec<(Epoch, ValidatorSet)>, BaseError> {
        self.check_ancestors(genesis.header())?;
        let sets = self.changes(heddle)?;
        self.pivot.certificate().verify(last_of(heddle, &sets), &genesis.signing_context())?;
        Ok(sets)
    }

    fn check_ancestors(&self, genesis: &SealedHeader) -> Result<(), BaseError> {
        let pivot = self.pivot.header();
        let Some(expected) = pivot.number.checked_sub(genesis.number + 1).map(|between| between.min(ANCESTORS)) else {
            return Err(BaseError::NotBehindGenesis(pivot.number));
        };
        let found = self.ancestors.len();
        if found as u64 != expected {
            return Err(BaseError::AncestorCount { found, expected, pivot: pivot.number });
        }
        let mut child = pivot;
        for header in self.ancestors.iter().rev() {
            let (number, hash) = (child.number - 1, header.inner().hash_slow());
            if header.number != number || child.parent_hash != hash || header.seal() != hash {
                return Err(BaseError::Unlinked { number, hash });
            }
            child = header;
        }
        if child.number == genesis.number + 1 && child.parent_hash != genesis.seal() {
            return Err(BaseError::Unlinked { number: genesis.number, hash: genesis.seal() });
        }
        Ok(())
    }

    /// The sets up to the pivot's epoch that differ from those before them, in order.
    fn changes(&self, heddle: &HeddleConfig) -> Result<Vec<(Epoch, ValidatorSet)>, BaseError> {
        let pivot = Height::new(self.pivot.header().number);
        let epoch_of = |height| Epoch::of(height, heddle.epoch_length);
        let (mut before, mut changes) = (None, Vec::new());
        for (epoch, set) in &self.validator_sets {
            let known = last_of(heddle, &changes);
            let is_of_genesis = *epoch == Epoch::default() || heddle.registry.is_none();
            let is_late = before.is_some_and(|before| before >= epoch) || *epoch > epoch_of(pivot.next());
            if is_late || (is_of_genesis && set != known) {
                return Err(BaseError::ValidatorSets(*epoch));
            }
            before = Some(epoch);
            // Of an epoch that starts behind the pivot its state says more.
            if set != known && *epoch <= epoch_of(pivot) {
                changes.push((*epoch, set.clone()));
            }
        }
        Ok(changes)
    }
}

impl Chain {
    /// Makes the pivot the head of a chain that is at genesis, with the state that was staged for it; files are put together in
    /// `scratch`, a directory of the database's file system. Subscribers are told of a block without body.
    ///
    /// # Errors
    /// [`ChainError::NotAtGenesis`]; [`ChainError::Base`] for a base that does not fit together;
    /// [`ChainError::Checkpoint`] when one of its headers is another than the checkpoint; [`ChainError::State`]
    /// when what was staged is not the pivot's state, after which the state is that of genesis again; the database's, after
    /// which that is so when it is opened again.
    pub fn adopt(
        &self,
        base: AdoptedBase,
        staging: &Staging,
        scratch: &Path,
        observer: RestoreObserver<'_>,
    ) -> Result<Arc<Head>, ChainError> {
        let header = base.pivot.header();
        let (number, state_root) = (header.number, header.state_root);
        self.adopt_with(base, |states| states.restore(staging, number, state_root, scratch, observer))
    }

    /// As [`Self::adopt`], the state put in place by `restore`, which returns the batch with which that is done.
    pub(crate) fn adopt_with(
        &self,
        base: AdoptedBase,
        restore: impl FnOnce(&StateStore) -> Result<Batch, StateError>,
    ) -> Result<Arc<Head>, ChainError> {
        let _door = self.inner.commit_door.lock();
        let _pruning = self.inner.pruning.lock();
        let _backfill = self.inner.beginning.door.lock();
        let inner = &self.inner;
        if !self.is_at_genesis() {
            return Err(ChainError::NotAtGenesis { head: self.head().header.number });
        }
        let sets = base.check(&inner.genesis, self.heddle()?)?;
        for header in base.ancestors.iter().chain([base.pivot.header()]) {
            self.require_checkpoint(header.number, header.seal())?;
        }
        let mut marker = Batch::new();
        BlockStore::put_adopting(&mut marker, base.pivot.header());
        inner.database.commit(marker)?;
        let adopted =
            restore(&inner.states).map_err(ChainError::from).and_then(|batch| self.commit_base(&base, &sets, batch));
        // They were executed on what is no longer there.
        inner.executions.clear();
        match adopted {
            Ok(()) => self.start_at(base),
            Err(error) => {
                put_back_genesis_state(&inner.genesis, &inner.database, &inner.states)?;
                inner.head.store(Arc::new(Head::load(&inner.genesis, &inner.rules, &inner.blocks, &inner.states)?));
                Err(error)
            }
        }
    }

    /// The one batch after which the state is there.
    fn commit_base(
        &self,
        base: &AdoptedBase,
        sets: &[(Epoch, ValidatorSet)],
        mut batch: Batch,
    ) -> Result<(), ChainError> {
        let inner = &self.inner;
        let pivot = base.pivot.header();
        base.ancestors.iter().for_each(|header| BlockStore::put_header(&mut batch, header));
        BlockStore::put_head_header(&mut batch, pivot);
        BlockStore::put_certificate(&mut batch, base.pivot.certificate());
        sets.iter().for_each(|(epoch, set)| BlockStore::put_validators(&mut batch, *epoch, set));
        self.enter_next_epoch(pivot.number, sets, &mut batch)?;
        let oldest = Oldest { header: pivot.number, block: pivot.number.saturating_add(1) };
        let oldest = inner.beginning.put(&mut batch, oldest);
        batch.delete(Table::Meta, META_ADOPTING);
        inner.database.commit(batch)?;
        inner.beginning.committed(oldest);
        Ok(())
    }

    /// At the end of an epoch the state says who decides the next one.
    fn enter_next_epoch(
        &self,
        number: u64,
        sets: &[(Epoch, ValidatorSet)],
        batch: &mut Batch,
    ) -> Result<(), ChainError> {
        let state = self.inner.states.view_with(Arc::new(PendingBatch::new(batch.clone())))?;
        let next = self.next_set(&state, number, &StateChanges::default())?;
        let own = Arc::new(last_of(self.heddle()?, sets).clone());
        HeadValidators { own: own.clone(), next: own }.follow(next, batch);
        self.prove_next_members(number, batch)
    }

    /// Tells everybody of the new head.
    fn start_at(&self, base: AdoptedBase) -> Result<Arc<Head>, ChainError> {
        let inner = &self.inner;
        let head = Arc::new(Head::load(&inner.genesis, &inner.rules, &inner.blocks, &inner.states)?);
        inner.snapshots.opened(&head);
        inner.head.store(head.clone());
        let header = base.pivot.header().clone();
        let event = CommittedBlock {
            block: Arc::new(Block { header: header.inner().clone(), body: BlockBody::default() }),
            header,
            senders: Vec::new(),
            receipts: Vec::new(),
            certificate: Some(base.pivot.certificate().clone()),
            changed_accounts: Vec::new(),
            timings: Timings::default(),
        };
        // Nobody may be listening.
        let _ = inner.events.send(Arc::new(event));
        Ok(head)
    }
}

/// The set with which these changes end.
fn last_of<'a>(heddle: &'a HeddleConfig, changes: &'a [(Epoch, ValidatorSet)]) -> &'a ValidatorSet {
    changes.last().map_or(&heddle.validators, |(_, set)| set)
}

/// Puts the state of genesis in the place of whatever an adoption left, and takes its marker away.
pub(crate) fn put_back_genesis_state(
    genesis: &Genesis,
    database: &Database,
    states: &StateStore,
) -> Result<(), ChainError> {
    states.wipe()?;
    let mut batch = Batch::new();
    let state = genesis_state(genesis, states, &states.view()?)?.write_into(genesis.header().number, &mut batch)?;
    batch.delete(Table::Meta, META_ADOPTING);
    database.commit(batch)?;
    states.committed(state);
    Ok(())
}
