//! The mempool reads accounts, the head and new blocks from the chain.

use alloy_primitives::{Address, B256, Bytes};
use async_trait::async_trait;
use heddle_chain::{Chain, CommittedBlock, Head};
use heddle_mempool::{BlockFeed, ChainReadError, ChainReader, ChangedAccounts, CommittedHead, HeadInfo};
use heddle_primitives::Account;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The committed state, as the mempool asks for it.
pub struct MempoolChain(pub Chain);

fn head_info(head: &Head) -> HeadInfo {
    HeadInfo {
        number: head.header.number,
        timestamp: head.header.timestamp,
        gas_limit: head.header.gas_limit,
        next_base_fee: head.next_base_fee,
    }
}

impl ChainReader for MempoolChain {
    fn account(&self, address: Address) -> Result<Account, ChainReadError> {
        let account = self.0.state().account(address).map_err(ChainReadError::new)?;
        Ok(account.unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Bytes, ChainReadError> {
        self.0.state().code(hash).map_err(ChainReadError::new)
    }

    fn head(&self) -> HeadInfo {
        head_info(&self.0.head())
    }
}

/// Committed blocks, as the mempool follows them.
pub struct MempoolBlocks {
    chain: Chain,
    blocks: Receiver<Arc<CommittedBlock>>,
}

impl MempoolBlocks {
    /// Follows the chain from now on.
    pub fn new(chain: Chain) -> Self {
        Self { blocks: chain.subscribe(), chain }
    }
}

#[async_trait]
impl BlockFeed for MempoolBlocks {
    async fn next(&mut self) -> Option<CommittedHead> {
        let changed = match self.blocks.recv().await {
            // Of a block whose state was adopted it is not known.
            Ok(committed) if committed.changed_accounts.is_empty() => ChangedAccounts::Unknown,
            Ok(committed) => ChangedAccounts::These(committed.changed_accounts.clone()),
            Err(RecvError::Lagged(_)) => ChangedAccounts::Unknown,
            Err(RecvError::Closed) => return None,
        };
        Some(CommittedHead { head: head_info(&self.chain.head()), changed })
    }
}
