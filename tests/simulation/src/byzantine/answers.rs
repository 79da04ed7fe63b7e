//! Lies to those who catch up.

use super::Adversary;
use alloy_primitives::B256;
use heddle_primitives::{CertifiedHeader, CommitCertificate, FinalizedBlock, Height, Response, VoteKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Adversary {
    /// What a node answers instead of the truth.
    pub fn lie(&self, truth: Response, rng: &mut ChaCha8Rng) -> Response {
        match truth {
            Response::Status(mut status) => {
                match rng.random_range(0..3) {
                    0 => status.height = Height::new(status.height.as_u64() + rng.random_range(1..1_000)),
                    1 => status.earliest = Height::new(rng.random_range(0..100)),
                    _ => status.hash = B256::from(rng.random::<[u8; 32]>()),
                }
                Response::Status(status)
            }
            Response::Blocks(mut blocks) => {
                match rng.random_range(0..5) {
                    0 => blocks.clear(),
                    1 => blocks.reverse(),
                    2 => _ = (!blocks.is_empty()).then(|| blocks.remove(0)),
                    3 => blocks.iter_mut().for_each(|block| self.unsign(&mut block.certificate, rng)),
                    _ => blocks.iter_mut().for_each(|block| self.replace(block, rng)),
                }
                Response::Blocks(blocks)
            }
            Response::Headers(mut headers) => {
                match rng.random_range(0..7) {
                    0 => headers.clear(),
                    1 => headers.reverse(),
                    2 => _ = (!headers.is_empty()).then(|| headers.remove(0)),
                    3 => headers.iter_mut().for_each(|header| self.unsign(&mut header.certificate, rng)),
                    4 => _ = headers.last_mut().map(|header| self.unsign(&mut header.certificate, rng)),
                    5 => headers
                        .iter_mut()
                        .for_each(|header| header.header.parent_hash = rng.random::<[u8; 32]>().into()),
                    _ => self.fork(&mut headers, rng),
                }
                Response::Headers(headers)
            }
            other => other,
        }
    }

    /// Makes a certificate prove nothing.
    fn unsign(&self, certificate: &mut CommitCertificate, rng: &mut ChaCha8Rng) {
        let signatures = &mut certificate.signatures;
        match rng.random_range(0..3) {
            0 => signatures.truncate(2 * self.nodes / 3),
            1 => *signatures = signatures.iter().take(1).flat_map(|s| vec![s.clone(); self.nodes]).collect(),
            _ => *signatures = self.forged(),
        }
    }

    /// Another chain from a header on, well linked, with certificates that name its headers.
    fn fork(&self, headers: &mut [CertifiedHeader], rng: &mut ChaCha8Rng) {
        let mut parent = None;
        for CertifiedHeader { header, certificate, members } in headers {
            header.parent_hash = parent.unwrap_or(header.parent_hash);
            header.gas_used += 1;
            let block_hash = header.hash_slow();
            parent = Some(block_hash);
            certificate.block_hash = block_hash;
            certificate.signatures =
                self.signatures(certificate.height, certificate.round, VoteKind::Precommit, block_hash, rng);
            *members = members.take().filter(|_| rng.random());
        }
    }

    /// Another block, with signatures of the right one.
    fn replace(&self, block: &mut FinalizedBlock, rng: &mut ChaCha8Rng) {
        block.proposed = self.spoil(&block.proposed, None, rng);
        if rng.random() {
            let certificate = &mut block.certificate;
            certificate.block_hash = block.proposed.hash();
            let (height, round) = (certificate.height, certificate.round);
            certificate.signatures = self.signatures(height, round, VoteKind::Precommit, certificate.block_hash, rng);
        }
    }
}
