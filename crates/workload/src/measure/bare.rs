//! The yardstick: revm and nothing around it.

use super::Case;
use alloy_evm::{EvmEnv, FromRecoveredTx};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use heddle_evm::{StateError, StateReader};
use heddle_primitives::Account;
use revm::{
    Context, Database, ExecuteCommitEvm, MainBuilder, MainContext,
    context::{TxEnv, result::EVMError},
    database::{BundleState, State, bal::EvmDatabaseError, states::bundle_state::BundleRetention},
    state::{AccountInfo, Bytecode},
};

/// Why the loop stopped.
pub(super) type BareError = EVMError<EvmDatabaseError<StateError>>;

/// A state reader as revm's database.
struct ReaderDatabase<'a>(&'a dyn StateReader);

impl Database for ReaderDatabase<'_> {
    type Error = StateError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StateError> {
        let info = |Account { nonce, balance, code_hash }| AccountInfo {
            nonce,
            balance,
            code_hash,
            code: None,
            account_id: None,
        };
        Ok(self.0.account(address)?.map(info))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StateError> {
        if code_hash == KECCAK256_EMPTY {
            return Ok(Bytecode::default());
        }
        Ok(self.0.code(code_hash)?.into_bytecode())
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.0.storage(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StateError> {
        self.0.block_hash(number)
    }
}

/// Runs the transactions, one after the other, and gives what they change: no system calls, no receipts, no access list.
///
/// # Errors
/// Transactions that are invalid, or the reader's failure.
pub(super) fn execute(case: &Case<'_>) -> Result<BundleState, BareError> {
    let EvmEnv { cfg_env, block_env } = case.rules.environment(case.context.header);
    let mut state = State::builder().with_database(ReaderDatabase(case.reader)).with_bundle_update().build();
    let mut evm = Context::mainnet().with_block(block_env).with_cfg(cfg_env).with_db(&mut state).build_mainnet();
    for transaction in case.transactions {
        evm.transact_commit(TxEnv::from_recovered_tx(transaction.inner(), transaction.signer()))?;
    }
    drop(evm);
    state.merge_transitions(BundleRetention::PlainState);
    Ok(state.take_bundle())
}
