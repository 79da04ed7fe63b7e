//! The state reader as revm's database.

use crate::deadline::Watch;
use crate::machine::{MachineDatabase, MachineDatabaseError};
use crate::{CallLimits, StateError, StateReader};
use alloy_primitives::{Address, B256, U256};
use heddle_primitives::Account;
use revm::{
    Database, DatabaseRef,
    context::DBErrorMarker,
    database::{State, bal::EvmDatabaseError},
    state::{AccountInfo, Bytecode},
};
use std::fmt;
use std::sync::{Arc, OnceLock};

impl DBErrorMarker for StateError {}

/// The first failure of the reader during an execution. The executor turns errors of system calls into text, so that
/// without this record our broken disk would look like somebody's invalid block.
pub(crate) type FirstFailure = Arc<OnceLock<StateError>>;

/// Reads through to a [`StateReader`].
pub(crate) struct ReaderDatabase<'a> {
    reader: &'a dyn StateReader,
    failure: FirstFailure,
    /// For calls, which may not take long.
    watch: Option<Watch<'a>>,
}

impl<'a> ReaderDatabase<'a> {
    pub(crate) fn new(reader: &'a dyn StateReader) -> Self {
        Self { reader, failure: FirstFailure::default(), watch: None }
    }

    /// The same for runs that must end in time.
    pub(crate) fn watched(self, limits: CallLimits<'a>) -> Self {
        Self { watch: Some(Watch::new(limits)), ..self }
    }

    pub(crate) fn failure(&self) -> FirstFailure {
        self.failure.clone()
    }

    /// A cache over the reader that forgets what is executed on it: for calls.
    pub(crate) fn into_cache(self) -> State<Self> {
        State::builder().with_database(self).build()
    }

    /// A cache over the reader that records changes, and on request accesses: for blocks.
    pub(crate) fn into_recorder(self, is_access_list_built: bool) -> State<Self> {
        State::builder().with_database(self).with_bundle_update().with_bal_builder_if(is_access_list_built).build()
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        self.record(self.reader.has_storage(address))
    }

    fn record<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        result.inspect_err(|error| {
            self.failure.get_or_init(|| error.clone());
        })
    }
}

impl fmt::Debug for ReaderDatabase<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReaderDatabase").field("failure", &self.failure).finish_non_exhaustive()
    }
}

impl DatabaseRef for ReaderDatabase<'_> {
    type Error = StateError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let info = |Account { nonce, balance, code_hash }| AccountInfo {
            nonce,
            balance,
            code_hash,
            // Read by hash when it is first run: most accounts of a block are never called.
            code: None,
            account_id: None,
        };
        Ok(self.record(self.reader.account(address))?.map(info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, StateError> {
        if code_hash == alloy_primitives::KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        Ok(self.record(self.reader.code(code_hash))?.into_bytecode())
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.record(self.reader.storage(address, slot))
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, StateError> {
        self.record(self.reader.block_hash(number))
    }
}

impl Database for ReaderDatabase<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        self.basic_ref(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        self.code_by_hash_ref(code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.storage_ref(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.block_hash_ref(number)
    }
}

impl MachineDatabase for State<ReaderDatabase<'_>> {
    fn peek(&mut self, address: Address) -> Result<Option<AccountInfo>, MachineDatabaseError> {
        // Accesses are taken from what is committed, not from what is asked.
        self.basic(address)
    }

    fn has_storage(&self, address: Address) -> Result<bool, MachineDatabaseError> {
        self.database.has_storage(address).map_err(EvmDatabaseError::Database)
    }

    fn is_time_over(&mut self, ticks: u32) -> bool {
        self.database.watch.as_mut().is_some_and(|watch| watch.tick(ticks))
    }
}
