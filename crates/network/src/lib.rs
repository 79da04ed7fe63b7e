//! Carries gossip and requests between the nodes of one chain over libp2p, and keeps every peer within limits.
//!
//! ```text
//!   publish, request, report                         validate, serve (ports)
//!            |                                                 ^
//!     NetworkHandle --bounded queues--> NetworkService --bounded tasks
//!                                        |    |     \
//!                                   PeerBook  |   RateLimiter        pure: decide, given the time
//!                                             |
//!                        Swarm: QUIC, TCP; gossipsub, request-response, identify, Kademlia, mDNS, ping
//! ```
//!
//! Rules of this crate:
//! - names of topics and of our own protocols carry the genesis hash, and a peer that announces another chain is
//!   disconnected before it is told or asked anything of ours;
//! - gossip is forwarded only after the [`GossipValidator`] accepted it, and bytes are bounded before it sees them;
//! - every queue, task set, table and message has a bound; what does not fit is dropped and counted, and a peer that
//!   causes it pays with its score;
//! - one connection a peer: gossipsub announces its topics on the first one only;
//! - when to dial, what a peer may send and when it is banned are decided by plain structs that are told the time.

mod backoff;
mod behaviour;
mod codec;
mod config;
mod error;
mod gossip;
mod guard;
mod handle;
mod key;
mod metrics;
mod muxer;
mod peers;
mod ports;
mod propagation;
mod protocol;
mod rate;
mod repeats;
mod score;
mod service;
mod serving;
mod slow;
mod swarm;
mod transactions;

pub use config::{ChainPace, ConnectionLimits, InvalidNat, InvalidPeerFilter, Nat, NetworkConfig, PeerFilter};
pub use error::{NetworkError, NodeKeyError, PublishError, RequestError};
pub use handle::{NetworkHandle, PeerInfo};
pub use key::NodeKey;
pub use libp2p::{Multiaddr, PeerId};
pub use metrics::NetworkMetrics;
pub use peers::Misbehaviour;
pub use ports::{Announcement, GossipValidator, Judgement, RequestServer, TransactionPool, TransactionSource, Verdict};
pub use propagation::{AssemblyError, BlockRelay, BlockShelf, PropagationMetrics};
pub use protocol::Topic;
pub use service::{Network, NetworkService};
