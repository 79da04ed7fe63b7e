//! Following a chain header by header: every header names its parent, so that their order is proven too, and the
//! certificates of an epoch are checked at once.

use super::{LightClient, LightClientError, MembersProof};
use crate::certificate::verify_certificates;
use crate::{Bug, CommitCertificate, Header, SealedHeader, SigningContext, ValidatorSet, planted};
use alloy_primitives::{B256, Sealable};

/// A header and the certificate said to finalize it, as peers send them: nothing checked yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedHeader {
    /// The header.
    pub header: Header,
    /// The certificate for it.
    pub certificate: CommitCertificate,
    /// At the end of an epoch, the next one's validators; absent elsewhere, where the chain has no registry, and where
    /// the sender does not have it.
    pub members: Option<MembersProof>,
}

/// A header that is final: a quorum of those who decide its height signed it, or a [`LightClient`] found it at the end of
/// a chain of headers from one that it trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedHeader {
    header: SealedHeader,
    certificate: CommitCertificate,
}

impl VerifiedHeader {
    /// Checks that the certificate is for this header and carries a quorum of `validators`, who must be those that decide
    /// its height.
    ///
    /// # Errors
    /// [`LightClientError::OtherBlock`] or [`LightClientError::Certificate`].
    pub fn verify(
        header: Header,
        certificate: CommitCertificate,
        validators: &ValidatorSet,
        context: &SigningContext,
    ) -> Result<Self, LightClientError> {
        let header = header.seal_slow();
        let number = header.number;
        super::check_subject(number, header.seal(), &certificate)?;
        if !planted(Bug::PivotUnverified) {
            let verified = certificate.verify(validators, context);
            verified.map_err(|error| LightClientError::Certificate { number, error })?;
        }
        Ok(Self { header, certificate })
    }

    /// The header.
    pub fn header(&self) -> &SealedHeader {
        &self.header
    }

    /// The certificate that makes it final.
    pub fn certificate(&self) -> &CommitCertificate {
        &self.certificate
    }
}

impl LightClient {
    /// Goes through headers that follow the last one without a gap, as far as the validators are known: behind the end of
    /// an epoch without a proof of the next one's members it stops, and leaves out the rest. Returns those that it went
    /// through.
    ///
    /// The certificates of one epoch are checked as a batch, by a quorum of each, except that the signatures of the last
    /// one are checked one by one: a batch may let pass what that check would not, but no header that its descendants do
    /// not prove.
    ///
    /// # Errors
    /// See [`LightClientError`]; the client is then where the last good epoch led.
    pub fn follow_linked(&mut self, headers: Vec<CertifiedHeader>) -> Result<Vec<VerifiedHeader>, LightClientError> {
        let mut verified: Vec<VerifiedHeader> = Vec::with_capacity(headers.len());
        let mut rest = headers.into_iter().peekable();
        while let Some(first) = rest.peek() {
            let last = self.last_known();
            if first.header.number > last {
                break;
            }
            let mut epoch = Vec::new();
            let mut members = None;
            while let Some(next) = rest.next_if(|next| next.header.number <= last) {
                members = next.members.filter(|_| next.header.number == last);
                epoch.push((next.header.seal_slow(), next.certificate));
            }
            self.follow_epoch(&epoch)?;
            let ended = epoch.last().map(|(header, _)| header.clone());
            verified.extend(epoch.into_iter().map(|(header, certificate)| VerifiedHeader { header, certificate }));
            if let (Some(members), Some(header)) = (members, ended) {
                self.enter_next_epoch(&members, header)?;
            }
        }
        Ok(verified)
    }

    /// Checks headers of this epoch and goes to the last one.
    fn follow_epoch(&mut self, headers: &[(SealedHeader, CommitCertificate)]) -> Result<(), LightClientError> {
        let mut parent: (u64, B256) = (self.header.number, self.header.seal());
        for (header, certificate) in headers {
            let (number, hash) = (header.number, header.seal());
            if parent.0.checked_add(1) != Some(number) || header.parent_hash != parent.1 {
                return Err(LightClientError::Unlinked { number, parent_hash: header.parent_hash, trusted: parent.0 });
            }
            super::check_subject(number, hash, certificate)?;
            parent = (number, hash);
        }
        let certificates = Vec::from_iter(headers.iter().map(|(_, certificate)| certificate));
        if !planted(Bug::CertificateUnverified) {
            verify_certificates(&certificates, &self.validators, &self.context).map_err(|(certificate, error)| {
                LightClientError::Certificate { number: certificate.height.as_u64(), error }
            })?;
        }
        if let Some((header, _)) = headers.last() {
            self.header = header.clone();
        }
        Ok(())
    }
}
