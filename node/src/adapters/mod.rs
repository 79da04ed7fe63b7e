//! Where one crate's port meets another crate's handle. Each adapter translates and decides nothing.

mod application;
mod chain_reader;
mod gossip;
mod log;
mod probes;
mod states;
mod status;
mod sync;
mod transactions;
mod votes;

pub use application::ChainApplication;
pub use chain_reader::{MempoolBlocks, MempoolChain};
pub use gossip::{Arrivals, Inbound, NetworkOutbound, announce_commits};
pub use log::{ConsensusFiles, ConsensusFilesError};
pub use probes::Probes;
pub use states::{ChainPast, ServedStates, StagedState};
pub use status::{Live, NodeStatusView};
pub use sync::{NetworkPeers, PeerServer, SyncChain};
pub use transactions::{GossipedPool, LocalPool, MempoolGossip};
