//! What every method works on.

use crate::error::MethodError;
use crate::eth::TipSamples;
use crate::filters::Filters;
use crate::pending::{Pending, State};
use crate::recent::Recent;
use crate::texts::Texts;
use crate::{DevAccounts, NodeStatus, RpcLimits, RpcMetrics, TransactionIntake};
use alloy_eips::{BlockId, BlockNumberOrTag};
use heddle_chain::{CallLimits, Chain, Head, StoredBlock};
use heddle_mempool::Mempool;
use heddle_primitives::Receipt;
use jsonrpsee::Methods;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;

/// The parts of the node that the methods read.
pub struct RpcContext {
    /// Blocks and state.
    pub chain: Chain,
    /// Transactions not yet in a block.
    pub mempool: Mempool,
    /// Takes new ones.
    pub intake: Arc<dyn TransactionIntake>,
    /// The node around the server.
    pub node: Arc<dyn NodeStatus>,
    /// Accounts whose keys the node holds, on development chains: `eth_accounts` lists them and
    /// `eth_sendTransaction` signs with them.
    pub dev_accounts: Option<DevAccounts>,
    /// The methods of the namespace `admin`.
    pub admin: Methods,
    /// What is counted.
    pub metrics: RpcMetrics,
}

/// A block with its receipts.
pub(crate) type BlockAndReceipts = (Arc<StoredBlock>, Arc<Vec<Receipt>>);

/// The context with what the methods keep between calls.
pub(crate) struct Backend {
    pub(crate) chain: Chain,
    pub(crate) mempool: Mempool,
    pub(crate) intake: Arc<dyn TransactionIntake>,
    pub(crate) node: Arc<dyn NodeStatus>,
    pub(crate) dev_accounts: Option<DevAccounts>,
    pub(crate) metrics: RpcMetrics,
    pub(crate) limits: RpcLimits,
    pub(crate) tip_samples: TipSamples,
    pub(crate) pending: Pending,
    pub(crate) filters: Mutex<Filters>,
    pub(crate) texts: Texts,
    blocks: Recent<StoredBlock>,
    receipts: Recent<Vec<Receipt>>,
}

impl Backend {
    pub(crate) fn new(context: RpcContext, limits: &RpcLimits) -> Self {
        let RpcContext { chain, mempool, intake, node, dev_accounts, metrics, admin: _ } = context;
        Self {
            chain,
            mempool,
            intake,
            node,
            dev_accounts,
            metrics,
            limits: limits.clone(),
            tip_samples: TipSamples::default(),
            pending: Pending::default(),
            filters: Mutex::new(Filters::new(limits.filters)),
            texts: Texts::default(),
            blocks: Recent::default(),
            receipts: Recent::default(),
        }
    }

    /// Runs something that executes code, within the limits for that. Its time begins now.
    pub(crate) fn limited<T>(&self, run: impl FnOnce(&CallLimits<'_>) -> T) -> T {
        let RpcLimits { call_gas: gas, call_memory: memory, call_time: time, .. } = self.limits;
        let started = Instant::now();
        run(&CallLimits { gas, memory, time, elapsed: &|| started.elapsed() })
    }

    /// Number of the last committed block.
    pub(crate) fn head_number(&self) -> u64 {
        self.chain.head().header.number
    }

    /// The block that a number or tag names; `None` beyond the head.
    pub(crate) fn number_of_tag(&self, tag: BlockNumberOrTag) -> Option<u64> {
        let head = self.head_number();
        match tag {
            BlockNumberOrTag::Number(number) => (number <= head).then_some(number),
            // A chain that began with a state may have no block yet but its head's header.
            BlockNumberOrTag::Earliest => Some(self.chain.blocks_from().min(head)),
            BlockNumberOrTag::Latest
            | BlockNumberOrTag::Safe
            | BlockNumberOrTag::Finalized
            | BlockNumberOrTag::Pending => Some(head),
        }
    }

    /// The head, where a number or a tag names it, or nothing does. What waits in the mempool is not looked at.
    pub(crate) fn named_head(&self, id: Option<BlockId>) -> Option<Arc<Head>> {
        let head = self.chain.head();
        let number = match id.unwrap_or_default() {
            BlockId::Number(tag) if !tag.is_pending() => self.number_of_tag(tag)?,
            _ => return None,
        };
        (number == head.header.number).then_some(head)
    }

    /// The block that an EIP-1898 identifier names; `None` when there is none.
    pub(crate) fn number_of(&self, id: BlockId) -> Result<Option<u64>, MethodError> {
        match id {
            BlockId::Number(tag) => Ok(self.number_of_tag(tag)),
            BlockId::Hash(hash) => Ok(self.chain.number_of(hash.block_hash)?),
        }
    }

    /// As [`Self::number_of`] for methods that read state: the latest block by default, and an error for none.
    pub(crate) fn state_number(&self, id: Option<BlockId>) -> Result<u64, MethodError> {
        let id = id.unwrap_or_default();
        self.number_of(id)?.ok_or_else(|| {
            let message = if id.is_hash() { "header for hash not found" } else { "header not found" };
            MethodError::Rejected(message.to_owned())
        })
    }

    /// The state after a block.
    pub(crate) fn state(&self, id: Option<BlockId>) -> Result<State, MethodError> {
        match self.pending_for(id.unwrap_or_default())? {
            Some(pending) => Ok(State::Pending(pending)),
            None => Ok(State::Committed(self.chain.state_at(self.state_number(id)?)?)),
        }
    }

    /// The block with this identifier.
    pub(crate) fn block(&self, id: BlockId) -> Result<Option<Arc<StoredBlock>>, MethodError> {
        if let Some(pending) = self.pending_for(id)? {
            return Ok(Some(Arc::clone(&pending.block)));
        }
        self.committed_block(id)
    }

    /// As [`Self::block`], where `pending` means the head.
    pub(crate) fn committed_block(&self, id: BlockId) -> Result<Option<Arc<StoredBlock>>, MethodError> {
        match self.number_of(id)? {
            Some(number) => self.block_at(number),
            None => Ok(None),
        }
    }

    /// The block at a height.
    pub(crate) fn block_at(&self, number: u64) -> Result<Option<Arc<StoredBlock>>, MethodError> {
        self.blocks.get_or_load(number, |number| self.chain.block(number))
    }

    /// The block at a height and its receipts, when more than one of its transactions is asked for.
    pub(crate) fn busy_block(&self, number: u64) -> Result<Option<BlockAndReceipts>, MethodError> {
        let Some(block) = self.blocks.get_if_asked_again(number, |number| self.chain.block(number))? else {
            return Ok(None);
        };
        Ok(self.receipts_at(number)?.map(|receipts| (block, receipts)))
    }

    /// The receipts of the block at a height.
    pub(crate) fn receipts_at(&self, number: u64) -> Result<Option<Arc<Vec<Receipt>>>, MethodError> {
        self.receipts.get_or_load(number, |number| self.chain.receipts(number))
    }
}
