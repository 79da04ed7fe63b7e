//! Who and what there is: few accounts and few contracts, so that transactions meet.

use crate::contracts;
use crate::state::MemoryState;
use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use heddle_evm::{amsterdam_system_contracts, system_contracts};
use proptest::prelude::*;
use std::sync::LazyLock;

/// Accounts with keys.
pub const ACTORS: usize = 8;
/// The first of these have ether from the beginning, the others what they are given.
const RICH: usize = 5;
/// Salts of CREATE2, and accounts of each other kind.
const FEW: usize = 3;

static SIGNERS: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    let signer = |index| PrivateKeySigner::from_bytes(&B256::repeat_byte(u8::try_from(index).unwrap())).unwrap();
    (1..=ACTORS).map(signer).collect()
});

/// The key of an actor.
pub fn signer(actor: usize) -> &'static PrivateKeySigner {
    &SIGNERS[actor % ACTORS]
}

/// The address of an actor.
pub fn actor(actor: usize) -> Address {
    signer(actor).address()
}

/// An address, given by what makes it interesting.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// Has a key.
    Actor(usize),
    /// Has code from the beginning.
    Contract(usize),
    /// Where the factory creates a child with this salt.
    Child(usize),
    /// What an actor creates next.
    Created(usize),
    /// What the factory creates next with CREATE.
    Plain,
    /// The block's fee recipient.
    FeeRecipient,
    /// Exists although it is empty.
    Empty(usize),
    /// Does not exist.
    Fresh(usize),
    /// A precompiled contract, from 1; some only in later forks.
    Precompile(u8),
    /// A contract of the protocol.
    System(usize),
}

/// Any place, the simplest first.
pub fn place() -> impl Strategy<Value = Place> + Clone {
    prop_oneof![
        4 => (0..ACTORS).prop_map(Place::Actor),
        6 => (0..contracts::COUNT).prop_map(Place::Contract),
        4 => (0..FEW).prop_map(Place::Child),
        1 => (0..ACTORS).prop_map(Place::Created),
        1 => Just(Place::Plain),
        2 => Just(Place::FeeRecipient),
        1 => (0..FEW).prop_map(Place::Empty),
        1 => (0..FEW).prop_map(Place::Fresh),
        1 => (1..=10u8).prop_map(Place::Precompile),
        1 => (0..7usize).prop_map(Place::System),
    ]
}

impl Place {
    /// The address in `state`, in a block with this fee recipient.
    pub fn address(self, state: &MemoryState, fee_recipient: Address) -> Address {
        let factory = contracts::address(contracts::index("factory"));
        let next = |creator: Address| creator.create(state.account_or_empty(creator).nonce);
        match self {
            Self::Actor(index) => actor(index),
            Self::Contract(index) => contracts::address(index),
            Self::Child(salt) => child(salt),
            Self::Created(index) => next(actor(index)),
            Self::Plain => next(factory),
            Self::FeeRecipient => fee_recipient,
            Self::Empty(index) => numbered(0xe0, index),
            Self::Fresh(index) => numbered(0xf0, index),
            Self::Precompile(number) => Address::with_last_byte(number),
            Self::System(index) => system_address(index),
        }
    }
}

/// Where the factory creates a child with a salt.
pub fn child(salt: usize) -> Address {
    let factory = contracts::address(contracts::index("factory"));
    factory.create2(B256::from(U256::from(salt)), keccak256(contracts::Init::Child.code()))
}

fn system_address(index: usize) -> Address {
    let contracts = system_contracts().into_iter().chain(amsterdam_system_contracts());
    contracts.map(|(address, _)| address).nth(index).unwrap_or(MAINNET_DEPOSIT_CONTRACT_ADDRESS)
}

fn numbered(kind: u8, index: usize) -> Address {
    let mut address = Address::with_last_byte(u8::try_from(index).unwrap());
    address.0[0] = kind;
    address
}

/// The state of the world before its first block. `has_system_contracts`: those that forks bring.
pub fn genesis_state(has_system_contracts: bool) -> MemoryState {
    let mut state = MemoryState::default();
    for index in 0..RICH {
        state.insert(actor(index), 0, U256::from(10).pow(U256::from(20)), Bytes::new());
    }
    for index in 0..FEW {
        state.insert(numbered(0xe0, index), 0, U256::ZERO, Bytes::new());
    }
    for index in 0..contracts::COUNT {
        add_contract(&mut state, contracts::address(index), contracts::code(index), 1_000);
    }
    add_token_balances(&mut state);
    add_children(&mut state);
    if has_system_contracts {
        for (address, contract) in system_contracts().into_iter().chain(amsterdam_system_contracts()) {
            state.insert(address, 1, U256::ZERO, contract.code.unwrap());
        }
        state.insert(MAINNET_DEPOSIT_CONTRACT_ADDRESS, 1, U256::ZERO, contracts::deposit_contract());
    }
    state
}

fn add_contract(state: &mut MemoryState, address: Address, code: Bytes, balance: u64) {
    state.insert(address, 1, U256::from(balance), code);
    for slot in 0..3u64 {
        state.set_slot(address, U256::from(slot), U256::from(10 * slot));
    }
}

fn add_token_balances(state: &mut MemoryState) {
    let token = contracts::address(contracts::index("token"));
    let holders = (0..RICH).map(actor).chain([contracts::address(contracts::index("pool"))]);
    for holder in holders {
        state.set_slot(token, U256::from_be_slice(holder.as_slice()), U256::from(500));
    }
}

/// The first child exists; where the second would be created, storage is left without an account's code (EIP-7610).
fn add_children(state: &mut MemoryState) {
    let code = contracts::code(contracts::index("child"));
    add_contract(state, child(0), code, 7);
    state.insert(child(1), 0, U256::from(7), Bytes::new());
    state.set_slot(child(1), U256::from(1), U256::from(1));
}
