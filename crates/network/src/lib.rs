//! Carries gossip and requests between the nodes of one chain over libp2p, and keeps every peer within limits.
//!
//! ```text
//!   publish, announce, request, report          validate, serve, pool (ports)
//!            |                                                 ^
//!     NetworkHandle --bounded queues--> NetworkService --bounded tasks
//!                                        |    |     \
//!      PeerStore <-- PeerBook, TransactionRelay, RateLimiter        pure: decide, given the time
//!        (file)                               |
//!                        Swarm: QUIC, TCP, relayed; limits (Admission), gossipsub, request-response, identify, ping,
//!                               Kademlia, mDNS, AutoNAT, UPnP, relay, hole punching
//! ```
//!
//! Rules of this crate:
//! - names of topics and of our own protocols carry the genesis hash, and a peer that announces another chain is
//!   disconnected before it is told or asked anything of ours;
//! - gossip is forwarded only after the [`GossipValidator`] accepted it, and bytes are bounded before it sees them;
//! - transactions are announced by hash and fetched once; see `transactions.rs`;
//! - every queue, task set, table and message has a bound; what does not fit is dropped and counted, and a peer that
//!   causes it pays with its score;
//! - one connection a peer: gossipsub announces its topics on the first one only. Beside it stand, for a moment, one by
//!   which AutoNAT finds out whether an address is reached, and a direct one that replaces a relayed one;
//! - nobody buys a place with identities: places of peers that we dial are not given to those that dial us, of both the
//!   most diverse addresses are preferred, and who misbehaves is banned for a growing time, its address in the end too;
//! - when to dial, what a peer may send and when it is banned are decided by plain structs that are told the time.

mod admission;
mod backoff;
mod behaviour;
mod candidates;
mod codec;
mod config;
mod error;
mod failure;
mod gossip;
mod guard;
mod handle;
mod hook;
mod key;
mod metrics;
mod muxer;
mod names;
mod peers;
mod place;
mod ports;
mod probes;
mod propagation;
mod protocol;
mod rate;
mod reachability;
mod records;
mod repeats;
mod score;
mod service;
mod serving;
mod slow;
mod store;
mod swarm;
mod transactions;

pub use config::{ChainPace, ConnectionLimits, InvalidNat, InvalidPeerFilter, Nat, NetworkConfig, PeerFilter};
pub use error::{NetworkError, NodeKeyError, PeerCommandError, PublishError, RequestError};
pub use handle::{NetworkHandle, PeerInfo};
pub use key::NodeKey;
pub use libp2p::{Multiaddr, PeerId};
pub use peers::Misbehaviour;
pub use ports::{Announcement, GossipValidator, Judgement, RequestServer, TransactionPool, TransactionSource, Verdict};
pub use propagation::{AssemblyError, BlockRelay, BlockShelf, PropagationMetrics};
pub use protocol::{Topic, client_version};
pub use records::{PeerRecord, PeerState};
pub use service::{Network, NetworkService};
