//! The one commit door.

use crate::block_store::{BlockRows, BlockStore, missing};
use crate::execution::Execution;
use crate::verify::require_next;
use crate::{Chain, ChainError, CommittedBlock, Head};
use heddle_primitives::{CertifiedBlock, CommitCertificate};
use heddle_storage::Batch;
use std::sync::Arc;
use std::time::Instant;

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
        let number = certified.proposed().block.header.number;
        if number <= head.header.number {
            self.check_committed(number, certified)?;
            return Ok(head);
        }
        require_next(&head, number)?;
        let execution = match self.inner.executions.take(certified.hash()) {
            Some(execution) => execution,
            None => self.verify_certified(&head, certified)?,
        };
        self.write(&head, execution, Some(certified.certificate()))
    }

    /// A block at a height that is decided must be the one that was committed.
    fn check_committed(&self, height: u64, certified: &CertifiedBlock) -> Result<(), ChainError> {
        let committed = self.inner.blocks.hash(height)?.ok_or_else(|| missing("header", height))?;
        if committed != certified.hash() {
            return Err(ChainError::SafetyViolation { height, committed, certified: certified.hash() });
        }
        Ok(())
    }

    fn verify_certified(&self, head: &Head, certified: &CertifiedBlock) -> Result<Execution, ChainError> {
        let proposed = certified.proposed();
        self.check_contents(head, proposed)?;
        self.verify(head, proposed, certified.hash(), &|_| None).map_err(|error| match error {
            ChainError::InvalidBlock(error) => ChainError::InvalidCertified {
                number: proposed.block.header.number,
                hash: certified.hash(),
                error: Box::new(error),
            },
            other => other,
        })
    }

    /// Makes an executed block the head. The caller holds the door.
    pub(crate) fn write(
        &self,
        parent: &Head,
        execution: Execution,
        certificate: Option<&CommitCertificate>,
    ) -> Result<Arc<Head>, ChainError> {
        let started = Instant::now();
        let inner = &self.inner;
        let Execution { header, proposed, senders, receipts, changed_accounts, access_list, update, mut timings } =
            execution;
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
            inner.blocks.put_access_list(&mut batch, header.number, &list, inner.config.access_lists_kept)?;
        }
        let state = update.write_into(header.number, &mut batch)?;
        self.write_batch(batch)?;
        inner.states.committed(state);

        let state = inner.states.view()?;
        let head = Head::new(&inner.rules, header.clone(), certificate.cloned(), total_difficulty, state);
        let head = Arc::new(head);
        inner.head.store(head.clone());
        inner.executions.clear();
        timings.commit = started.elapsed();
        inner.timings.lock().put(header.number, timings);
        let (block, certificate) = (proposed.block, certificate.cloned());
        let event = CommittedBlock { header, block, senders, receipts, certificate, changed_accounts, timings };
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
    pub(crate) fn write_batch(&self, batch: Batch) -> Result<(), ChainError> {
        let database = &self.inner.database;
        let written = match self.inner.config.commits_synced {
            true => database.commit(batch),
            false => database.commit_unsynced(batch),
        };
        Ok(written?)
    }
}
