//! What the server asks of the node around it.

/// The node's own status; every method answers from memory.
pub trait NodeStatus: Send + Sync + 'static {
    /// Name, version and platform, as `web3_clientVersion` reports them: `heddle/v0.1.0/linux-x86_64`.
    fn client_version(&self) -> String;

    /// Connected peers.
    fn peer_count(&self) -> u64;

    /// Whether the node accepts connections from peers.
    fn is_listening(&self) -> bool;

    /// How far the node is behind; `None` when it follows the head.
    fn sync_progress(&self) -> Option<SyncProgress>;
}

/// Where a node that catches up stands, in block numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncProgress {
    /// The head when catching up began.
    pub starting: u64,
    /// The head now.
    pub current: u64,
    /// The highest head that peers report.
    pub highest: u64,
    /// While a state is fetched to begin with, how much of it is there, in parts of a million.
    pub state: Option<u32>,
}
