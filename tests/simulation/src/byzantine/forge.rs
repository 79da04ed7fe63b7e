//! Executes a block whose header nobody would accept, so that everything that follows from execution is right.

use crate::state_root;
use alloy_consensus::transaction::Recovered;
use alloy_primitives::{Address, B256, U256};
use heddle_chain::{Chain, StateView};
use heddle_evm::{BlockContext, Code, Mode, StateError, StateReader, complete_header, execute as run, recover_sender};
use heddle_primitives::{Account, Block, ProposedBlock, StateChanges};
use std::sync::Arc;

/// A state with the chain below it.
struct Reader<'a> {
    state: StateView,
    chain: &'a Chain,
}

impl StateReader for Reader<'_> {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.state.account(address).map_err(StateError::new)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.state.storage(address, slot).map_err(StateError::new)
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        self.state.code(hash).map(Code::new).map_err(StateError::new)
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        let root = self.state.storage_root(address).map_err(StateError::new)?;
        Ok(root != alloy_trie::EMPTY_ROOT_HASH)
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        let header = self.chain.header(number).map_err(StateError::new)?;
        Ok(header.map(|header| header.seal()).unwrap_or_default())
    }

    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError> {
        state_root::recompute(self.state.snapshot(), changes).map_err(StateError::new)
    }
}

/// The same block on the head of `chain`, its header completed by execution; `None` when it cannot be executed.
pub fn execute(chain: &Chain, proposed: &ProposedBlock) -> Option<ProposedBlock> {
    let Block { header, body } = &*proposed.block;
    let reader = Reader { state: chain.state(), chain };
    let recovered = body.transactions.iter().map(|transaction| {
        let sender = recover_sender(chain.rules(), header.number, transaction).ok()?;
        Some(Recovered::new_unchecked(transaction.clone(), sender))
    });
    let transactions = recovered.collect::<Option<Vec<_>>>()?;
    let context = BlockContext::of(&proposed.block);
    let outcome = run(chain.rules(), &reader, &context, &transactions, Mode::Sequential).ok()?;
    let root = reader.root_with(&outcome.changes).ok()?;
    let header = complete_header(chain.rules(), header.clone(), &body.transactions, &outcome, root);
    let block = Arc::new(Block { header, body: body.clone() });
    Some(ProposedBlock { block, ..proposed.clone() })
}
