//! Fetching what lies before an adopted state: headers down from it, each bound by the one after it, then their blocks.

use crate::beginning::Oldest;
use crate::block_store::{BlockRows, BlockStore};
use crate::verify::recover;
use crate::{BlockError, Chain, ChainError, ChainRules};
use alloy_consensus::proofs::calculate_receipt_root;
use alloy_primitives::{Address, B256, Bloom, Sealable};
use heddle_evm::validate_body;
use heddle_primitives::{
    CertificateError, CertifiedHeader, CommitCertificate, FinalizedBlock, Height, LightClientError, Receipt,
    RecoveredTransaction, SealedHeader, consensus_root,
};
use heddle_storage::Batch;

/// Why something is not a part of the chain before what is there. The sender's fault; nothing of what came with it is
/// written.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// Not the header, or the block, that the one after it binds.
    #[error("block {number} ({hash}) is not the one before block {number} + 1")]
    Unlinked {
        /// The number that it should have.
        number: u64,
        /// Its hash.
        hash: B256,
    },
    /// The certificate is for another block.
    #[error("the certificate of header {0} is for another block")]
    OtherBlock(u64),
    /// The certificate is neither the one that the header after it binds nor any other.
    #[error("the certificate of header {number}: {error}")]
    Certificate {
        /// Number of the header.
        number: u64,
        /// What is wrong.
        error: CertificateError,
    },
    /// The proof of the next validators proves nothing.
    #[error(transparent)]
    Members(#[from] LightClientError),
    /// The header ends an epoch, and the proof of the next validators is neither here nor came with it. The sender's
    /// lack, not its lie: older versions kept none. Another may have it.
    #[error(
        "the proof of the validators after block {0} is missing: nothing before it can be added if no peer kept it"
    )]
    MembersMissing(u64),
    /// The body is not what the header binds.
    #[error("block {number}: {error}")]
    Block {
        /// Its number.
        number: u64,
        /// The rule it breaks.
        error: BlockError,
    },
    /// The receipts are not those that the header binds.
    #[error("the receipts of block {0} are not those that its header binds")]
    Receipts(u64),
}

impl Chain {
    /// Adds headers before those that are there, the newest first, in one batch; some of them may be there already.
    /// Returns [`Self::headers_from`].
    ///
    /// # Errors
    /// [`ChainError::Backfill`] when one does not belong there, [`ChainError::AbsentBlock`] when the header after the
    /// first is not there, [`ChainError::Checkpoint`] when one is another than the checkpoint, or the database's. Nothing is
    /// written then.
    pub fn backfill_headers(&self, headers: &[CertifiedHeader]) -> Result<u64, ChainError> {
        let beginning = &self.inner.beginning;
        let _door = beginning.door.lock();
        let Some(first) = headers.first() else { return Ok(self.headers_from()) };
        let mut oldest = beginning.oldest();
        let after = first.header.number.saturating_add(1);
        if after < oldest.header {
            return Err(ChainError::AbsentBlock { number: after, oldest: oldest.header });
        }
        let known = || ChainError::UnknownBlock { number: after, head: self.head().header.number };
        let mut child = self.header(after)?.ok_or_else(known)?;
        let mut batch = Batch::new();
        for certified in headers {
            child = self.backfill_header(&child, certified, &mut batch)?;
        }
        oldest.header = oldest.header.min(child.number);
        Ok(self.write_beginning(batch, oldest)?.header)
    }

    /// Adds blocks with their receipts before those that are there, the newest first and without a gap, in one batch. Their
    /// headers and those of their parents must be there. Returns [`Self::blocks_from`].
    ///
    /// # Errors
    /// [`ChainError::Backfill`] when one does not belong there, [`ChainError::AbsentBlock`] when a header is not there, or
    /// the database's. Nothing is written then.
    pub fn backfill_blocks(&self, blocks: Vec<(FinalizedBlock, Vec<Receipt>)>) -> Result<u64, ChainError> {
        let beginning = &self.inner.beginning;
        let _door = beginning.door.lock();
        let mut oldest = beginning.oldest();
        let mut batch = Batch::new();
        for (block, receipts) in &blocks {
            let number = oldest.block.saturating_sub(1);
            let header = match self.header(number)?.filter(|header| self.is_behind_genesis(header)) {
                Some(header) if self.inner.blocks.hash(number - 1)?.is_some() => header,
                _ => return Err(ChainError::AbsentBlock { number, oldest: oldest.header }),
            };
            self.backfill_block(&header, block, receipts, &mut batch)?;
            oldest.block = number;
            // It came with the certificate of its parent, but without the proof that this may need.
            if oldest.header == number && !self.lacks_members(number - 1)? {
                oldest.header = number - 1;
            }
        }
        Ok(self.write_beginning(batch, oldest)?.block)
    }

    fn is_behind_genesis(&self, header: &SealedHeader) -> bool {
        header.number > self.inner.genesis.header().number
    }

    fn write_beginning(&self, mut batch: Batch, oldest: Oldest) -> Result<Oldest, ChainError> {
        let oldest = self.inner.beginning.put(&mut batch, oldest);
        self.write_batch(batch)?;
        self.inner.beginning.committed(oldest);
        Ok(oldest)
    }

    /// Adds the parent of `child`.
    fn backfill_header(
        &self,
        child: &SealedHeader,
        certified: &CertifiedHeader,
        batch: &mut Batch,
    ) -> Result<SealedHeader, ChainError> {
        let header = certified.header.clone().seal_slow();
        let (number, hash) = (header.number, header.seal());
        if child.parent_hash != hash || !self.is_behind_genesis(&header) {
            return Err(BackfillError::Unlinked { number: child.number.saturating_sub(1), hash }.into());
        }
        self.require_checkpoint(number, hash)?;
        BlockStore::put_header(batch, &header);
        self.backfill_certificate(child, hash, &certified.certificate, batch)?;
        match (&certified.members, self.epoch_ended_by(number)) {
            (Some(members), Some((epoch, registry))) => {
                // What they are is known: only that it is proven counts.
                let _ = members.verify(registry, &header).map_err(BackfillError::from)?;
                BlockStore::put_epoch_proof(batch, epoch, members);
            }
            _ if self.lacks_members(number)? => return Err(BackfillError::MembersMissing(number).into()),
            _ => {}
        }
        Ok(header)
    }

    /// Whether a block ends an epoch and the proof of the next validators is not here.
    pub(crate) fn lacks_members(&self, number: u64) -> Result<bool, ChainError> {
        let Some((epoch, _)) = self.epoch_ended_by(number) else { return Ok(false) };
        Ok(self.inner.blocks.epoch_proof(epoch)?.is_none())
    }

    /// Adds the certificate of the parent of `child`. When that convicts somebody, what it binds cannot be told without its
    /// evidence: then any certificate will do, unless there is one.
    fn backfill_certificate(
        &self,
        child: &SealedHeader,
        hash: B256,
        certificate: &CommitCertificate,
        batch: &mut Batch,
    ) -> Result<(), ChainError> {
        let number = child.number - 1;
        if certificate.block_hash != hash || certificate.height != Height::new(number) {
            return Err(BackfillError::OtherBlock(number).into());
        }
        if child.parent_beacon_block_root != Some(consensus_root(Some(certificate), &[])) {
            let verified = certificate.verify(&*self.validators(certificate.height)?, &self.signing_context());
            verified.map_err(|error| BackfillError::Certificate { number, error })?;
            if self.certificate(number)?.is_some() {
                return Ok(());
            }
        }
        BlockStore::put_certificate(batch, certificate);
        Ok(())
    }

    /// Adds the block of a header, with its parent's certificate.
    fn backfill_block(
        &self,
        header: &SealedHeader,
        block: &FinalizedBlock,
        receipts: &[Receipt],
        batch: &mut Batch,
    ) -> Result<(), ChainError> {
        let senders = check_finalized(&self.inner.rules, header, block, receipts)?;
        let proposed = &block.proposed;
        let rows = BlockRows { header, body: &proposed.block.body, senders: &senders, receipts };
        BlockStore::put_body(batch, &rows);
        BlockStore::put_evidence(batch, header.number, &proposed.evidence);
        proposed.parent_certificate.iter().for_each(|certificate| BlockStore::put_certificate(batch, certificate));
        Ok(())
    }
}

/// Checks that a block and its receipts are those of a header that is final, and gives the senders of its transactions.
/// The block's own certificate is not looked at.
///
/// # Errors
/// The sender's.
pub fn check_finalized(
    rules: &ChainRules,
    header: &SealedHeader,
    block: &FinalizedBlock,
    receipts: &[Receipt],
) -> Result<Vec<Address>, BackfillError> {
    let (number, proposed) = (header.number, &block.proposed);
    let wrong = |error| BackfillError::Block { number, error };
    let hash = proposed.hash();
    if hash != header.seal() {
        return Err(BackfillError::Unlinked { number, hash });
    }
    let found = header.parent_beacon_block_root.unwrap_or_default();
    let expected = consensus_root(proposed.parent_certificate.as_ref(), &proposed.evidence);
    if found != expected {
        return Err(wrong(BlockError::ParentCertificateDigest { found, expected }));
    }
    validate_body(rules, &proposed.block).map_err(|error| wrong(error.into()))?;
    let bloom = receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.logs_bloom());
    if calculate_receipt_root(receipts) != header.receipts_root || bloom != header.logs_bloom {
        return Err(BackfillError::Receipts(number));
    }
    let transactions = recover(rules, &proposed.block, &|_| None).map_err(wrong)?;
    Ok(transactions.iter().map(RecoveredTransaction::signer).collect())
}
