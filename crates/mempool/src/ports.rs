//! What the mempool needs from the chain and the network.

use crate::{Origin, PoolTransaction};
use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use heddle_primitives::Account;
use std::sync::Arc;

/// The chain cannot be read: this node's fault, never a transaction's.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ChainReadError(Arc<dyn std::error::Error + Send + Sync>);

impl ChainReadError {
    /// Wraps what the chain said.
    pub fn new(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }
}

/// What the pool must know of the last committed block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadInfo {
    /// Its number.
    pub number: u64,
    /// Its time in Unix seconds.
    pub timestamp: u64,
    /// Its gas limit.
    pub gas_limit: u64,
    /// The base fee of the block after it, in wei.
    pub next_base_fee: u64,
}

/// The committed state.
pub trait ChainReader: Send + Sync {
    /// An account at the head, the default one when there is none. May block.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn account(&self, address: Address) -> Result<Account, ChainReadError>;

    /// The code with this hash; asked only for senders that have code. May block.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn code(&self, hash: B256) -> Result<Bytes, ChainReadError>;

    /// The head. In memory, never blocks; its state is what [`Self::account`] reads, or an older one.
    fn head(&self) -> HeadInfo;
}

/// Which accounts a commit changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedAccounts {
    /// These.
    These(Vec<Address>),
    /// Not known, because events were missed: every sender is read again.
    Unknown,
}

/// What the pool must know of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedHead {
    /// The committed block, or a later one.
    pub head: HeadInfo,
    /// The accounts it changed.
    pub changed: ChangedAccounts,
}

/// The commits, one after the other.
#[async_trait]
pub trait BlockFeed: Send {
    /// Waits for the next commit; `None` when there will be no more. Dropping the future must lose no commit.
    async fn next(&mut self) -> Option<CommittedHead>;
}

/// The way to other nodes' pools.
pub trait Gossip: Send + Sync {
    /// Tells of transactions that have become pending. Never waits; what does not fit may be dropped, for what is this
    /// node's own is announced again.
    fn announce(&self, transactions: &[Arc<PoolTransaction>], origin: Origin);

    /// Tells of local transactions that have been pending for a while, also those who were told before.
    fn announce_again(&self, transactions: &[Arc<PoolTransaction>]);
}
