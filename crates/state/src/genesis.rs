//! The first state.

use alloy_primitives::{KECCAK256_EMPTY, U256, keccak256};
use heddle_primitives::{Account, AccountChange, Genesis, StateChanges};

/// What the genesis block changes in the empty state: its file's `alloc`.
pub fn genesis_changes(genesis: &Genesis) -> StateChanges {
    let mut changes = StateChanges::default();
    for (address, entry) in &genesis.file().alloc {
        let mut code_hash = KECCAK256_EMPTY;
        if let Some(code) = entry.code.as_ref().filter(|code| !code.is_empty()) {
            code_hash = keccak256(code);
            changes.code.insert(code_hash, code.clone());
        }
        let account = Account { nonce: entry.nonce.unwrap_or_default(), balance: entry.balance, code_hash };
        let slots = entry.storage.iter().flatten();
        let storage = slots.map(|(slot, value)| (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0))).collect();
        changes.accounts.insert(*address, AccountChange { account: Some(account), storage_wiped: false, storage });
    }
    changes
}
