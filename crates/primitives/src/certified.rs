//! A block whose finality has been checked.

use crate::{CertificateError, CommitCertificate, ProposedBlock, SigningContext, ValidatorSet, VerifiedHeader};
use alloy_primitives::B256;
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// A block and the certificate said to finalize it, as peers send it: nothing checked yet.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct FinalizedBlock {
    /// The block with its parent's certificate.
    pub proposed: ProposedBlock,
    /// The certificate for this block.
    pub certificate: CommitCertificate,
}

/// Why a block is not certified. Always the fault of whoever sent it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertifiedBlockError {
    /// The certificate is for something else.
    #[error("certificate is for block {certified} at height {certified_height}, not {hash} at height {height}")]
    Mismatch {
        /// Hash in the certificate.
        certified: B256,
        /// Height in the certificate.
        certified_height: u64,
        /// Hash of the block.
        hash: B256,
        /// Number of the block.
        height: u64,
    },
    /// Another block than the final one of that height.
    #[error("the block is {hash}, the final one is {expected}")]
    OtherHeader {
        /// The block's hash.
        hash: B256,
        /// That of the final header.
        expected: B256,
    },
    /// The certificate itself fails.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A block with a verified commit certificate. There is no other way to make one than to check the certificate,
/// so whoever holds one may commit it.
#[derive(Clone, Debug)]
pub struct CertifiedBlock {
    hash: B256,
    inner: FinalizedBlock,
}

impl CertifiedBlock {
    /// Checks that the certificate is for this block and carries a quorum of `validators`.
    ///
    /// # Errors
    /// See [`CertifiedBlockError`].
    pub fn verify(
        inner: FinalizedBlock,
        validators: &ValidatorSet,
        context: &SigningContext,
    ) -> Result<Self, CertifiedBlockError> {
        let hash = inner.proposed.hash();
        let height = inner.proposed.block.header.number;
        let certificate = &inner.certificate;
        if certificate.block_hash != hash || certificate.height.as_u64() != height {
            return Err(CertifiedBlockError::Mismatch {
                certified: certificate.block_hash,
                certified_height: certificate.height.as_u64(),
                hash,
                height,
            });
        }
        certificate.verify(validators, context)?;
        Ok(Self { hash, inner })
    }

    /// A block whose header is final already, with the certificate that made it so: the one that came with the block is
    /// not looked at.
    ///
    /// # Errors
    /// [`CertifiedBlockError::OtherHeader`].
    pub fn of_header(block: ProposedBlock, verified: &VerifiedHeader) -> Result<Self, CertifiedBlockError> {
        let (hash, expected) = (block.hash(), verified.header().seal());
        if hash != expected {
            return Err(CertifiedBlockError::OtherHeader { hash, expected });
        }
        let certificate = verified.certificate().clone();
        Ok(Self { hash, inner: FinalizedBlock { proposed: block, certificate } })
    }

    /// The block's hash.
    pub fn hash(&self) -> B256 {
        self.hash
    }

    /// The block with its parent's certificate.
    pub fn proposed(&self) -> &ProposedBlock {
        &self.inner.proposed
    }

    /// The certificate that makes it final.
    pub fn certificate(&self) -> &CommitCertificate {
        &self.inner.certificate
    }
}
