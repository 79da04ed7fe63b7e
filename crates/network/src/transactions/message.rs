//! What the relay is told, and what it wants done.

use super::wanted::FetchId;
use crate::{Announcement, Judgement, Misbehaviour};
use alloy_primitives::{B256, Bytes};
use heddle_primitives::TransactionAnnouncement;
use libp2p::PeerId;

/// A transaction that came from a peer.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) hash: B256,
    pub(crate) raw: Bytes,
}

/// Why a fetch brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchFailure {
    /// None came in time.
    Timeout,
    /// The peer refused, or is going.
    Refused,
    /// The answer does not decode.
    Invalid,
}

/// What the relay is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// A peer can be told things.
    Joined(PeerId),
    /// A connection has ended.
    Left(PeerId),
    /// To [`Output::ListPending`]: what the pool holds.
    Held { peer: PeerId, transactions: Vec<TransactionAnnouncement> },
    /// Transactions are pending here.
    Pending { transactions: Vec<TransactionAnnouncement>, announcement: Announcement },
    /// The announcement or the push in flight was taken by the peer, or was not.
    AnnounceEnded { peer: PeerId, taken: bool },
    /// See [`Self::AnnounceEnded`].
    PushEnded { peer: PeerId, taken: bool },
    /// A peer announced these.
    Announced { peer: PeerId, transactions: Vec<TransactionAnnouncement> },
    /// To [`Output::Check`]: the pool lacks these.
    Lacking { peer: PeerId, transactions: Vec<TransactionAnnouncement> },
    /// A peer pushed these.
    Pushed { peer: PeerId, transactions: Vec<Received> },
    /// To [`Output::Fetch`].
    Fetched { peer: PeerId, id: FetchId, transactions: Vec<Received> },
    /// To [`Output::Fetch`].
    FetchFailed { peer: PeerId, id: FetchId, failure: FetchFailure },
    /// To [`Output::Judge`].
    Judged { peer: PeerId, fetch: Option<FetchId>, judgement: Judgement },
    /// [`TransactionRelay::due_at`] has come.
    Tick,
}

/// What the relay wants done.
#[derive(Debug, PartialEq)]
pub(crate) enum Output {
    /// List what the pool holds, for this peer.
    ListPending(PeerId),
    /// Announce these to the peer.
    Announce { peer: PeerId, transactions: Vec<TransactionAnnouncement> },
    /// Push these to the peer.
    Push { peer: PeerId, hashes: Vec<B256> },
    /// See which of these the pool lacks.
    Check { peer: PeerId, transactions: Vec<TransactionAnnouncement> },
    /// Ask the peer for these.
    Fetch { peer: PeerId, id: FetchId, hashes: Vec<B256> },
    /// Give these to the pool; they came by this fetch, or were pushed.
    Judge { peer: PeerId, fetch: Option<FetchId>, transactions: Vec<Bytes> },
    /// The peer broke a rule.
    Misbehaved { peer: PeerId, misbehaviour: Misbehaviour },
}
