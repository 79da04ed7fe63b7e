//! The one irregular state change of Ethereum's history: the DAO fork.

use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Address, U256};
use revm::{
    Database, DatabaseCommit,
    state::{Account, TransactionId},
};

/// Moves all ether of the DAO's accounts to the withdrawal contract, before the fork block's first transaction.
pub(crate) fn move_balances<DB: Database + DatabaseCommit>(state: &mut DB) -> Result<(), DB::Error> {
    let mut moved = U256::ZERO;
    let mut accounts = Vec::with_capacity(DAO_HARDFORK_ACCOUNTS.len() + 1);
    for address in DAO_HARDFORK_ACCOUNTS {
        let mut account = load(state, address)?;
        moved += std::mem::take(&mut account.info.balance);
        accounts.push((address, account));
    }
    let mut beneficiary = load(state, DAO_HARDFORK_BENEFICIARY)?;
    beneficiary.info.balance += moved;
    accounts.push((DAO_HARDFORK_BENEFICIARY, beneficiary));
    for (_, account) in &mut accounts {
        account.mark_touch();
        if account.is_empty() {
            // Empty accounts exist until Spurious Dragon; a merely touched one would be deleted.
            account.mark_created();
        }
    }
    state.commit_iter(&mut accounts.into_iter());
    Ok(())
}

fn load<DB: Database>(state: &mut DB, address: Address) -> Result<Account, DB::Error> {
    let info = state.basic(address)?;
    Ok(info.map_or_else(|| Account::new_not_existing(TransactionId::ZERO), Account::from))
}
