//! Lies to those who catch up.

use super::Adversary;
use alloy_primitives::B256;
use heddle_primitives::{FinalizedBlock, Height, Response, VoteKind};
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
                    3 => blocks.iter_mut().for_each(|block| self.unsign(block, rng)),
                    _ => blocks.iter_mut().for_each(|block| self.replace(block, rng)),
                }
                Response::Blocks(blocks)
            }
            other => other,
        }
    }

    /// The right block with a certificate that proves nothing.
    fn unsign(&self, block: &mut FinalizedBlock, rng: &mut ChaCha8Rng) {
        let signatures = &mut block.certificate.signatures;
        match rng.random_range(0..3) {
            0 => signatures.truncate(2 * self.nodes / 3),
            1 => *signatures = signatures.iter().take(1).flat_map(|s| vec![s.clone(); self.nodes]).collect(),
            _ => *signatures = self.forged(),
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
