//! Constant product pools.

use super::{MANY, Pool, swap_in_turn};
use crate::chain::TIMESTAMP;
use crate::contracts;
use crate::rng;
use crate::tokens::PLENTY;
use crate::world::{Call, World, address};
use alloy_primitives::U256;
use alloy_sol_types::{SolCall, sol};

sol! {
    function swap(address pair, bool zeroForOne, uint256 amountIn, uint256 amountOutMin);
}

const GAS: u64 = 84_000;

/// Puts the pool of this number, whose reserves are all its tokens.
pub(crate) fn deploy(world: &mut World, index: u64) -> Pool {
    let (pair, router) = (address("pair-v2", index), address("router-v2", 0));
    let tokens = Pool::deploy_tokens(world, pair, index);
    world.deploy(router, contracts::router_v2());
    world.deploy(pair, contracts::pair_v2());
    let reserve = U256::from(PLENTY);
    let packed = reserve | (reserve << 112) | (U256::from(TIMESTAMP - 12) << 224);
    let [token0, token1] = tokens.map(|token| token.0.into_word().into());
    // As in PairV2.sol: tokens, reserves, price accumulators, the lock.
    let slots = [token0, token1, packed, U256::from(1), U256::from(1), U256::from(1)];
    for (slot, value) in slots.into_iter().enumerate() {
        world.state.set_slot(pair, U256::from(slot), value);
    }
    Pool { tokens, router, address: pair, swap }
}

fn swap(pool: &Pool, zero_for_one: bool, amount: u128) -> Call {
    let call = swapCall {
        pair: pool.address,
        zeroForOne: zero_for_one,
        amountIn: U256::from(amount),
        amountOutMin: U256::ZERO,
    };
    Call::contract(pool.router, 250_000, call.abi_encode())
}

/// Swaps on many pools.
pub(crate) fn many_pools(world: &mut World, gas: u64) {
    let pools: Vec<_> = (0..MANY).map(|index| deploy(world, index)).collect();
    swap_in_turn(world, &pools, gas / GAS, &mut rng());
}

/// Swaps on one pool.
pub(crate) fn one_pool(world: &mut World, gas: u64) {
    let pool = deploy(world, 0);
    swap_in_turn(world, &[pool], gas / GAS, &mut rng());
}
