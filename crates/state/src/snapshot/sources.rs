#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! States for tests.

use crate::tests::{Chain, any_history};
use crate::{StateStore, StateView};
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use heddle_primitives::{Account, AccountChange, Height, Pivot, StateChanges};
use heddle_storage::Database;
use proptest::prelude::*;

/// Blocks of changes, with code for about every third account.
pub(crate) fn any_chain() -> impl Strategy<Value = Vec<StateChanges>> {
    any_history().prop_map(|mut blocks| {
        blocks.iter_mut().for_each(add_code);
        blocks
    })
}

/// Gives accounts of nonce 2 a code, some of them the same.
pub(crate) fn add_code(changes: &mut StateChanges) {
    for (address, change) in &mut changes.accounts {
        let Some(account) = change.account.as_mut().filter(|account| account.nonce == 2) else { continue };
        let code = Bytes::from(vec![address[19] % 5 + 1; 40]);
        account.code_hash = keccak256(&code);
        changes.code.insert(account.code_hash, code);
    }
}

/// A chain whose states are served.
pub(crate) struct Source(Chain);

impl Source {
    pub(crate) fn new() -> Self {
        Self(Chain::new())
    }

    /// The state after another block.
    pub(crate) fn commit(&mut self, changes: &StateChanges) -> (StateView, Pivot) {
        let state_root = self.0.commit(changes);
        let view = self.0.store.view().unwrap();
        let height = Height::new(view.number().unwrap());
        (view, Pivot { height, state_root })
    }

    pub(crate) fn store(&self) -> (&StateStore, &Database) {
        (&self.0.store, &self.0.database)
    }

    /// A state with nothing of it.
    pub(crate) fn other(&self) -> StateView {
        let mut other = Chain::new();
        other.commit(&Random(99).block());
        other.store.view().unwrap()
    }
}

/// Blocks of changes to some hundred accounts, of which one has hundreds of slots.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below a bound.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = U256::from_be_bytes(keccak256(self.0.to_be_bytes()).0).wrapping_to();
        self.0 % bound
    }

    pub(crate) fn block(&mut self) -> StateChanges {
        let mut changes = StateChanges::default();
        for _ in 0..self.below(60) {
            let number = self.below(150);
            let address = Address::left_padding_from(&number.to_be_bytes());
            changes.accounts.insert(address, self.change(self.0.is_multiple_of(4)));
        }
        let big = Address::left_padding_from(&7u64.to_be_bytes());
        if self.below(3) > 0 {
            changes.accounts.insert(big, self.change(true));
        }
        add_code(&mut changes);
        changes
    }

    fn change(&mut self, is_big: bool) -> AccountChange {
        let account = Account { nonce: self.below(4), balance: U256::from(self.0), code_hash: KECCAK256_EMPTY };
        let (count, slots) = if is_big { (self.below(120), 400) } else { (self.below(4), 6) };
        let storage = (0..count).map(|_| (U256::from(self.below(slots)), U256::from(self.below(3)))).collect();
        let is_gone = self.below(12) == 0;
        AccountChange { account: (!is_gone).then_some(account), storage_wiped: self.below(10) == 0, storage }
    }
}

pub(crate) fn successor(key: B256) -> B256 {
    (U256::from_be_bytes(key.0) + U256::ONE).into()
}
