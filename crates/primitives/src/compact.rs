//! Blocks on their way to nodes that have most of their transactions already.

use crate::enveloped::Enveloped;
use crate::request::decode_bounded;
use crate::short_id::{decode_ids, encode_ids, ids_length};
use crate::vote::{decode_option, encode_option, option_length};
use crate::wire::{decode_list, decode_tagged, encode_by_tag};
use crate::{
    Block, CommitCertificate, DependencyHints, EVIDENCE_PER_BLOCK_MAX, Evidence, Header, MAX_BLOCK_BYTES,
    PieceCommitment, ProposedBlock, ShortId, ShortIdKey, SignedProposal, Transaction, consensus_root,
};
use alloy_consensus::BlockBody;
use alloy_consensus::constants::{EMPTY_OMMER_ROOT_HASH, EMPTY_WITHDRAWALS};
use alloy_consensus::proofs::calculate_transaction_root;
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use std::sync::Arc;

/// Most transactions of a block that travels compactly: with the smallest signed transaction of 78 bytes, a block of
/// [`MAX_BLOCK_BYTES`](crate::MAX_BLOCK_BYTES) holds 107,546.
pub const MAX_BLOCK_TRANSACTIONS: usize = 110_000;

/// What a block holds, in full or by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompactTransactions {
    /// The transactions: where they are so few that asking for them would cost more.
    Whole(Vec<Transaction>),
    /// Their names.
    Ids(TransactionIds),
}

/// The names of a block's transactions. Nothing binds them but the header's transactions root, which only the transactions
/// themselves can be held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionIds {
    /// One a transaction, by [`ShortIdKey::of_block`]: at least one, at most [`MAX_BLOCK_TRANSACTIONS`], none twice (or one
    /// large transaction of a pool would fill a block that nobody could hold).
    pub ids: Vec<ShortId>,
    /// How the transactions travel in pieces, where they are many bytes.
    pub pieces: Option<PieceCommitment>,
}

/// A list of the ids as one string and of the commitment as [`encode_option`] has it.
impl Encodable for TransactionIds {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = ids_length(&self.ids) + option_length(&self.pieces);
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        encode_ids(&self.ids, out);
        encode_option(&self.pieces, out);
    }

    fn length(&self) -> usize {
        let payload = ids_length(&self.ids) + option_length(&self.pieces);
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for TransactionIds {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let ids = decode_list(buf, |payload| Ok(Self { ids: decode_ids(payload)?, pieces: decode_option(payload)? }))?;
        match ids.ids.len() {
            1..=MAX_BLOCK_TRANSACTIONS if are_distinct(&ids.ids) => Ok(ids),
            1..=MAX_BLOCK_TRANSACTIONS => Err(alloy_rlp::Error::Custom("two transactions of a block have one id")),
            0 => Err(alloy_rlp::Error::Custom("a block without transactions has no ids")),
            _ => Err(alloy_rlp::Error::Custom("more ids than a block has transactions")),
        }
    }
}

fn are_distinct(ids: &[ShortId]) -> bool {
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    sorted.array_windows().all(|[one, next]| one != next)
}

impl CompactTransactions {
    /// How many transactions there are said to be.
    pub fn count(&self) -> usize {
        match self {
            Self::Whole(transactions) => transactions.len(),
            Self::Ids(TransactionIds { ids, .. }) => ids.len(),
        }
    }

    fn tagged(&self) -> (u8, &dyn Encodable) {
        match self {
            Self::Whole(transactions) => (1, transactions),
            Self::Ids(ids) => (2, ids),
        }
    }
}

encode_by_tag!(CompactTransactions);

impl Decodable for CompactTransactions {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_tagged(buf, |tag, body| match tag {
            1 => Ok(Self::Whole(Enveloped::all(Decodable::decode(body)?))),
            2 => Ok(Self::Ids(Decodable::decode(body)?)),
            _ => Err(alloy_rlp::Error::Custom("transactions are whole (1) or ids (2)")),
        })
    }
}

/// A block whose transactions may only be named. Its access list does not travel: it is larger than the transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactBlock {
    /// The header, whose hash is the block's.
    pub header: Header,
    /// As [`ProposedBlock::parent_certificate`].
    pub parent_certificate: Option<CommitCertificate>,
    /// As [`ProposedBlock::evidence`].
    pub evidence: Vec<Evidence>,
    /// The transactions.
    pub transactions: CompactTransactions,
    /// As [`ProposedBlock::hints`], without zeros at the end: where transactions do not depend on each other, hints
    /// take no room.
    pub hints: DependencyHints,
}

/// What came with a header is not what it binds. The fault of whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompactBlockFault {
    /// A part is not the one that the header binds.
    #[error("{part} of the block is {found}, its header binds {bound}")]
    Differs {
        /// Which part differs.
        part: &'static str,
        /// Its root or digest.
        found: B256,
        /// What the header says.
        bound: B256,
    },
    /// Header and transactions are larger than a block may be.
    #[error("the block has {0} bytes, more than {MAX_BLOCK_BYTES}")]
    TooLarge(usize),
}

fn bound(part: &'static str, found: B256, bound: B256) -> Result<(), CompactBlockFault> {
    if found == bound { Ok(()) } else { Err(CompactBlockFault::Differs { part, found, bound }) }
}

impl CompactBlock {
    /// The compact form of a block without ommers and withdrawals, as all blocks with a parent certificate are. Its
    /// transactions go along where their RLP is at most `whole_bytes_max`, or two of them share an id; else their ids and
    /// `pieces` do.
    pub fn of(proposed: &ProposedBlock, whole_bytes_max: usize, pieces: Option<PieceCommitment>) -> Self {
        let block = &*proposed.block;
        let transactions = &block.body.transactions;
        let is_whole = transactions.is_empty() || transactions.length() <= whole_bytes_max;
        let name = || {
            let key = ShortIdKey::of_block(proposed.hash());
            transactions.iter().map(|transaction| key.short_id(transaction.tx_hash())).collect::<Vec<_>>()
        };
        let ids = (!is_whole).then(name).filter(|ids| are_distinct(ids));
        let transactions = match ids {
            Some(ids) => CompactTransactions::Ids(TransactionIds { ids, pieces }),
            None => CompactTransactions::Whole(transactions.clone()),
        };
        Self {
            header: block.header.clone(),
            parent_certificate: proposed.parent_certificate.clone(),
            evidence: proposed.evidence.clone(),
            transactions,
            hints: proposed.hints.without_trailing_zeros(),
        }
    }

    /// The block's hash (computed at each call).
    pub fn hash(&self) -> B256 {
        self.header.hash_slow()
    }

    /// Whether everything that the header binds is what came along: certificate and evidence, no ommers, no withdrawals,
    /// and the transactions where they are whole. Whoever passes a block on checks this first.
    ///
    /// # Errors
    /// The first part that differs.
    pub fn check(&self) -> Result<(), CompactBlockFault> {
        let root = consensus_root(self.parent_certificate.as_ref(), &self.evidence);
        let header = &self.header;
        bound("digest of parent certificate and evidence", root, header.parent_beacon_block_root.unwrap_or_default())?;
        bound("ommers hash", EMPTY_OMMER_ROOT_HASH, header.ommers_hash)?;
        bound("withdrawals root", EMPTY_WITHDRAWALS, header.withdrawals_root.unwrap_or(EMPTY_WITHDRAWALS))?;
        match &self.transactions {
            CompactTransactions::Whole(transactions) => self.check_transactions(transactions),
            CompactTransactions::Ids(_) => Ok(()),
        }
    }

    /// Whether these are the block's transactions. Hashes all of them, unless they are larger than a block.
    ///
    /// # Errors
    /// They are not, or no block holds as much; what came beside the header may be to blame, or where they come from.
    pub fn check_transactions(&self, transactions: &[Transaction]) -> Result<(), CompactBlockFault> {
        let bytes = self.header.length() + alloy_rlp::list_length(transactions);
        if bytes > MAX_BLOCK_BYTES {
            return Err(CompactBlockFault::TooLarge(bytes));
        }
        bound("transactions root", calculate_transaction_root(transactions), self.header.transactions_root)
    }

    /// The block with these transactions, which [`Self::check_transactions`] has found to be its own. Hints for more of them
    /// are dropped: only the names that came along spoke of so many.
    pub fn with_transactions(&self, transactions: Vec<Transaction>) -> ProposedBlock {
        let withdrawals = self.header.withdrawals_root.map(|_| Withdrawals::default());
        let hints = if self.hints.len() > transactions.len() { DependencyHints::default() } else { self.hints.clone() };
        let body = BlockBody { transactions, ommers: Vec::new(), withdrawals };
        ProposedBlock {
            block: Arc::new(Block { header: self.header.clone(), body }),
            parent_certificate: self.parent_certificate.clone(),
            evidence: self.evidence.clone(),
            hints,
            access_list: None,
        }
    }

    fn payload_length(&self) -> usize {
        self.header.length()
            + option_length(&self.parent_certificate)
            + alloy_rlp::list_length(&self.evidence)
            + self.transactions.length()
            + self.hints.length()
    }
}

impl Encodable for CompactBlock {
    fn encode(&self, out: &mut dyn BufMut) {
        alloy_rlp::Header { list: true, payload_length: self.payload_length() }.encode(out);
        self.header.encode(out);
        encode_option(&self.parent_certificate, out);
        alloy_rlp::encode_list(&self.evidence, out);
        self.transactions.encode(out);
        self.hints.encode(out);
    }

    fn length(&self) -> usize {
        let payload = self.payload_length();
        payload + alloy_rlp::length_of_length(payload)
    }
}

impl Decodable for CompactBlock {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let block = decode_list(buf, |payload| {
            let header = Decodable::decode(payload)?;
            let parent_certificate = decode_option(payload)?;
            let evidence = decode_bounded(payload, EVIDENCE_PER_BLOCK_MAX)?;
            let transactions: CompactTransactions = Decodable::decode(payload)?;
            let hints = DependencyHints::new(decode_bounded(payload, transactions.count())?);
            Ok(Self { header, parent_certificate, evidence, transactions, hints })
        })?;
        if block.hints.ends_in_zero() {
            return Err(alloy_rlp::Error::Custom("hints of a compact block end in no zero"));
        }
        Ok(block)
    }
}

/// A proposal on its way: a message of the proposals topic.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct CompactProposal {
    /// The signed proposal.
    pub proposal: SignedProposal,
    /// The block that hashes to the proposal's `block_hash`.
    pub block: CompactBlock,
}

/// A final block on its way: a message of the blocks topic.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct CompactFinalized {
    /// The block.
    pub block: CompactBlock,
    /// The certificate that makes it final.
    pub certificate: CommitCertificate,
}

#[cfg(test)]
#[path = "compact_tests.rs"]
mod tests;
