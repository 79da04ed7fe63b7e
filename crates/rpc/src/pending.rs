//! The `pending` block: what would come next if this node proposed now. It is made when it is asked for, and not again for
//! a moment, whoever asks.

use crate::backend::Backend;
use crate::convert;
use crate::error::MethodError;
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{Address, B256, Bytes, U256};
use heddle_chain::{BuildRequest, ChainError, PendingBlock, Place, StateView};
use heddle_primitives::Account;
use parking_lot::Mutex;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How long one is served, while the head stays.
const FRESH: Duration = Duration::from_millis(500);
/// How long transactions are added to one.
const BUILDING: Duration = Duration::from_millis(250);

/// The last pending block that was made.
#[derive(Default)]
pub(crate) struct Pending(Arc<Mutex<Option<Made>>>);

impl Pending {
    /// The block holds a view of the state, and a view keeps on disk what it sees: none is held that nobody asks for.
    fn forget_later(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let kept = Arc::clone(&self.0);
        drop(runtime.spawn(async move {
            while Arc::strong_count(&kept) > 1 {
                tokio::time::sleep(FRESH).await;
                // Who makes another one meanwhile sees to that one.
                let Some(mut made) = kept.try_lock() else { continue };
                return drop(made.take_if(|made| made.at.elapsed() >= FRESH));
            }
        }));
    }
}

struct Made {
    head: B256,
    at: Instant,
    block: Option<Arc<PendingBlock>>,
}

/// After which block a question is asked.
pub(crate) enum Spot {
    /// A committed one's number.
    After(u64),
    /// The pending one.
    Pending(Arc<PendingBlock>),
}

impl Spot {
    /// As the chain takes it.
    pub(crate) fn place(&self) -> Place<'_> {
        match self {
            Self::After(number) => Place::After(*number),
            Self::Pending(pending) => Place::Pending(pending),
        }
    }
}

/// A state to read from.
pub(crate) enum State {
    /// After a committed block.
    Committed(StateView),
    /// After the pending one.
    Pending(Arc<PendingBlock>),
}

impl State {
    pub(crate) fn account(&self, address: Address) -> Result<Option<Account>, ChainError> {
        match self {
            Self::Committed(state) => Ok(state.account(address)?),
            Self::Pending(pending) => pending.account(address),
        }
    }

    pub(crate) fn storage(&self, address: Address, slot: U256) -> Result<U256, ChainError> {
        match self {
            Self::Committed(state) => Ok(state.storage(address, slot)?),
            Self::Pending(pending) => pending.storage(address, slot),
        }
    }

    pub(crate) fn code(&self, hash: B256) -> Result<Bytes, ChainError> {
        match self {
            Self::Committed(state) => Ok(state.code(hash)?),
            Self::Pending(pending) => pending.code(hash),
        }
    }
}

impl Backend {
    /// The pending block if `id` asks for it and there is one; otherwise `pending` means the head.
    pub(crate) fn pending_for(&self, id: BlockId) -> Result<Option<Arc<PendingBlock>>, MethodError> {
        match id {
            BlockId::Number(BlockNumberOrTag::Pending) => self.pending(),
            _ => Ok(None),
        }
    }

    /// Where a call runs: the latest block by default, and an error for none.
    pub(crate) fn spot(&self, id: Option<BlockId>) -> Result<Spot, MethodError> {
        match self.pending_for(id.unwrap_or_default())? {
            Some(pending) => Ok(Spot::Pending(pending)),
            None => Ok(Spot::After(self.state_number(id)?)),
        }
    }

    /// One is made at a time: who asks meanwhile waits for it.
    fn pending(&self) -> Result<Option<Arc<PendingBlock>>, MethodError> {
        let mut made = self.pending.0.lock();
        let head = self.chain.head();
        if let Some(made) = made.as_ref().filter(|made| made.head == head.hash() && made.at.elapsed() < FRESH) {
            return Ok(made.block.clone());
        }
        let started = Instant::now();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let request = BuildRequest {
            timestamp: now.as_secs(),
            fee_recipient: Address::ZERO,
            candidates: Box::new(self.mempool.best()),
            deadline: &|| started.elapsed() >= BUILDING,
        };
        let block = self.chain.pending(&head, request)?.map(Arc::new);
        *made = Some(Made { head: head.hash(), at: Instant::now(), block: block.clone() });
        self.pending.forget_later();
        Ok(block)
    }
}

/// As go-ethereum shows it: what only a proposer can say is null.
pub(crate) fn block(pending: &PendingBlock, is_full: bool) -> Result<Value, MethodError> {
    let block = serde_json::to_value(convert::block(&pending.block, is_full));
    let mut block = block.map_err(|error| MethodError::Internal(error.to_string()))?;
    for name in ["hash", "nonce", "miner"] {
        block[name] = Value::Null;
    }
    Ok(block)
}
