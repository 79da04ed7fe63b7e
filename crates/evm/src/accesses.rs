//! What a transaction read and wrote, as far as the other transactions of its block can notice.
//!
//! Taken from the accounts and slots that the EVM loaded, without watching it: whoever loads an account counts as
//! reading its balance, nonce and code, also where only the code was run. Two accounts are only credited, and credits
//! commute: the fee recipient, unless the transaction met it before it was paid, and the codeless recipient of the
//! transaction's value, whose balance no code could look at.

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, U256};
use heddle_primitives::RecoveredTransaction;
use revm::state::{Account, EvmState};

/// A part of the state that a transaction reads or writes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// An account's balance.
    Balance(Address),
    /// An account's nonce.
    Nonce(Address),
    /// An account's code, and its existence: removing an account writes it.
    Code(Address),
    /// A storage slot of an account.
    Storage(Address, U256),
}

/// What a transaction does to a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads it and leaves it as it is.
    Read,
    /// Reads it and changes it.
    Update,
    /// Adds to it, maybe nothing, without reading it: a balance only.
    Credit,
}

impl Access {
    /// Whether earlier writes make a difference to the transaction.
    pub(crate) fn reads(self) -> bool {
        self != Self::Credit
    }

    /// Whether it makes a difference to later reads.
    pub(crate) fn writes(self) -> bool {
        self != Self::Read
    }

    fn of(is_changed: bool) -> Self {
        if is_changed { Self::Update } else { Self::Read }
    }
}

/// The accesses of one executed transaction.
pub(crate) struct Accesses<'a> {
    pub(crate) transaction: &'a RecoveredTransaction,
    /// What the transaction loaded, with the values before and after it.
    pub(crate) state: &'a EvmState,
    pub(crate) fee_recipient: Address,
    /// Whether the fee recipient was loaded before it was paid.
    pub(crate) is_fee_recipient_met: bool,
    /// Whether the gas of a transfer depends on whether its recipient exists (EIP-8037).
    pub(crate) are_new_accounts_charged: bool,
}

impl Accesses<'_> {
    /// What the transaction does to each account that it loaded, apart from its storage. Whoever reads or changes a
    /// part of an account reads all of it.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = (Address, Access, &Account)> {
        self.state.iter().map(|(address, account)| (*address, self.account_access(*address, account), account))
    }

    /// Calls `visit` once for each location, in no particular order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(Location, Access)) {
        for (address, access, account) in self.accounts() {
            if access == Access::Credit {
                visit(Location::Balance(address), access);
                continue;
            }
            let (before, after, is_removed) = (account.original_info(), &account.info, account.is_selfdestructed());
            visit(Location::Balance(address), Access::of(before.balance != after.balance || is_removed));
            visit(Location::Nonce(address), Access::of(before.nonce != after.nonce || is_removed));
            visit(Location::Code(address), Access::of(before.code_hash != after.code_hash || is_removed));
            for (slot, value) in &account.storage {
                visit(Location::Storage(address, *slot), Access::of(value.is_changed()));
            }
        }
    }

    fn account_access(&self, address: Address, account: &Account) -> Access {
        if self.is_only_credited(address, account) {
            return Access::Credit;
        }
        if address == self.transaction.signer() {
            return Access::Update;
        }
        let (before, after) = (account.original_info(), &account.info);
        let is_same = before.balance == after.balance && before.nonce == after.nonce;
        Access::of(!is_same || before.code_hash != after.code_hash || account.is_selfdestructed())
    }

    fn is_only_credited(&self, address: Address, account: &Account) -> bool {
        if address == self.fee_recipient && !self.is_fee_recipient_met {
            return true;
        }
        let transaction = self.transaction;
        transaction.to() == Some(address)
            && address != transaction.signer()
            && account.info.is_empty_code_hash()
            && transaction.authorization_list().is_none()
            && !(self.are_new_accounts_charged && account.is_loaded_as_not_existing())
    }
}
