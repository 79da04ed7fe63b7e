//! The knobs of fetching a state.

use heddle_primitives::{Checkpoint, Height, STATE_RESPONSE_BYTES};
use std::time::Duration;

/// How a state is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateSyncConfig {
    /// How old a peer's offers may be before it is asked again.
    pub offers_interval: Duration,
    /// How long one request may take before the peer counts as failed. Kept by the loop.
    pub request_timeout: Duration,
    /// How long one request may take before somebody else is asked as well.
    pub patience: Duration,
    /// Requests for pieces in flight, or answered and being verified, all peers together; at least 1.
    pub requests_max: usize,
    /// Requests for pieces in flight to one peer; at least 1. One that has not delivered yet gets one.
    pub requests_per_peer: usize,
    /// An answer that leaves something out should have at least so many bytes, or its sender is stingy and rests.
    pub answer_bytes_min: usize,
    /// How long a state that more peers offer than the pivot must be there before it becomes the pivot.
    pub reconsider: Duration,
    /// Without any piece for so long, another state is tried where there is one.
    pub stall: Duration,
    /// How long peers may answer without an offer before there is nothing to fetch; forty times that once a state
    /// has been chosen, or was before an interruption.
    pub no_offers: Duration,
    /// Height of the state that was being fetched before an interruption: it is gone on with where it is still served.
    pub resumed: Option<Height>,
    /// A block that the chain must have.
    pub checkpoint: Option<Checkpoint>,
    /// The earliest timestamp that it may have, in Unix seconds: now less the trusting period.
    pub checkpoint_not_before: u64,
}

impl Default for StateSyncConfig {
    fn default() -> Self {
        Self {
            offers_interval: Duration::from_secs(5),
            request_timeout: Duration::from_secs(15),
            patience: Duration::from_secs(4),
            requests_max: 16,
            requests_per_peer: 2,
            answer_bytes_min: STATE_RESPONSE_BYTES / 4,
            reconsider: Duration::from_secs(10),
            stall: Duration::from_secs(60),
            no_offers: Duration::from_secs(15),
            resumed: None,
            checkpoint: None,
            checkpoint_not_before: 0,
        }
    }
}
