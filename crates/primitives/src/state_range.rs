//! Pieces of a state as peers exchange them: leaves that follow each other in a trie, with proofs.

use crate::request::decode_bounded;
use crate::wire::decode_list;
use crate::{Height, Request};
use alloy_primitives::{B256, Bytes, U256};
use alloy_rlp::{Decodable, RlpDecodable, RlpEncodable};
use alloy_trie::TrieAccount;

/// About how many bytes of leaves a peer sends at once: it ends an answer with the leaf that reaches this.
pub const STATE_RESPONSE_BYTES: usize = 512 * 1024;
/// Most accounts whose slots one request asks for.
pub const MAX_ACCOUNTS_PER_REQUEST: usize = 256;
/// Most codes that one request asks for.
pub const MAX_CODES_PER_REQUEST: usize = 64;
/// Most nodes on the paths to two keys of 64 nibbles.
pub const MAX_PROOF_NODES: usize = 130;
/// Most leaves in one answer: what [`STATE_RESPONSE_BYTES`] holds of the smallest, and some.
pub const MAX_LEAVES_PER_RESPONSE: usize = 16 * 1024;

/// A state that a peer serves: the one after the block at this height.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, RlpEncodable, RlpDecodable)]
pub struct SnapshotOffer {
    /// Height of the block.
    pub height: Height,
    /// Its hash.
    pub hash: B256,
}

/// Asks for the accounts of a snapshot from `first` on, up to the first at or behind `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct AccountsRequest {
    /// Height of the snapshot.
    pub height: Height,
    /// The lowest hashed address wanted.
    pub first: B256,
    /// The highest hashed address wanted; `first` or above.
    pub last: B256,
}

/// Asks for the slots of accounts of a snapshot: of the first from `first` on, of the last up to the first at or behind
/// `last`, of the others all.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable)]
pub struct StorageRequest {
    /// Height of the snapshot.
    pub height: Height,
    /// Hashed addresses, in order, 1 to [`MAX_ACCOUNTS_PER_REQUEST`]; all of them have storage.
    pub accounts: Vec<B256>,
    /// The lowest hashed slot wanted of the first account.
    pub first: B256,
    /// The highest hashed slot wanted of the last account.
    pub last: B256,
}

/// Asks for code by hash.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable)]
pub struct CodeRequest {
    /// Hashes, 1 to [`MAX_CODES_PER_REQUEST`].
    pub hashes: Vec<B256>,
}

/// Asks for the nodes on the paths to `first` and to `last`, which show whether the leaves between them, both included,
/// are those that the asker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct RangeProofRequest {
    /// Height of the snapshot.
    pub height: Height,
    /// The account whose storage trie it is; zero for the trie of accounts.
    pub owner: B256,
    /// Where the range starts.
    pub first: B256,
    /// Where it ends; a leaf or not.
    pub last: B256,
}

/// A leaf of the trie of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct AccountLeaf {
    /// The hashed address.
    pub key: B256,
    /// The account.
    pub account: TrieAccount,
}

/// A leaf of a storage trie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SlotLeaf {
    /// The hashed slot.
    pub key: B256,
    /// Its value, not zero.
    pub value: U256,
}

/// Accounts that follow each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable)]
pub struct AccountRange {
    /// In the order of their keys.
    pub accounts: Vec<AccountLeaf>,
    /// The nodes on the paths to the start asked for and to the last account, in any order.
    pub proof: Vec<Bytes>,
}

/// Slots of accounts in the order asked for, which may end early: of all but the last account every slot, and of the last
/// those from the start asked for to some other.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodable)]
pub struct StorageRanges {
    /// Slots of each account, in the order of their keys.
    pub accounts: Vec<Vec<SlotLeaf>>,
    /// The nodes on the paths to the start and to the last slot of the last account, in any order; none when its slots
    /// are all that it has.
    pub proof: Vec<Bytes>,
}

/// The state that is being fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pivot {
    /// Height of the block after which it is the state.
    pub height: Height,
    /// Its root, from a final header.
    pub state_root: B256,
}

/// A piece of a state that is to be fetched, or proven again, whatever the pivot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StateTask {
    /// Accounts from `first` to `last`, both included.
    Accounts {
        /// The lowest hashed address wanted.
        first: B256,
        /// The highest.
        last: B256,
    },
    /// Slots of accounts: of the first from `first` on, of the last up to `last`, of the others all.
    Storage {
        /// Hashed addresses, in order, 1 to [`MAX_ACCOUNTS_PER_REQUEST`].
        accounts: Vec<B256>,
        /// The lowest hashed slot wanted of the first account.
        first: B256,
        /// The highest hashed slot wanted of the last account.
        last: B256,
    },
    /// Code by hash, 1 to [`MAX_CODES_PER_REQUEST`].
    Code {
        /// Hashes.
        hashes: Vec<B256>,
    },
    /// The proof that leaves which are here already are those of the pivot.
    RangeProof {
        /// The account whose storage trie it is; `None` for the trie of accounts.
        owner: Option<B256>,
        /// Where the range starts.
        first: B256,
        /// Where it ends; a leaf or not.
        last: B256,
    },
}

impl StateTask {
    /// What a peer is asked for it, of the snapshot at a height.
    pub fn request(&self, height: Height) -> Request {
        match self {
            Self::Accounts { first, last } => Request::Accounts(AccountsRequest { height, first: *first, last: *last }),
            Self::Storage { accounts, first, last } => {
                Request::Storage(StorageRequest { height, accounts: accounts.clone(), first: *first, last: *last })
            }
            Self::Code { hashes } => Request::Code(CodeRequest { hashes: hashes.clone() }),
            Self::RangeProof { owner, first, last } => {
                let owner = owner.unwrap_or_default();
                Request::RangeProof(RangeProofRequest { height, owner, first: *first, last: *last })
            }
        }
    }
}

impl Decodable for StorageRequest {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |body| {
            let height = Decodable::decode(body)?;
            let accounts = decode_bounded(body, MAX_ACCOUNTS_PER_REQUEST)?;
            Ok(Self { height, accounts, first: Decodable::decode(body)?, last: Decodable::decode(body)? })
        })
    }
}

impl Decodable for CodeRequest {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |body| Ok(Self { hashes: decode_bounded(body, MAX_CODES_PER_REQUEST)? }))
    }
}

impl Decodable for AccountRange {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |body| {
            let accounts = decode_bounded(body, MAX_LEAVES_PER_RESPONSE)?;
            Ok(Self { accounts, proof: decode_bounded(body, MAX_PROOF_NODES)? })
        })
    }
}

/// One account's slots, bounded.
struct Slots(Vec<SlotLeaf>);

impl Decodable for Slots {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_bounded(buf, MAX_LEAVES_PER_RESPONSE).map(Self)
    }
}

impl Decodable for StorageRanges {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |body| {
            let accounts = decode_bounded(body, MAX_ACCOUNTS_PER_REQUEST)?;
            let accounts = accounts.into_iter().map(|Slots(slots)| slots).collect();
            Ok(Self { accounts, proof: decode_bounded(body, MAX_PROOF_NODES)? })
        })
    }
}
