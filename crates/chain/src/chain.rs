//! The chain's handle: opening it, and what it holds in memory.

use crate::adopt::put_back_genesis_state;
use crate::beginning::Beginning;
use crate::block_store::{BlockRows, BlockStore};
use crate::evidence::{PendingEvidence, load_pending};
use crate::execution::ExecutionCache;
use crate::log_index::Indexer;
use crate::log_search::Seal;
use crate::schedule::{keep_genesis, require_same_past, stored_genesis};
use crate::snapshots::Snapshots;
use crate::state_reader::ChainStateReader;
use crate::{ChainConfig, ChainError, ChainRules, CommittedBlock, Head, Timings};
use alloy_consensus::BlockBody;
use alloy_primitives::B256;
use arc_swap::ArcSwap;
use heddle_evm::CodeCache;
use heddle_primitives::{Genesis, SigningContext};
use heddle_state::{StateConfig, StateStore, StateUpdate, StateView, genesis_changes};

use heddle_storage::{Batch, Database};
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Blocks of which [`Chain::timings`] knows: about a hundred kilobytes.
const TIMINGS_KEPT: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Blocks whose [`Seal`] is kept: less than a megabyte.
const SEALS_KEPT: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// One chain in one database. Clones share it.
#[derive(Clone)]
pub struct Chain {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) genesis: Genesis,
    pub(crate) rules: ChainRules,
    pub(crate) config: ChainConfig,
    pub(crate) database: Database,
    pub(crate) blocks: BlockStore,
    pub(crate) states: StateStore,
    /// Shared by execution and calls.
    pub(crate) codes: CodeCache,
    pub(crate) head: ArcSwap<Head>,
    pub(crate) executions: ExecutionCache,
    pub(crate) snapshots: Snapshots,
    /// As its rows have it.
    pub(crate) beginning: Beginning,
    /// As its table has it.
    pub(crate) pending_evidence: Mutex<PendingEvidence>,
    /// What the last blocks cost, by number.
    pub(crate) timings: Mutex<LruCache<u64, Timings>>,
    /// Of the blocks in which logs were found last, by number.
    pub(crate) seals: Mutex<LruCache<u64, Seal>>,
    /// Held by the one commit at a time.
    pub(crate) commit_door: Mutex<()>,
    /// Held by the one pruning at a time, which the commit does not wait for.
    pub(crate) pruning: Mutex<()>,
    /// Of logs, which the commit does not wait for.
    pub(crate) log_indexer: Indexer,
    pub(crate) events: broadcast::Sender<Arc<CommittedBlock>>,
}

impl Chain {
    /// Opens the chain of `genesis` in `database`; an empty database gets the genesis block first, and one in which the
    /// adoption of a state was interrupted its genesis state back.
    ///
    /// # Errors
    /// [`ChainError::GenesisMismatch`] for a database of another chain, [`ChainError::ForkMismatch`] for a file that says
    /// otherwise when a fork was that the chain has passed, [`ChainError::Corrupt`] when the head's rows
    /// contradict each other, or the database's own.
    pub fn open(genesis: Genesis, database: Database, config: ChainConfig) -> Result<Self, ChainError> {
        let blocks = BlockStore::new(database.clone());
        let states = StateStore::new(database.clone(), &StateConfig { cache_bytes: config.state_cache_bytes });
        match blocks.genesis_hash()? {
            None => write_genesis(&genesis, &database, &states)?,
            Some(found) => require_genesis(&genesis, found)?,
        }
        if blocks.adopting()?.is_some() {
            put_back_genesis_state(&genesis, &database, &states)?;
        }
        let chain = Self::load(genesis, database, config, blocks, states)?;
        keep_genesis(&chain.inner.genesis, &chain.inner.database, &chain.inner.blocks)?;
        Ok(chain)
    }

    /// Opens the chain that a database holds, without writing anything: what is committed later is not seen, and whatever
    /// commits fails.
    ///
    /// # Errors
    /// As [`Self::open`]; [`ChainError::Empty`] and [`ChainError::Adopting`] when there is no chain to be read.
    pub fn open_read_only(genesis: Genesis, database: Database, config: ChainConfig) -> Result<Self, ChainError> {
        let blocks = BlockStore::new(database.clone());
        let states = StateStore::new(database.clone(), &StateConfig { cache_bytes: config.state_cache_bytes });
        require_genesis(&genesis, blocks.genesis_hash()?.ok_or(ChainError::Empty)?)?;
        if let Some(pivot) = blocks.adopting()? {
            return Err(ChainError::Adopting { number: pivot.number });
        }
        Self::load(genesis, database, config, blocks, states)
    }

    fn load(
        genesis: Genesis,
        database: Database,
        config: ChainConfig,
        blocks: BlockStore,
        states: StateStore,
    ) -> Result<Self, ChainError> {
        let rules = ChainRules::new(&genesis);
        let head = Head::load(&genesis, &rules, &blocks, &states)?;
        if let Some(known) = stored_genesis(&blocks)? {
            require_same_past(&known, &genesis, &head.header)?;
        }
        let snapshots = Snapshots::new(config.snapshot_interval);
        snapshots.opened(&head);
        let inner = Inner {
            snapshots,
            beginning: Beginning::load(&genesis, &blocks)?,
            codes: CodeCache::new(config.code_cache_bytes),
            executions: ExecutionCache::new(config.executions_cached),
            timings: Mutex::new(LruCache::new(TIMINGS_KEPT)),
            seals: Mutex::new(LruCache::new(SEALS_KEPT)),
            events: broadcast::Sender::new(config.events_buffered.max(1)),
            head: ArcSwap::from_pointee(head),
            commit_door: Mutex::new(()),
            pruning: Mutex::new(()),
            log_indexer: Indexer::default(),
            pending_evidence: Mutex::new(load_pending(&database)?),
            genesis,
            rules,
            config,
            database,
            blocks,
            states,
        };
        let chain = Self { inner: Arc::new(inner) };
        chain.require_checkpoint_below_head()?;
        Ok(chain)
    }

    /// The genesis that a database was last opened with, for tools that are given only the database; `None` when it is
    /// new, or older than the row that holds it.
    ///
    /// # Errors
    /// [`ChainError::Corrupt`] for a row that is no genesis file, or the database's own.
    pub fn stored_genesis(database: &Database) -> Result<Option<Genesis>, ChainError> {
        stored_genesis(&BlockStore::new(database.clone()))
    }

    /// The chain's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// The chain's execution rules.
    pub fn rules(&self) -> &ChainRules {
        &self.inner.rules
    }

    /// The last committed block, from memory.
    pub fn head(&self) -> Arc<Head> {
        self.inner.head.load_full()
    }

    /// Whether no block has come after genesis.
    pub fn is_at_genesis(&self) -> bool {
        self.head().hash() == self.inner.genesis.hash()
    }

    /// What consensus signatures of this chain are bound to.
    pub fn signing_context(&self) -> SigningContext {
        self.inner.genesis.signing_context()
    }

    /// Every block committed from now on, in order. A receiver that falls too far behind is told so, and reads
    /// [`Self::head`].
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBlock>> {
        self.inner.events.subscribe()
    }

    /// What committing block `number` cost this node, if it did so since it started and not too long ago.
    pub fn timings(&self, number: u64) -> Option<Timings> {
        self.inner.timings.lock().peek(&number).copied()
    }

    /// What the executor reads of `state`.
    pub(crate) fn reader(&self, state: StateView) -> ChainStateReader<'_> {
        let Inner { states, codes, .. } = &*self.inner;
        ChainStateReader { blocks: BlockStore::below(&state), state, states, codes }
    }
}

fn require_genesis(genesis: &Genesis, found: B256) -> Result<(), ChainError> {
    match found == genesis.hash() {
        true => Ok(()),
        false => Err(ChainError::GenesisMismatch { database: found, genesis: genesis.hash() }),
    }
}

fn write_genesis(genesis: &Genesis, database: &Database, states: &StateStore) -> Result<(), ChainError> {
    let header = genesis.header();
    let mut batch = Batch::new();
    let state = genesis_state(genesis, states, &states.view()?)?.write_into(header.number, &mut batch)?;
    let body = BlockBody { withdrawals: header.withdrawals_root.map(|_| Default::default()), ..Default::default() };
    BlockStore::put_genesis_hash(&mut batch, genesis.hash());
    BlockStore::put_head(&mut batch, &BlockRows { header, body: &body, senders: &[], receipts: &[] });
    BlockStore::put_total_difficulty(&mut batch, header.difficulty, header.difficulty);
    database.commit(batch)?;
    states.committed(state);
    Ok(())
}

/// What the genesis block makes of the empty state.
pub(crate) fn genesis_state(
    genesis: &Genesis,
    states: &StateStore,
    empty: &StateView,
) -> Result<StateUpdate, ChainError> {
    let update = states.compute(empty, &genesis_changes(genesis))?;
    match (update.state_root, genesis.header().state_root) {
        (found, expected) if found == expected => Ok(update),
        (found, expected) => {
            Err(ChainError::Corrupt(format!("the genesis state has root {found}, its header {expected}")))
        }
    }
}
