//! The knobs of catching up.

use heddle_primitives::MAX_BLOCKS_PER_RESPONSE;
use std::time::Duration;

/// How sync asks its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncConfig {
    /// How old a peer's status may be before it is asked again; at least 4 ms.
    pub status_interval: Duration,
    /// How long one request may take before the peer counts as failed.
    pub request_timeout: Duration,
    /// Final headers kept ahead of the head; at least 1. Each takes about 1 KiB and 100 bytes a validator: 3 MiB for the
    /// default with a handful of validators, 45 MiB with two hundred.
    pub headers_max: u64,
    /// Ranges of blocks in flight or waiting to be committed, all peers together; at least 1.
    pub ranges_max: usize,
    /// Blocks in one range, 1 to [`MAX_BLOCKS_PER_RESPONSE`].
    pub blocks_per_range: u64,
    /// Up to so many missing blocks are asked for at once, and bring their headers along; at most
    /// [`Self::blocks_per_range`].
    pub direct_max: u64,
    /// How long the head must stand still before a gap of a single block is fetched: consensus usually decides it
    /// a moment later by itself.
    pub grace: Duration,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            status_interval: Duration::from_secs(1),
            request_timeout: Duration::from_secs(10),
            headers_max: 2_048,
            ranges_max: 6,
            blocks_per_range: MAX_BLOCKS_PER_RESPONSE,
            direct_max: 8,
            grace: Duration::from_secs(2),
        }
    }
}
