//! The one commit door.

use crate::block_store::{BlockRows, BlockStore, missing};
use crate::execution::Execution;
use crate::validators::HeadValidators;
use crate::verify::{RecoveredTransactions, check_bound, check_presence, recover, require_next, timed};
use crate::{Chain, ChainError, CommittedBlock, Head};
use alloy_primitives::U256;
use heddle_primitives::{CertifiedBlock, CommitCertificate, ValidatorAddress};
use heddle_state::CommittedState;
use heddle_storage::{Batch, PendingBatch};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A block that only has to be written.
pub(crate) struct Prepared {
    pub(crate) batch: Arc<PendingBatch>,
    /// Sum of the difficulties up to it.
    pub(crate) total_difficulty: U256,
    /// The validators around it.
    pub(crate) validators: Option<HeadValidators>,
    /// Validators whose evidence waits no longer.
    pub(crate) settled_evidence: Vec<ValidatorAddress>,
    /// What subscribers are told then.
    pub(crate) event: CommittedBlock,
}

impl Chain {
    /// Makes a certified block the head: executes it unless that was done, writes it in one synced batch, tells
    /// subscribers, and returns the new head. Committing again what is committed, at any height, changes nothing and
    /// returns the head: consensus and sync may decide the same block, and either may come late.
    ///
    /// # Errors
    /// [`ChainError::InvalidBlock`] when what came beside the certified header is wrong (the sender's fault),
    /// [`ChainError::NotNext`] when there is a gap; the others stop the node: [`ChainError::SafetyViolation`] when
    /// another block is committed at that height, [`ChainError::InvalidCertified`], failures of the database.
    pub fn commit(&self, certified: &CertifiedBlock) -> Result<Arc<Head>, ChainError> {
        let _door = self.inner.commit_door.lock();
        let head = self.head();
        match self.execute_certified(&head, certified, None)? {
            Some(execution) => self.write(&head, execution, Some(certified.certificate())),
            None => Ok(head),
        }
    }

    /// Executes a certified block on `head`, unless that was done; `None` when it is committed already. `ahead` is what was
    /// recovered of it before, once its contents had been checked.
    pub(crate) fn execute_certified(
        &self,
        head: &Head,
        certified: &CertifiedBlock,
        ahead: Option<RecoveredTransactions>,
    ) -> Result<Option<Execution>, ChainError> {
        let number = certified.proposed().block.header.number;
        if number <= head.header.number {
            self.check_committed(number, certified)?;
            return Ok(None);
        }
        require_next(head, number)?;
        self.require_checkpoint(number, certified.hash())?;
        match self.inner.executions.take(certified.hash()) {
            Some(execution) => Ok(Some(execution)),
            None => self.verify_certified(head, certified, ahead).map(Some),
        }
    }

    /// A block at a height that is decided must be the one that was committed.
    fn check_committed(&self, height: u64, certified: &CertifiedBlock) -> Result<(), ChainError> {
        let Some(committed) = self.inner.blocks.hash(height)? else {
            // With a state that was adopted came its block's whole past, if not to this node.
            return if height < self.headers_from() { Ok(()) } else { Err(missing("header", height)) };
        };
        if committed != certified.hash() {
            return Err(ChainError::SafetyViolation { height, committed, certified: certified.hash() });
        }
        Ok(())
    }

    fn verify_certified(
        &self,
        head: &Head,
        certified: &CertifiedBlock,
        ahead: Option<RecoveredTransactions>,
    ) -> Result<Execution, ChainError> {
        let proposed = certified.proposed();
        check_presence(head, proposed)?;
        let (recovered, recovery) = match ahead {
            Some(recovered) => (recovered, Duration::ZERO),
            None => {
                check_bound(&self.inner.rules, proposed)?;
                timed(|| recover(&self.inner.rules, &proposed.block, &|_| None))
            }
        };
        let verified = self.verify(head, proposed, certified.hash(), recovered).map_err(|error| match error {
            ChainError::InvalidBlock(error) => ChainError::InvalidCertified {
                number: proposed.block.header.number,
                hash: certified.hash(),
                error: Box::new(error),
            },
            other => other,
        });
        let mut execution = verified?;
        execution.timings.recovery = recovery;
        Ok(execution)
    }

    /// Makes an executed block the head. The caller holds the door.
    pub(crate) fn write(
        &self,
        parent: &Head,
        execution: Execution,
        certificate: Option<&CommitCertificate>,
    ) -> Result<Arc<Head>, ChainError> {
        let (prepared, state) = self.prepare(parent, execution, certificate)?;
        let head = self.write_prepared(prepared)?;
        self.inner.states.committed(state);
        Ok(head)
    }

    /// Makes the rows of an executed block, all in one batch.
    pub(crate) fn prepare(
        &self,
        parent: &Head,
        execution: Execution,
        certificate: Option<&CommitCertificate>,
    ) -> Result<(Prepared, CommittedState), ChainError> {
        let started = Instant::now();
        let Execution { header, proposed, senders, receipts, changed_accounts, .. } = execution;
        let Execution { access_list, update, next_set, has_call_failed, mut timings, .. } = execution;
        let total_difficulty = parent.total_difficulty.saturating_add(header.difficulty);
        let mut batch = Batch::new();
        let rows = BlockRows { header: &header, body: &proposed.block.body, senders: &senders, receipts: &receipts };
        BlockStore::put_head(&mut batch, &rows);
        BlockStore::put_total_difficulty(&mut batch, header.difficulty, total_difficulty);
        // From now on the parent is served with the certificate that the chain itself binds.
        for certificate in certificate.into_iter().chain(&proposed.parent_certificate) {
            BlockStore::put_certificate(&mut batch, certificate);
        }
        if let Some(list) = access_list {
            let kept = self.inner.config.access_lists_kept;
            BlockStore::below(&parent.state()).put_access_list(&mut batch, header.number, &list, kept)?;
        }
        BlockStore::put_evidence(&mut batch, header.number, &proposed.evidence);
        let settled_evidence = self.settle_evidence(header.number, &proposed.evidence, &mut batch);
        let validators = parent.validators.as_ref().map(|sets| sets.follow(next_set, &mut batch));
        if has_call_failed {
            tracing::error!(number = header.number, "the validator registry refused the block's notice");
        }
        let state = update.write_into(header.number, &mut batch)?;
        self.prove_next_members(header.number, &mut batch)?;
        timings.rows = started.elapsed();
        let (block, certificate) = (proposed.block, certificate.cloned());
        let event = CommittedBlock { header, block, senders, receipts, certificate, changed_accounts, timings };
        let batch = Arc::new(PendingBatch::new(batch));
        Ok((Prepared { batch, total_difficulty, validators, settled_evidence, event }, state))
    }

    /// Writes a block, and then makes it the head and tells subscribers.
    pub(crate) fn write_prepared(&self, prepared: Prepared) -> Result<Arc<Head>, ChainError> {
        let started = Instant::now();
        let Prepared { batch, total_difficulty, validators, settled_evidence, mut event } = prepared;
        self.write_batch(&*batch)?;
        event.timings.commit = started.elapsed();
        let inner = &self.inner;
        let state = inner.states.view()?;
        let (header, certificate) = (event.header.clone(), event.certificate.clone());
        let head = Head::new(&inner.rules, header, certificate, total_difficulty, validators, state);
        let head = Arc::new(head);
        inner.snapshots.committed(&head);
        inner.head.store(head.clone());
        inner.pending_evidence.lock().retain(|validator, _| !settled_evidence.contains(validator));
        inner.executions.clear();
        inner.timings.lock().put(event.header.number, event.timings);
        // Nobody may be listening, as in tests and tools: that is no failure.
        let _ = inner.events.send(Arc::new(event));
        Ok(head)
    }

    /// Makes durable what was committed without waiting for the disk.
    ///
    /// # Errors
    /// The database's.
    pub fn sync(&self) -> Result<(), ChainError> {
        Ok(self.inner.database.sync()?)
    }

    /// Writes a batch as durably as the configuration says.
    pub(crate) fn write_batch(&self, batch: impl AsRef<Batch>) -> Result<(), ChainError> {
        let database = &self.inner.database;
        let written = match self.inner.config.commits_synced {
            true => database.commit(batch),
            false => database.commit_unsynced(batch),
        };
        Ok(written?)
    }
}
