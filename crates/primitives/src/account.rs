//! Accounts and what a block changes in them.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256};
use alloy_rlp::{RlpDecodable, RlpEncodable};
use std::collections::BTreeMap;

/// An account without its storage: what a flat read returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct Account {
    /// Transactions sent, or contracts created, by this account.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Keccak-256 of the code; [`KECCAK256_EMPTY`] for an account without code.
    pub code_hash: B256,
}

impl Account {
    /// Whether the account has code of its own (a contract, or an EIP-7702 delegation).
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK256_EMPTY
    }

    /// Empty as EIP-161 defines it: no nonce, no balance, no code.
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && !self.has_code()
    }
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

/// What a block did to one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The account after the block; `None` when it no longer exists.
    pub account: Option<Account>,
    /// Whether all storage from before the block is gone (self-destruct, or creation over old storage).
    /// The slots below are then the whole storage.
    pub storage_wiped: bool,
    /// Slots after the block; a zero value deletes the slot.
    pub storage: BTreeMap<U256, U256>,
}

/// Everything a block changes in the state, in a form that every execution mode produces to the byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Changed accounts; an account whose values end as they began is not listed.
    pub accounts: BTreeMap<Address, AccountChange>,
    /// Code that was deployed, by its hash.
    pub code: BTreeMap<B256, Bytes>,
}
