//! The one commit door.

use crate::block_store::{BlockRows, BlockStore, missing};
use crate::execution::Execution;
use crate::verify::require_next;
use crate::{Chain, ChainError, CommittedBlock, Head};
use heddle_primitives::{CertifiedBlock, CommitCertificate};
use heddle_storage::Batch;
use std::sync::Arc;

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
        self.write(execution, certified.certificate())
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

    fn write(&self, execution: Execution, certificate: &CommitCertificate) -> Result<Arc<Head>, ChainError> {
        let inner = &self.inner;
        let Execution { header, proposed, senders, receipts, changed_accounts, update } = execution;
        let mut batch = Batch::new();
        let rows = BlockRows { header: &header, body: &proposed.block.body, senders: &senders, receipts: &receipts };
        BlockStore::put_head(&mut batch, &rows);
        BlockStore::put_certificate(&mut batch, certificate);
        if let Some(parent) = &proposed.parent_certificate {
            // From now on the parent is served with the certificate that the chain itself binds.
            BlockStore::put_certificate(&mut batch, parent);
        }
        update.write_into(header.number, &mut batch)?;
        inner.database.commit(batch)?;

        let head = Arc::new(Head::new(&inner.rules, header.clone(), Some(certificate.clone()), inner.states.view()?));
        inner.head.store(head.clone());
        inner.executions.clear();
        let block = proposed.block;
        let certificate = certificate.clone();
        let event = CommittedBlock { header, block, senders, receipts, certificate, changed_accounts };
        // Nobody may be listening, as in tests and tools: that is no failure.
        let _ = inner.events.send(Arc::new(event));
        Ok(head)
    }
}
