//! Swaps on pools over two tokens of their own.

pub(crate) mod v2;
pub(crate) mod v3;

use crate::tokens::{PLENTY, Token};
use crate::world::{Call, ETHER, World, address};
use alloy_primitives::Address;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Pools where there are many; swaps take them in turn.
pub(crate) const MANY: u64 = 128;

/// A pool with what it trades, and how to reach it.
pub(crate) struct Pool {
    tokens: [Token; 2],
    /// Takes the swapper's tokens.
    router: Address,
    address: Address,
    swap: fn(&Pool, bool, u128) -> Call,
}

impl Pool {
    /// Puts both tokens, of which the pool has plenty.
    fn deploy_tokens(world: &mut World, pool: Address, index: u64) -> [Token; 2] {
        [2 * index, 2 * index + 1].map(|index| {
            let token = Token::deploy(world, index);
            token.set_balance(world, pool, PLENTY);
            token
        })
    }

    /// Swaps some of one token for the other; the sender had both before.
    pub(crate) fn swap(&self, world: &mut World, sender: Address, zero_for_one: bool, amount: u128) {
        for token in self.tokens {
            token.set_balance(world, sender, PLENTY);
            token.allow(world, sender, self.router);
        }
        world.send(sender, (self.swap)(self, zero_for_one, amount));
    }
}

/// An amount that moves a price by up to half a percent.
pub(crate) fn amount(rng: &mut ChaCha8Rng) -> u128 {
    rng.random_range(ETHER / 10..=4 * ETHER)
}

/// Every swap has a sender of its own; directions alternate at each pool, so that prices stay where they are.
fn swap_in_turn(world: &mut World, pools: &[Pool], count: u64, rng: &mut ChaCha8Rng) {
    let turns = pools.iter().cycle().zip(0..count);
    for (pool, index) in turns {
        let zero_for_one = (index / pools.len() as u64).is_multiple_of(2);
        pool.swap(world, address("sender", index), zero_for_one, amount(rng));
    }
}
