//! What this crate needs from others.

use crate::Topic;
use alloy_primitives::Bytes;
use async_trait::async_trait;
use heddle_primitives::{Request, Response, ShortId, ShortIdKey, Transaction};
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
