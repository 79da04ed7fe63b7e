//! Plain transfers.

use crate::world::{Call, ETHER, MAX_FEE_PER_GAS, World, address};
use alloy_primitives::{Address, U256};

const GAS: u64 = 21_000;

/// An account that exists: a transfer to it creates nothing.
fn recipient(world: &mut World, index: u64) -> Address {
    let recipient = address("recipient", index);
    world.state.set_balance(recipient, U256::from(ETHER));
    recipient
}

/// Everybody pays somebody else.
pub(crate) fn independent(world: &mut World, gas: u64) {
    for index in 0..gas / GAS {
        let to = recipient(world, index);
        world.send(address("sender", index), Call::transfer(to, U256::from(1)));
    }
}

/// Everybody pays one account.
pub(crate) fn one_recipient(world: &mut World, gas: u64) {
    let to = recipient(world, 0);
    for index in 0..gas / GAS {
        world.send(address("sender", index), Call::transfer(to, U256::from(1)));
    }
}

/// One account pays everybody: a chain of nonces.
pub(crate) fn one_sender(world: &mut World, gas: u64) {
    for index in 0..gas / GAS {
        let to = recipient(world, index);
        world.send(address("sender", 0), Call::transfer(to, U256::from(1)));
    }
}

/// Everybody passes on what it has just got, without which it could not even pay its fee.
pub(crate) fn payment_chain(world: &mut World, gas: u64) {
    let fee_max = U256::from(MAX_FEE_PER_GAS * u128::from(GAS));
    let mut value = U256::from(1_000_000 * ETHER);
    world.fund(address("link", 0), value);
    for index in 0..gas / GAS {
        value -= fee_max;
        let next = address("link", index + 1);
        world.fund(next, U256::ZERO);
        world.send(address("link", index), Call::transfer(next, value));
    }
}
