//! Where the chain in this database begins: behind genesis there is nothing up to the state that it adopted, except what
//! was fetched since.

use crate::block_store::{BlockStore, META_BLOCKS_FROM, META_HEADERS_FROM};
use crate::{Chain, ChainError};
use heddle_primitives::Genesis;
use heddle_storage::{Batch, Table};
use parking_lot::Mutex;

/// What is there of a chain; from genesis on where nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Oldest {
    /// The oldest header with its certificate, and at the end of an epoch with the proof of the next validators; above
    /// the block before `block` only where that one lacks the proof.
    pub(crate) header: u64,
    /// The oldest block with body and receipts.
    pub(crate) block: u64,
}

/// [`Oldest`] as the rows have it.
pub(crate) struct Beginning {
    genesis: u64,
    oldest: Mutex<Oldest>,
    /// Held by the one backfill at a time.
    pub(crate) door: Mutex<()>,
}

impl Beginning {
    pub(crate) fn load(genesis: &Genesis, blocks: &BlockStore) -> Result<Self, ChainError> {
        let genesis = genesis.header().number;
        let (header, block) = (blocks.headers_from()?.unwrap_or(genesis), blocks.blocks_from()?.unwrap_or(genesis));
        Ok(Self { genesis, oldest: Mutex::new(Oldest { header, block }), door: Mutex::default() })
    }

    /// What is there.
    pub(crate) fn oldest(&self) -> Oldest {
        *self.oldest.lock()
    }

    /// Adds its rows to a batch; what begins with the block after genesis begins with genesis.
    pub(crate) fn put(&self, batch: &mut Batch, oldest: Oldest) -> Oldest {
        let oldest = Oldest { header: self.joined(oldest.header), block: self.joined(oldest.block) };
        for (key, number) in [(META_HEADERS_FROM, oldest.header), (META_BLOCKS_FROM, oldest.block)] {
            match number == self.genesis {
                true => batch.delete(Table::Meta, key),
                false => batch.put(Table::Meta, key, alloy_rlp::encode(number)),
            }
        }
        oldest
    }

    /// Takes over what [`Self::put`] made, once its batch is committed.
    pub(crate) fn committed(&self, oldest: Oldest) {
        *self.oldest.lock() = oldest;
    }

    fn joined(&self, number: u64) -> u64 {
        if number <= self.genesis.saturating_add(1) { self.genesis } else { number }
    }
}

impl Chain {
    /// The oldest header that this node has with its certificate, if it ends an epoch with the proof of the next
    /// validators, and with all after it: that of genesis, unless the chain
    /// began with a state that it adopted. Genesis itself is always there, and up to 256 headers before may be.
    pub fn headers_from(&self) -> u64 {
        self.inner.beginning.oldest().header
    }

    /// The oldest block that this node has with body and receipts, and with all after it: genesis, unless the chain began
    /// with a state that it adopted; the one after the head, when nothing came since. Genesis itself is always there.
    pub fn blocks_from(&self) -> u64 {
        self.inner.beginning.oldest().block
    }

    /// What a search through the blocks `from` to `to` answers when the first of them are absent. Genesis is there always.
    pub(crate) fn require_blocks(&self, from: u64, to: u64) -> Result<(), ChainError> {
        let first_behind_genesis = from.max(self.inner.genesis.header().number.saturating_add(1));
        if first_behind_genesis <= to { self.require_block(first_behind_genesis) } else { Ok(()) }
    }

    /// What a search that needs block `number` with its receipts answers when these are absent.
    pub(crate) fn require_block(&self, number: u64) -> Result<(), ChainError> {
        let oldest = self.blocks_from();
        if number < oldest && number != self.inner.genesis.header().number {
            return Err(ChainError::AbsentBlock { number, oldest });
        }
        Ok(())
    }
}
