//! The records of the consensus log: every input that changed the core's state at a height, in order.
//!
//! Replaying them over a fresh core re-derives the same state and the same signatures. A block is written once, before
//! the first record that names its hash.

use crate::TimeoutKind;
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use heddle_primitives::{
    Height, MAX_PROPOSED_BLOCK_BYTES, PolkaCertificate, ProposedBlock, Round, SignedProposal, SignedVote,
    ValidatorAddress, decode_exact,
};

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The height that was being decided.
    pub height: Height,
    /// What happened.
    pub entry: Entry,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A block that later records name.
    Block(ProposedBlock),
    /// A proposal, ours or a peer's.
    Proposal(SignedProposal),
    /// A vote, ours or a peer's.
    Vote(SignedVote),
    /// A polka certificate from a peer.
    PolkaCertificate(PolkaCertificate),
    /// What our application says about a block.
    Verdict(Verdict),
    /// A timeout that elapsed.
    Timeout(ElapsedTimeout),
}

/// The application's word on a block, built here or validated.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Verdict {
    /// Round of the proposal that asked for it.
    pub round: Round,
    /// The block.
    pub block_hash: B256,
    /// Whose block it is.
    pub proposer: ValidatorAddress,
    /// Whether it may be voted for.
    pub valid: bool,
}

/// A timeout that elapsed, within the record's height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct ElapsedTimeout {
    /// Round of the timeout.
    pub round: Round,
    /// Step of the timeout.
    pub kind: TimeoutKind,
}

impl Encodable for TimeoutKind {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Propose => 1u8.encode(out),
            Self::Prevote => 2u8.encode(out),
            Self::Precommit => 3u8.encode(out),
            Self::Rebroadcast => 4u8.encode(out),
        }
    }

    fn length(&self) -> usize {
        1
    }
}

impl Decodable for TimeoutKind {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        match u8::decode(buf)? {
            1 => Ok(Self::Propose),
            2 => Ok(Self::Prevote),
            3 => Ok(Self::Precommit),
            4 => Ok(Self::Rebroadcast),
            _ => Err(alloy_rlp::Error::Custom("a timeout kind is 1 to 4")),
        }
    }
}

impl Record {
    /// Largest record, in bytes: a block and its parent's certificate.
    pub const BYTES_MAX: usize = MAX_PROPOSED_BLOCK_BYTES;

    /// Reads one record.
    ///
    /// # Errors
    /// The RLP rule that the bytes break.
    pub fn decode(bytes: &[u8]) -> alloy_rlp::Result<Self> {
        decode_exact(bytes, Self::BYTES_MAX)
    }

    /// The bytes of the record.
    pub fn encoded(&self) -> Vec<u8> {
        alloy_rlp::encode(self)
    }

    fn tagged(&self) -> (u8, &dyn Encodable) {
        match &self.entry {
            Entry::Block(entry) => (1, entry),
            Entry::Proposal(entry) => (2, entry),
            Entry::Vote(entry) => (3, entry),
            Entry::PolkaCertificate(entry) => (4, entry),
            Entry::Verdict(entry) => (5, entry),
            Entry::Timeout(entry) => (6, entry),
        }
    }

    fn payload_length(&self) -> usize {
        let (tag, entry) = self.tagged();
        self.height.length() + tag.length() + entry.length()
    }
}

impl Encodable for Record {
    fn encode(&self, out: &mut dyn BufMut) {
        let (tag, entry) = self.tagged();
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.height.encode(out);
        tag.encode(out);
        entry.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for Record {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let payload = &mut alloy_rlp::Header::decode_bytes(buf, true)?;
        let height = Decodable::decode(payload)?;
        let entry = match u8::decode(payload)? {
            1 => Entry::Block(Decodable::decode(payload)?),
            2 => Entry::Proposal(Decodable::decode(payload)?),
            3 => Entry::Vote(Decodable::decode(payload)?),
            4 => Entry::PolkaCertificate(Decodable::decode(payload)?),
            5 => Entry::Verdict(Decodable::decode(payload)?),
            6 => Entry::Timeout(Decodable::decode(payload)?),
            _ => return Err(alloy_rlp::Error::Custom("unknown kind of log record")),
        };
        if payload.is_empty() { Ok(Self { height, entry }) } else { Err(alloy_rlp::Error::UnexpectedLength) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_primitives::{Block, CommitSignature, ConsensusSignature, Proposal, Vote, VoteKind};
    use proptest::prelude::*;
    use std::sync::Arc;

    prop_compose! {
        fn signature()(byte in any::<u8>()) -> ConsensusSignature { ConsensusSignature::from_bytes([byte; 64]) }
    }
    prop_compose! {
        fn address()(byte in any::<u8>()) -> ValidatorAddress { ValidatorAddress::repeat_byte(byte) }
    }
    prop_compose! {
        fn hash()(bytes in any::<[u8; 32]>()) -> B256 { B256::from(bytes) }
    }

    fn vote() -> impl Strategy<Value = SignedVote> {
        (any::<u64>(), any::<u32>(), any::<bool>(), proptest::option::of(hash()), address(), signature()).prop_map(
            |(height, round, first, block_hash, validator, signature)| SignedVote {
                vote: Vote {
                    height: Height::new(height),
                    round: Round::new(round),
                    kind: if first { VoteKind::Prevote } else { VoteKind::Precommit },
                    block_hash,
                    validator,
                },
                signature,
            },
        )
    }

    fn proposal() -> impl Strategy<Value = SignedProposal> {
        (any::<u64>(), any::<u32>(), proptest::option::of(any::<u32>()), hash(), address(), signature()).prop_map(
            |(height, round, pol_round, block_hash, validator, signature)| SignedProposal {
                proposal: Proposal {
                    height: Height::new(height),
                    round: Round::new(round),
                    block_hash,
                    pol_round: pol_round.map(Round::new),
                    validator,
                },
                signature,
            },
        )
    }

    fn polka() -> impl Strategy<Value = PolkaCertificate> {
        (any::<u64>(), any::<u32>(), hash(), proptest::collection::vec((address(), signature()), 0..5)).prop_map(
            |(height, round, block_hash, signatures)| {
                let signatures =
                    signatures.into_iter().map(|(validator, signature)| CommitSignature { validator, signature });
                PolkaCertificate::new(Height::new(height), Round::new(round), block_hash, signatures.collect())
            },
        )
    }

    fn block() -> impl Strategy<Value = ProposedBlock> {
        (any::<u64>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..40)).prop_map(
            |(number, timestamp, extra)| {
                let mut block = Block::default();
                block.header.number = number;
                block.header.timestamp = timestamp;
                block.header.extra_data = extra.into();
                ProposedBlock::new(Arc::new(block), None)
            },
        )
    }

    fn timeout_kind() -> impl Strategy<Value = TimeoutKind> {
        prop_oneof![
            Just(TimeoutKind::Propose),
            Just(TimeoutKind::Prevote),
            Just(TimeoutKind::Precommit),
            Just(TimeoutKind::Rebroadcast)
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        let verdict =
            (any::<u32>(), hash(), address(), any::<bool>()).prop_map(|(round, block_hash, proposer, valid)| {
                Entry::Verdict(Verdict { round: Round::new(round), block_hash, proposer, valid })
            });
        let timeout = (any::<u32>(), timeout_kind())
            .prop_map(|(round, kind)| Entry::Timeout(ElapsedTimeout { round: Round::new(round), kind }));
        let entry = prop_oneof![
            block().prop_map(Entry::Block),
            proposal().prop_map(Entry::Proposal),
            vote().prop_map(Entry::Vote),
            polka().prop_map(Entry::PolkaCertificate),
            verdict,
            timeout,
        ];
        (any::<u64>(), entry).prop_map(|(height, entry)| Record { height: Height::new(height), entry })
    }

    proptest! {
        #[test]
        fn a_record_reads_back_as_written(record in record()) {
            prop_assert_eq!(Record::decode(&record.encoded()), Ok(record));
        }

        #[test]
        fn a_cut_or_extended_record_is_refused(record in record(), cut in any::<prop::sample::Index>(), tail in any::<u8>()) {
            let mut bytes = record.encoded();
            let cut = cut.index(bytes.len());
            prop_assert!(Record::decode(&bytes[..cut]).is_err());
            bytes.push(tail);
            prop_assert!(Record::decode(&bytes).is_err());
        }

        #[test]
        fn garbage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Record::decode(&bytes);
        }
    }
}
