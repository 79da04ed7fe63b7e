//! What this crate needs from others.

use crate::Topic;
use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use heddle_primitives::{Request, Response, ShortId, ShortIdKey, Transaction, TransactionAnnouncement};
use libp2p::PeerId;

/// What to do with a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Valid: forward it.
    Accept,
    /// Neither forward nor blame: a duplicate, too old, too early, or more than we can take.
    Ignore,
    /// No correct node would have forwarded it: the peer that did loses score.
    Reject,
}

/// Judges gossip before it is forwarded, and takes what is accepted.
#[async_trait]
pub trait GossipValidator: Send + Sync + 'static {
    /// Judges `message`, forwarded by `peer` (not necessarily its author). Calls run concurrently, in any order.
    ///
    /// The message is no larger than its topic allows; nothing else about it has been checked.
    async fn validate(&self, peer: PeerId, topic: Topic, message: Bytes) -> Verdict;
}

/// Answers requests of peers.
#[async_trait]
pub trait RequestServer: Send + Sync + 'static {
    /// The answer, of the kind that the request asks for; `None` refuses, and the peer sees a failed request.
    async fn serve(&self, peer: PeerId, request: Request) -> Option<Response>;
}

/// Knows transactions that wait for a block.
pub trait TransactionSource: Send + Sync + 'static {
    /// For each id the transaction that has it; `None` where there is none, or more than one. May block.
    fn find(&self, key: &ShortIdKey, ids: &[ShortId]) -> Vec<Option<Transaction>>;
}

/// Why a transaction is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Announcement {
    /// It was given to this node and is new: a small one is pushed to a few peers at once.
    Local,
    /// It came from a peer and is new here.
    Gossip,
    /// It is still pending: peers that were told before are told again.
    Again,
}

/// What became of transactions that a peer sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// How many the pool took.
    pub accepted: usize,
    /// How many it did not take, for no fault of the peer's: known, too cheap, too early, too late, no room.
    pub refused: usize,
    /// How many no correct node holds.
    pub invalid: usize,
}

/// The pool of transactions that others are told of. Calls run concurrently; none may hold up the thread.
#[async_trait]
pub trait TransactionPool: Send + Sync + 'static {
    /// Which of these it lacks, in their order.
    async fn lacking(&self, transactions: Vec<TransactionAnnouncement>) -> Vec<TransactionAnnouncement>;

    /// The EIP-2718 encodings of those of these that it holds, in their order, up to the first that would exceed
    /// `bytes_max` in all.
    async fn encoded(&self, hashes: Vec<B256>, bytes_max: usize) -> Vec<Bytes>;

    /// Up to `count_max` of its pending transactions.
    async fn pending(&self, count_max: usize) -> Vec<TransactionAnnouncement>;

    /// Takes what is valid of these EIP-2718 encodings, which a peer sent.
    async fn receive(&self, peer: PeerId, transactions: Vec<Bytes>) -> Judgement;
}
