//! A workload's state in RocksDB.

use alloy_primitives::{Address, B256, U256, keccak256};
use heddle_evm::{Code, CodeCache, StateError, StateReader};
use heddle_primitives::{Account, AccountChange, StateChanges};
use heddle_state::{StateConfig, StateStore, StateView};
use heddle_storage::{Batch, Database, DatabaseConfig, Table};
use heddle_workload::MemoryState;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

/// Accounts and slots that are added in one commit, about.
const ROWS_PER_COMMIT: usize = 50_000;
/// What is left of the caches when reads shall be cold.
const COLD_STATE_CACHE_BYTES: usize = 64 << 10;
const COLD_BLOCK_CACHE_BYTES: usize = 8 << 20;

/// The state of a database that nothing else writes to.
pub(super) struct DatabaseState {
    view: StateView,
    codes: CodeCache,
}

impl DatabaseState {
    /// Opens a filled database; `is_cold`: with hardly any cache but the operating system's.
    pub(super) fn open(directory: &Path, is_cold: bool) -> Result<Self, Box<dyn Error>> {
        let (mut files, mut state) = (DatabaseConfig::default(), StateConfig::default());
        if is_cold {
            files.block_cache_bytes = COLD_BLOCK_CACHE_BYTES;
            state.cache_bytes = COLD_STATE_CACHE_BYTES;
        }
        let store = StateStore::new(Database::open(directory, &files)?, &state);
        Ok(Self { view: store.view()?, codes: CodeCache::new(64 << 20) })
    }
}

impl StateReader for DatabaseState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.view.account(address).map_err(StateError::new)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.view.storage(address, slot).map_err(StateError::new)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.codes.get_or_load(hash, || self.view.code(hash)).map_err(StateError::new)
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        let root = self.view.storage_root(address).map_err(StateError::new)?;
        Ok(root != alloy_consensus::EMPTY_ROOT_HASH)
    }

    /// There are no blocks.
    fn block_hash(&self, _number: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }

    /// Only blocks before Byzantium would ask.
    fn root_with(&self, _changes: &StateChanges) -> Result<B256, StateError> {
        Err(StateError::new("the state of a benchmark is not written to"))
    }
}

/// Makes a database of a state, compacted as one is after a while.
pub(super) fn fill(directory: &Path, state: &MemoryState) -> Result<(), Box<dyn Error>> {
    let database = Database::open(directory, &DatabaseConfig::default())?;
    let mut filling = Filling::new(&database);
    filling.pending.code = state.codes().map(|(hash, code)| (hash, code.bytes())).collect();
    // In the order of the tables, which is the fastest.
    let mut accounts: Vec<_> = state.accounts().collect();
    accounts.sort_by_cached_key(|(address, ..)| keccak256(address));
    for (address, account, slots) in accounts {
        let mut slots: Vec<_> = slots.iter().map(|(slot, value)| (*slot, *value)).collect();
        slots.sort_by_cached_key(|(slot, _)| keccak256(slot.to_be_bytes::<32>()));
        let change = |storage| AccountChange { account: Some(account), storage_wiped: false, storage };
        if slots.is_empty() {
            filling.add(address, change(BTreeMap::new()))?;
        }
        for slots in slots.chunks(ROWS_PER_COMMIT) {
            filling.add(address, change(slots.iter().copied().collect()))?;
        }
    }
    filling.commit()?;
    database.sync()?;
    Ok(Table::ALL.into_iter().try_for_each(|table| database.compact(table))?)
}

/// Commits of rows as they gather.
struct Filling<'a> {
    database: &'a Database,
    store: StateStore,
    pending: StateChanges,
    rows: usize,
    commits: u64,
}

impl<'a> Filling<'a> {
    fn new(database: &'a Database) -> Self {
        let store = StateStore::new(database.clone(), &StateConfig::default());
        Self { database, store, pending: StateChanges::default(), rows: 0, commits: 0 }
    }

    fn add(&mut self, address: Address, change: AccountChange) -> Result<(), Box<dyn Error>> {
        self.rows += 1 + change.storage.len();
        self.pending.accounts.insert(address, change);
        if self.rows >= ROWS_PER_COMMIT { self.commit() } else { Ok(()) }
    }

    fn commit(&mut self) -> Result<(), Box<dyn Error>> {
        let changes = std::mem::take(&mut self.pending);
        let update = self.store.compute(&self.store.view()?, &changes)?;
        let mut batch = Batch::new();
        let state = update.write_into(self.commits, &mut batch)?;
        self.database.commit_unsynced(batch)?;
        self.store.committed(state);
        self.commits += 1;
        self.rows = 0;
        Ok(())
    }
}
