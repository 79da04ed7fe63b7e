//! From revm's record of a block to the changes that are stored.

use alloy_primitives::{B256, Bytes};
use heddle_primitives::{Account, AccountChange, StateChanges};
use revm::{
    database::{BundleAccount, BundleState},
    state::AccountInfo,
};
use std::collections::BTreeMap;

/// Keeps what differs from the state before the block, in an order and form that do not depend on how it was executed.
pub(crate) fn state_changes(bundle: &BundleState) -> StateChanges {
    let mut changes = StateChanges::default();
    for (address, account) in &bundle.state {
        if let Some((hash, code)) = deployed_code(account, &bundle.contracts) {
            changes.code.insert(hash, code);
        }
        if let Some(change) = account_change(account) {
            changes.accounts.insert(*address, change);
        }
    }
    changes
}

fn account_change(account: &BundleAccount) -> Option<AccountChange> {
    let is_info_changed = account.is_info_changed();
    // An account that did not exist before the block had no storage to lose.
    let storage_wiped = account.was_destroyed() && account.original_info.is_some();
    let destroyed = account.was_destroyed();
    let mut storage = BTreeMap::new();
    for (slot, value) in &account.storage {
        let before = if destroyed { Default::default() } else { value.previous_or_original_value };
        if value.present_value != before {
            storage.insert(*slot, value.present_value);
        }
    }
    if !is_info_changed && !storage_wiped && storage.is_empty() {
        return None;
    }
    Some(AccountChange { account: account.info.as_ref().map(stored_account), storage_wiped, storage })
}

fn stored_account(info: &AccountInfo) -> Account {
    Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
}

/// The code of an account whose code is another one than before the block.
fn deployed_code(
    account: &BundleAccount,
    contracts: &alloy_primitives::map::B256Map<revm::state::Bytecode>,
) -> Option<(B256, Bytes)> {
    let info = account.info.as_ref().filter(|info| !info.is_empty_code_hash())?;
    if account.original_info.as_ref().is_some_and(|original| original.code_hash == info.code_hash) {
        return None;
    }
    let code = info.code.as_ref().filter(|code| !code.is_empty()).or_else(|| contracts.get(&info.code_hash))?;
    Some((info.code_hash, code.original_bytes()))
}
