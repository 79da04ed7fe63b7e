//! Certificates that prove nothing.

use super::{Adversary, Deception};
use alloy_primitives::B256;
use heddle_primitives::{
    CommitCertificate, CommitSignature, ConsensusMessage, ConsensusSignature, Height, PolkaCertificate, Round,
    RoundCertificate, RoundCertificateKind, RoundSignature, VoteKind,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

impl Adversary {
    /// Sends forged certificates about the message's height along.
    pub(super) fn add_forgeries(
        &self,
        node: usize,
        message: &ConsensusMessage,
        deception: &mut Deception,
        rng: &mut ChaCha8Rng,
    ) {
        let height = message.height();
        let round = Round::new(rng.random_range(0..4));
        let heard = self.proposals.iter().rev().find(|((at, _), _)| *at == height);
        let block_hash = heard.and_then(|(_, hashes)| hashes.first()).copied().unwrap_or(B256::repeat_byte(8));
        let index = deception.add(match rng.random_range(0..3) {
            0 => ConsensusMessage::CommitCertificate(CommitCertificate {
                height,
                round,
                block_hash,
                signatures: self.signatures(height, round, VoteKind::Precommit, block_hash, rng),
            }),
            1 => ConsensusMessage::PolkaCertificate(PolkaCertificate {
                height,
                round,
                block_hash,
                signatures: self.signatures(height, round, VoteKind::Prevote, block_hash, rng),
            }),
            _ => self.round_certificate(height, rng),
        });
        self.peers(node).for_each(|to| deception.send(to, index));
    }

    /// Signatures that are no quorum: those that were heard, one repeated, or made up.
    pub(super) fn signatures(
        &self,
        height: Height,
        round: Round,
        kind: VoteKind,
        block_hash: B256,
        rng: &mut ChaCha8Rng,
    ) -> Vec<CommitSignature> {
        let heard = self.votes.get(&(height, round, kind, Some(block_hash))).cloned().unwrap_or_default();
        let mut signatures = heard;
        signatures.truncate(2 * self.nodes / 3);
        signatures.sort_by_key(|signature| signature.validator);
        match rng.random_range(0..3) {
            0 => {}
            1 => signatures = signatures.iter().flat_map(|signature| vec![signature.clone(); self.nodes]).collect(),
            _ => signatures = self.forged(),
        }
        signatures
    }

    /// A signature of everybody that nobody made.
    pub(super) fn forged(&self) -> Vec<CommitSignature> {
        let signature = ConsensusSignature::from_bytes([6; 64]);
        let members = self.fixture.heddle().validators.validators().iter();
        members.map(|member| CommitSignature { validator: member.address, signature }).collect()
    }

    /// Sends everybody to a round far ahead, with the votes of too few.
    fn round_certificate(&self, height: Height, rng: &mut ChaCha8Rng) -> ConsensusMessage {
        let kind = if rng.random() { RoundCertificateKind::Skip } else { RoundCertificateKind::Precommit };
        let vote_kind = if rng.random() { VoteKind::Prevote } else { VoteKind::Precommit };
        let of_height = self.votes.iter().filter(|((at, _, kind, _), _)| *at == height && *kind == vote_kind);
        let heard = of_height.max_by_key(|((_, round, _, _), _)| *round);
        let round = heard.map_or(Round::new(3), |((_, round, _, _), _)| *round);
        let mut signatures: Vec<RoundSignature> = heard
            .into_iter()
            .flat_map(|((_, _, kind, block_hash), signatures)| {
                let (kind, block_hash) = (*kind, *block_hash);
                signatures.iter().map(move |s| RoundSignature {
                    kind,
                    block_hash,
                    validator: s.validator,
                    signature: s.signature,
                })
            })
            .collect();
        signatures.truncate(1);
        ConsensusMessage::RoundCertificate(RoundCertificate { height, round, kind, signatures })
    }
}
