//! What peers send each other, with the bounds that decoding enforces.

use crate::{
    CommitCertificate, Evidence, Height, PolkaCertificate, ProposedBlock, RoundCertificate, SignedProposal, SignedVote,
};
use alloy_rlp::{BufMut, Decodable, Encodable};

/// Largest RLP of a block (EIP-7934: 10 MiB less a margin of 2 MiB for what travels beside it).
pub const MAX_BLOCK_BYTES: usize = 8 * 1024 * 1024;
/// Largest RLP of an access list that travels. At about 210 bytes a transaction that is one of five thousand
/// transactions; a block with a larger one is executed without it.
pub const MAX_ACCESS_LIST_BYTES: usize = 1024 * 1024;
/// Largest compact block with what is signed around it: all of a full block's transactions, hints (4 bytes for a
/// transaction of 95 or more, at most), its parent's certificate and a signature.
pub const MAX_COMPACT_BLOCK_BYTES: usize = MAX_BLOCK_BYTES + 512 * 1024;
/// Largest block with all that belongs to it, as a node stores it and as peers ask for it: with its access list.
pub const MAX_PROPOSED_BLOCK_BYTES: usize = MAX_COMPACT_BLOCK_BYTES + MAX_ACCESS_LIST_BYTES;
/// Largest message of consensus that carries no block: a certificate of 200 validators, of at most 125 bytes each, has room
/// in half of it; evidence and votes are far smaller.
pub const MAX_CONSENSUS_MESSAGE_BYTES: usize = 64 * 1024;
/// Largest encoded transaction that the mempool accepts, in bytes (geth's `txMaxSize`).
pub const MAX_TRANSACTION_BYTES: usize = 128 * 1024;
/// Largest response, in bytes: one maximal block with its access list always fits.
pub const MAX_RESPONSE_BYTES: usize = MAX_PROPOSED_BLOCK_BYTES + 512 * 1024;

/// Decodes a whole buffer: trailing bytes are an error, and more than `bytes_max` is refused before parsing.
///
/// # Errors
/// The RLP rule that the bytes break.
pub fn decode_exact<T: Decodable>(bytes: &[u8], bytes_max: usize) -> alloy_rlp::Result<T> {
    if bytes.len() > bytes_max {
        return Err(alloy_rlp::Error::Custom("message is larger than its limit"));
    }
    alloy_rlp::decode_exact(bytes)
}

/// A proposal with the block it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalMessage {
    /// The signed proposal.
    pub proposal: SignedProposal,
    /// The block that hashes to the proposal's `block_hash`.
    pub body: ProposedBlock,
}

impl Encodable for ProposalMessage {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = self.proposal.length() + self.body.length();
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        self.proposal.encode(out);
        self.body.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.proposal.length() + self.body.length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for ProposalMessage {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |payload| {
            Ok(Self { proposal: Decodable::decode(payload)?, body: Decodable::decode(payload)? })
        })
    }
}

/// What consensus says: a list of a tag and the message. Proposals travel as [`CompactProposal`](crate::CompactProposal),
/// all others as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsensusMessage {
    /// A prevote or precommit.
    Vote(SignedVote),
    /// A proposal with its block.
    Proposal(Box<ProposalMessage>),
    /// Two thirds prevoted: lets a late node lock.
    PolkaCertificate(PolkaCertificate),
    /// Lets a late node enter a round.
    RoundCertificate(RoundCertificate),
    /// Two thirds precommitted: lets a node that holds the block commit it, and another ask for it.
    CommitCertificate(CommitCertificate),
    /// A validator signed two conflicting messages.
    Evidence(Box<Evidence>),
}

/// Encodes a list of a tag and a body: how every enum of this file travels.
pub(crate) fn encode_tagged(tag: u8, body: &dyn Encodable, out: &mut dyn BufMut) {
    alloy_rlp::Header { list: true, payload_length: tag.length() + body.length() }.encode(out);
    tag.encode(out);
    body.encode(out);
}

pub(crate) fn tagged_length(tag: u8, body: &dyn Encodable) -> usize {
    let payload = tag.length() + body.length();
    payload + alloy_rlp::length_of_length(payload)
}

/// Opens a tagged list, gives its tag and body to `decode`, and refuses what is left over.
pub(crate) fn decode_tagged<T>(
    buf: &mut &[u8],
    decode: impl FnOnce(u8, &mut &[u8]) -> alloy_rlp::Result<T>,
) -> alloy_rlp::Result<T> {
    decode_list(buf, |payload| {
        let tag = u8::decode(payload)?;
        decode(tag, payload)
    })
}

/// Opens a list, gives its body to `decode`, and refuses what is left over.
pub(crate) fn decode_list<T>(
    buf: &mut &[u8],
    decode: impl FnOnce(&mut &[u8]) -> alloy_rlp::Result<T>,
) -> alloy_rlp::Result<T> {
    let payload = &mut alloy_rlp::Header::decode_bytes(buf, true)?;
    let value = decode(payload)?;
    if payload.is_empty() { Ok(value) } else { Err(alloy_rlp::Error::UnexpectedLength) }
}

/// Makes an enum encode as [`encode_tagged`] has it, by its method `tagged`, which gives tag and body.
macro_rules! encode_by_tag {
    ($message:ty) => {
        impl Encodable for $message {
            fn encode(&self, out: &mut dyn BufMut) {
                let (tag, body) = self.tagged();
                $crate::wire::encode_tagged(tag, body, out);
            }

            fn length(&self) -> usize {
                let (tag, body) = self.tagged();
                $crate::wire::tagged_length(tag, body)
            }
        }
    };
}
pub(crate) use encode_by_tag;

impl ConsensusMessage {
    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Vote(m) => (1, m),
            Self::Proposal(m) => (2, &**m),
            Self::PolkaCertificate(m) => (3, m),
            Self::RoundCertificate(m) => (4, m),
            Self::CommitCertificate(m) => (5, m),
            Self::Evidence(m) => (6, &**m),
        }
    }

    /// The height that the message is about.
    pub fn height(&self) -> Height {
        match self {
            Self::Vote(m) => m.vote.height,
            Self::Proposal(m) => m.proposal.proposal.height,
            Self::PolkaCertificate(m) => m.height,
            Self::RoundCertificate(m) => m.height,
            Self::CommitCertificate(m) => m.height,
            Self::Evidence(m) => m.height(),
        }
    }
}

encode_by_tag!(ConsensusMessage);

impl Decodable for ConsensusMessage {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => Ok(Self::Vote(Decodable::decode(body)?)),
            2 => Ok(Self::Proposal(Box::new(Decodable::decode(body)?))),
            3 => Ok(Self::PolkaCertificate(Decodable::decode(body)?)),
            4 => Ok(Self::RoundCertificate(Decodable::decode(body)?)),
            5 => Ok(Self::CommitCertificate(Decodable::decode(body)?)),
            6 => Ok(Self::Evidence(Box::new(Decodable::decode(body)?))),
            _ => Err(alloy_rlp::Error::Custom("unknown kind of consensus message")),
        })
    }
}
