//! The contracts that the protocol itself calls.

use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
    eip7002::{WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, WITHDRAWAL_REQUEST_PREDEPLOY_CODE},
    eip7251::{CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_CODE},
    eip8282::{
        BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_DEPOSIT_CONTRACT_CODE, BUILDER_EXIT_CONTRACT_ADDRESS,
        BUILDER_EXIT_CONTRACT_CODE,
    },
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes};

/// Contracts whose absence makes a block invalid from Prague on (EIP-7002, EIP-7251).
pub(crate) const REQUIRED_FROM_PRAGUE: [Address; 2] =
    [WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS];

/// Contracts whose absence makes a block invalid from Amsterdam on (EIP-8282).
pub(crate) const REQUIRED_FROM_AMSTERDAM: [Address; 2] =
    [BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_EXIT_CONTRACT_ADDRESS];

/// The system contracts of Osaka with their official code: beacon roots (EIP-4788), block hash history (EIP-2935),
/// withdrawal requests (EIP-7002) and consolidation requests (EIP-7251). The genesis of every Heddle chain must
/// contain them: without the last two no block is valid.
pub fn system_contracts() -> Vec<(Address, GenesisAccount)> {
    vec![
        contract(BEACON_ROOTS_ADDRESS, &BEACON_ROOTS_CODE),
        contract(HISTORY_STORAGE_ADDRESS, &HISTORY_STORAGE_CODE),
        contract(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, &WITHDRAWAL_REQUEST_PREDEPLOY_CODE),
        contract(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS, &CONSOLIDATION_REQUEST_PREDEPLOY_CODE),
    ]
}

/// The system contracts that Amsterdam adds, with their official code: builder deposits and builder exits (EIP-8282).
/// A chain must contain them when Amsterdam begins: without them no block is valid.
pub fn amsterdam_system_contracts() -> Vec<(Address, GenesisAccount)> {
    vec![
        contract(BUILDER_DEPOSIT_CONTRACT_ADDRESS, &BUILDER_DEPOSIT_CONTRACT_CODE),
        contract(BUILDER_EXIT_CONTRACT_ADDRESS, &BUILDER_EXIT_CONTRACT_CODE),
    ]
}

fn contract(address: Address, code: &Bytes) -> (Address, GenesisAccount) {
    (address, GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code.clone())))
}
