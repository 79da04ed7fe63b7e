//! What can go wrong, and whose fault it is.

use libp2p::{Multiaddr, PeerId};

/// Why the network cannot start or cannot go on. Ours or the operator's fault, never a peer's.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A setting is out of its range.
    #[error("network setting {key} is {value}; accepted: {accepted}")]
    Config {
        /// The setting's key.
        key: &'static str,
        /// The value found.
        value: String,
        /// What would be accepted.
        accepted: &'static str,
    },
    /// An address cannot be listened on: busy, or not this machine's.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The configured address.
        address: Multiaddr,
        /// The operating system's words.
        reason: String,
    },
    /// A transport or protocol cannot be set up.
    #[error("cannot set up {part}: {reason}")]
    Setup {
        /// Which one.
        part: &'static str,
        /// Its own words.
        reason: String,
    },
    /// A validator or request server panicked: a bug, after which answers cannot be trusted.
    #[error("a handler of peers' messages panicked: {0}")]
    HandlerPanicked(String),
}

impl NetworkError {
    pub(crate) fn setup(part: &'static str, reason: impl ToString) -> Self {
        Self::Setup { part, reason: reason.to_string() }
    }
}

/// Why a message was not queued for gossip. The caller's fault, except [`PublishError::Stopped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No node would accept it.
    #[error("message of {bytes} bytes is larger than its topic's {bytes_max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The topic's limit.
        bytes_max: usize,
    },
    /// The network's loop has ended.
    #[error("the network has stopped")]
    Stopped,
}

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// We are not connected to the peer, or it is not ready yet.
    #[error("not connected to {0}")]
    NotConnected(PeerId),
    /// No answer within the request timeout.
    #[error("the request timed out")]
    Timeout,
    /// The peer does not speak the request protocol of this chain.
    #[error("the peer does not support the request protocol")]
    Unsupported,
    /// The peer closed the stream without an answer.
    #[error("the peer refused to answer")]
    Refused,
    /// The connection was lost.
    #[error("the connection closed before the answer")]
    ConnectionClosed,
    /// The answer does not decode, is too large or is of another kind; the peer has already been penalised.
    #[error("invalid response: {0}")]
    InvalidResponse(String),
    /// Too many requests of ours are waiting.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The network's loop has ended.
    #[error("the network has stopped")]
    Stopped,
}

impl RequestError {
    /// Whether the peer broke a rule (rather than being slow, gone or busy).
    pub const fn is_peer_fault(&self) -> bool {
        matches!(self, Self::Unsupported | Self::InvalidResponse(_))
    }
}

/// Why an operator's command about a peer was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerCommandError {
    /// The address does not say who is there. The operator's fault.
    #[error("{0} does not end in /p2p/<peer id>")]
    NoPeerId(Multiaddr),
    /// The address is this node's own. The operator's fault.
    #[error("this node is no peer of its own")]
    Own,
    /// A list or a ban of this node is in the way.
    #[error("{peer} is refused: {reason}")]
    Refused {
        /// The peer.
        peer: PeerId,
        /// What is in the way.
        reason: String,
    },
    /// The network's loop has ended.
    #[error("the network has stopped")]
    Stopped,
}

/// Why there is no node key.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// The text is not 32 bytes of hex.
    #[error("a node key is 64 hexadecimal characters (32 bytes), found {0} characters")]
    Malformed(usize),
}
