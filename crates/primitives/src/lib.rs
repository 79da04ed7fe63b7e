//! What is hashed, signed or sent: genesis, validators, votes, certificates, blocks and wire messages.
//!
//! Rules of this crate:
//! - every type here has one RLP encoding, and decoding rejects every other one (no trailing bytes);
//! - nothing here reads a clock, a socket or a disk;
//! - a check that others rely on is a type: a [`CertifiedBlock`] cannot be built from an unverified certificate.

mod access_list;
mod account;
mod block;
mod block_parts;
mod certificate;
mod certified;
mod checkpoint;
mod compact;
mod enveloped;
mod evidence;
mod forks;
mod genesis;
mod hints;
mod light_client;
mod number;
mod pieces;
mod planted;
pub mod registry;
mod request;
mod short_id;
mod signing;
mod state_range;
mod transaction_gossip;
mod validator;
mod vote;
mod wire;

#[cfg(test)]
mod tests;

pub use access_list::EncodedAccessList;
pub use account::{Account, AccountChange, StateChanges};
pub use block::{
    AccessListMismatch, Block, Header, ProposedBlock, Receipt, RecoveredTransaction, SealedHeader, Transaction,
    bound_access_list, consensus_root,
};
pub use block_parts::{BlockPiecesRequest, BlockTransactionsRequest, IndexSet};
pub use certificate::{
    CertificateError, CommitCertificate, CommitSignature, PolkaCertificate, RoundCertificate, RoundCertificateKind,
    RoundSignature,
};
pub use certified::{CertifiedBlock, CertifiedBlockError, FinalizedBlock};
pub use checkpoint::{Checkpoint, CheckpointParseError};
pub use compact::{
    CompactBlock, CompactBlockFault, CompactFinalized, CompactProposal, CompactTransactions, MAX_BLOCK_TRANSACTIONS,
    TransactionIds,
};
pub use evidence::{ConflictingPair, EVIDENCE_AGE_MAX, EVIDENCE_PER_BLOCK_MAX, Evidence, EvidenceError};
pub use forks::Fork;
pub use genesis::{Genesis, GenesisError, HeddleConfig};
pub use hints::DependencyHints;
pub use light_client::{
    CertifiedHeader, EpochStep, LightClient, LightClientError, MembersProof, SlotProof, VerifiedHeader,
};
pub use number::{Epoch, Height, Round};
pub use pieces::{MAX_PIECES, Piece, PieceCommitment, PieceLayout, PieceTree, WHOLE_BODY_BYTES_MAX};
#[cfg(feature = "planted-bugs")]
pub use planted::plant;
pub use planted::{Bug, planted};
pub use request::{
    BlocksRequest, EpochStepsRequest, MAX_BLOCKS_PER_RESPONSE, MAX_EPOCH_STEPS_PER_RESPONSE, MAX_HEADERS_PER_RESPONSE,
    MAX_REQUEST_BYTES, MAX_SNAPSHOT_OFFERS, Refusal, Request, RequestKind, Response, Status,
};
pub use short_id::{ShortId, ShortIdKey};
pub use signing::{ConsensusKey, ConsensusSignature, KeyError, SigningContext};
pub use state_range::{
    AccountLeaf, AccountRange, AccountsRequest, CodeRequest, MAX_ACCOUNTS_PER_REQUEST, MAX_CODES_PER_REQUEST,
    MAX_LEAVES_PER_RESPONSE, MAX_PROOF_NODES, Pivot, RangeProofRequest, STATE_RESPONSE_BYTES, SlotLeaf, SnapshotOffer,
    StateTask, StorageRanges, StorageRequest,
};
pub use transaction_gossip::{
    MAX_ANNOUNCED_TRANSACTIONS, MAX_PUSHED_TRANSACTION_BYTES, MAX_PUSHED_TRANSACTIONS, MAX_TRANSACTION_BATCH_BYTES,
    MAX_TRANSACTION_REQUEST_BYTES, MAX_TRANSACTION_RESPONSE_BYTES, MAX_TRANSACTIONS_PER_BATCH, TransactionAnnouncement,
    TransactionBatch, TransactionRequest, TransactionResponse,
};
pub use validator::{Validator, ValidatorAddress, ValidatorSet, ValidatorSetError};
pub use vote::{Proposal, SignedProposal, SignedVote, Vote, VoteKind};
pub use wire::{
    ConsensusMessage, MAX_ACCESS_LIST_BYTES, MAX_BLOCK_BYTES, MAX_COMPACT_BLOCK_BYTES, MAX_CONSENSUS_MESSAGE_BYTES,
    MAX_PROPOSED_BLOCK_BYTES, MAX_RESPONSE_BYTES, MAX_TRANSACTION_BYTES, ProposalMessage, decode_exact,
};
