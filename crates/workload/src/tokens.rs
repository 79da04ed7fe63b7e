//! ERC-20 transfers, mints and airdrops.

use crate::contracts::{self, mapping_slot};
use crate::world::{Call, ETHER, World, address};
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, sol};

sol! {
    function transfer(address to, uint256 value);
    function transferFrom(address from, address to, uint256 value);
    function mint();
    function airdrop(address token, address[] holders, uint256 value);
}

const TRANSFER_GAS: u64 = 34_300;
const TRANSFER_FROM_GAS: u64 = 37_000;
const MINT_GAS: u64 = 72_700;
const HOLDERS_PER_AIRDROP: u64 = 50;
const AIRDROP_GAS: u64 = 1_350_000;
/// Holders that most of a clustered block's transfers go to.
const HOT_HOLDERS: u64 = 4;
/// Tokens that everybody starts with.
pub(crate) const PLENTY: u128 = 1_000_000 * ETHER;

/// An ERC-20 token in a world.
#[derive(Clone, Copy)]
pub(crate) struct Token(pub(crate) Address);

impl Token {
    pub(crate) fn deploy(world: &mut World, index: u64) -> Self {
        let token = Self(address("token", index));
        world.deploy(token.0, contracts::token());
        token
    }

    /// Gives `owner` tokens.
    pub(crate) fn set_balance(self, world: &mut World, owner: Address, value: u128) {
        world.state.set_slot(self.0, mapping_slot(owner.into_word(), U256::ZERO), U256::from(value));
    }

    /// Lets `spender` take any number of the owner's tokens.
    pub(crate) fn allow(self, world: &mut World, owner: Address, spender: Address) {
        let of_owner = mapping_slot(owner.into_word(), U256::from(1));
        world.state.set_slot(self.0, mapping_slot(spender.into_word(), of_owner), U256::MAX);
    }

    /// The call that moves the caller's tokens.
    pub(crate) fn transfer(self, to: Address, value: u128) -> Call {
        let input = transferCall { to, value: U256::from(value) }.abi_encode();
        Call::contract(self.0, 100_000, input)
    }

    fn transfer_from(self, from: Address, to: Address, value: u128) -> Call {
        let input = transferFromCall { from, to, value: U256::from(value) }.abi_encode();
        Call::contract(self.0, 100_000, input)
    }
}

/// Everybody pays somebody else.
pub(crate) fn independent(world: &mut World, gas: u64) {
    let token = Token::deploy(world, 0);
    for index in 0..gas / TRANSFER_GAS {
        let (sender, recipient) = (address("sender", index), address("recipient", index));
        token.set_balance(world, sender, PLENTY);
        token.set_balance(world, recipient, PLENTY);
        world.send(sender, token.transfer(recipient, ETHER));
    }
}

/// Everybody pays one of a few.
pub(crate) fn clustered(world: &mut World, gas: u64) {
    let token = Token::deploy(world, 0);
    for index in 0..gas / TRANSFER_GAS {
        let (sender, recipient) = (address("sender", index), address("recipient", index % HOT_HOLDERS));
        token.set_balance(world, sender, PLENTY);
        token.set_balance(world, recipient, PLENTY);
        world.send(sender, token.transfer(recipient, ETHER));
    }
}

/// Everybody moves tokens of one holder to another.
pub(crate) fn one_pair(world: &mut World, gas: u64) {
    let token = Token::deploy(world, 0);
    let (from, to) = (address("sender", 0), address("recipient", 0));
    token.set_balance(world, from, PLENTY);
    token.set_balance(world, to, PLENTY);
    for index in 0..gas / TRANSFER_FROM_GAS {
        let operator = address("operator", index);
        token.allow(world, from, operator);
        world.send(operator, token.transfer_from(from, to, ETHER));
    }
}

/// Everybody mints the next one of a collection.
pub(crate) fn nft_mint(world: &mut World, gas: u64) {
    let nft = address("nft", 0);
    world.deploy(nft, contracts::nft());
    world.state.set_slot(nft, U256::ZERO, U256::from(1));
    for index in 0..gas / MINT_GAS {
        world.send(address("sender", index), Call::contract(nft, 150_000, mintCall {}.abi_encode()));
    }
}

/// Some pay many who had nothing, each with tokens of their own.
pub(crate) fn airdrop(world: &mut World, gas: u64) {
    let token = Token::deploy(world, 0);
    let contract = address("airdrop", 0);
    world.deploy(contract, contracts::airdrop());
    for index in 0..gas / AIRDROP_GAS {
        let sender = address("sender", index);
        token.set_balance(world, sender, PLENTY);
        token.allow(world, sender, contract);
        let first = index * HOLDERS_PER_AIRDROP;
        let holders = (first..first + HOLDERS_PER_AIRDROP).map(|holder| address("holder", holder)).collect();
        let call = airdropCall { token: token.0, holders, value: U256::from(ETHER) };
        world.send(sender, Call::contract(contract, 3_000_000, call.abi_encode()));
    }
}
