//! What an operator is told about a peer.

use libp2p::{Multiaddr, PeerId};
use std::{fmt, time::Duration};

/// Whether a peer is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerState {
    /// Connected, identified as of our chain and subscribed to every topic.
    Ready,
    /// Connected, but not ready yet.
    Connected,
    /// Being dialled.
    Dialing,
    /// Known, and not connected.
    Idle,
}

impl fmt::Display for PeerState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Ready => "ready",
            Self::Connected => "connected",
            Self::Dialing => "dialing",
            Self::Idle => "idle",
        })
    }
}

/// Everything known about a peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerRecord {
    /// Its identity.
    pub peer_id: PeerId,
    /// Where it is: first its address on the connection, if there is one, then where it may be dialled.
    pub addresses: Vec<Multiaddr>,
    /// Whether it is connected.
    pub state: PeerState,
    /// Whether it dialled us; `false` unless it is connected.
    pub inbound: bool,
    /// Whether it is always redialled and exempt from limits.
    pub persistent: bool,
    /// Its last gossip score: above zero is useful, far below is no longer listened to.
    pub score: f64,
    /// How much longer it is banned; `None` when it is not.
    pub banned_for: Option<Duration>,
    /// How long ago it was last ready; zero while it is, `None` when it never was.
    pub last_seen: Option<Duration>,
    /// What it last said it runs; at most 64 printable characters.
    pub agent: String,
}
