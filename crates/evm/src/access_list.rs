//! What can be wrong with a block's access list (EIP-7928).

use alloy_eips::eip7928::{AccountChanges, BlockAccessList, BlockAccessListValidationError};
use alloy_primitives::{Address, U256, keccak256};
use std::collections::BTreeMap;
use std::fmt;

/// An access list that is not its block's. Always the fault of the block's author, whose header binds the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessListError {
    /// Entries out of order or twice, a list of no changes, or an index that the block does not have.
    #[error("{0}")]
    Malformed(#[from] BlockAccessListValidationError),
    /// More entries than the gas limit allows.
    #[error("the access list has {items} items, at most {max} fit the gas limit")]
    Oversized {
        /// Accounts and storage keys in the list.
        items: u64,
        /// Most that a list under this gas limit may have.
        max: u64,
    },
    /// The block does something that the list does not have.
    #[error("the access list lacks {0}")]
    Missing(AccessListEntry),
    /// The list has something that the block does not do.
    #[error("the access list has {0}, which does not happen")]
    Extra(AccessListEntry),
    /// The list has another value than the block gives.
    #[error("the access list has {entry} with another value")]
    Wrong {
        /// Where the values differ.
        entry: AccessListEntry,
    },
}

/// One thing that an access list says of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessListEntry {
    /// The account.
    pub address: Address,
    /// What is said of it.
    pub kind: AccessKind,
}

/// The kinds of what an access list says, in the order in which they are compared. An index is that of the access list:
/// 0 before the transactions, 1 for the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccessKind {
    /// That it is accessed.
    Account,
    /// A slot's value after the transaction at an index.
    StorageChange {
        /// The slot.
        slot: U256,
        /// The index.
        index: u64,
    },
    /// A slot that is read but not changed.
    StorageRead {
        /// The slot.
        slot: U256,
    },
    /// The balance after the transaction at an index.
    Balance {
        /// The index.
        index: u64,
    },
    /// The nonce after the transaction at an index.
    Nonce {
        /// The index.
        index: u64,
    },
    /// The code after the transaction at an index.
    Code {
        /// The index.
        index: u64,
    },
}

impl fmt::Display for AccessListEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = self.address;
        match self.kind {
            AccessKind::Account => write!(f, "account {address}"),
            AccessKind::StorageChange { slot, index } => {
                write!(f, "the change at index {index} of slot {slot:#x} of {address}")
            }
            AccessKind::StorageRead { slot } => write!(f, "the read of slot {slot:#x} of {address}"),
            AccessKind::Balance { index } => write!(f, "the balance change at index {index} of {address}"),
            AccessKind::Nonce { index } => write!(f, "the nonce change at index {index} of {address}"),
            AccessKind::Code { index } => write!(f, "the code change at index {index} of {address}"),
        }
    }
}

/// The first difference of a list to the one that the block has.
pub(crate) fn first_difference(got: &BlockAccessList, expected: &BlockAccessList) -> Option<AccessListError> {
    let (got, expected) = (entries(got), entries(expected));
    let missing = expected.keys().find(|entry| !got.contains_key(entry));
    let wrong = got.iter().find(|(entry, value)| expected.get(entry) != Some(value));
    match (missing, wrong) {
        (Some(missing), Some((entry, _))) if missing < entry => Some(AccessListError::Missing(*missing)),
        (Some(missing), None) => Some(AccessListError::Missing(*missing)),
        (_, Some((entry, _))) if expected.contains_key(entry) => Some(AccessListError::Wrong { entry: *entry }),
        (_, Some((entry, _))) => Some(AccessListError::Extra(*entry)),
        (None, None) => None,
    }
}

/// All that a list says, with the values; for code its hash.
fn entries(list: &[AccountChanges]) -> BTreeMap<AccessListEntry, U256> {
    let mut entries = BTreeMap::new();
    for account in list {
        let mut add = |kind, value| entries.insert(AccessListEntry { address: account.address, kind }, value);
        add(AccessKind::Account, U256::ZERO);
        for slot in &account.storage_changes {
            for change in &slot.changes {
                let index = change.block_access_index.get();
                add(AccessKind::StorageChange { slot: slot.slot, index }, change.new_value);
            }
        }
        for slot in &account.storage_reads {
            add(AccessKind::StorageRead { slot: *slot }, U256::ZERO);
        }
        for change in &account.balance_changes {
            add(AccessKind::Balance { index: change.block_access_index.get() }, change.post_balance);
        }
        for change in &account.nonce_changes {
            add(AccessKind::Nonce { index: change.block_access_index.get() }, U256::from(change.new_nonce));
        }
        for change in &account.code_changes {
            let hash = keccak256(change.new_code());
            add(AccessKind::Code { index: change.block_access_index.get() }, hash.into());
        }
    }
    entries
}
