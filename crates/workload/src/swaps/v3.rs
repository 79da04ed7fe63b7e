//! Concentrated liquidity pools.

use super::{MANY, Pool, swap_in_turn};
use crate::chain::TIMESTAMP;
use crate::contracts::{self, mapping_slot};
use crate::rng;
use crate::world::{Call, ETHER, World, address};
use alloy_primitives::{Address, B256, U256, aliases::U160};
use alloy_sol_types::{SolCall, sol};

sol! {
    function swap(address pool, bool zeroForOne, uint256 amountIn, uint160 priceLimit);
}

const GAS: u64 = 124_000;
/// Ticks between two that may be initialized, as in PoolV3.sol.
const SPACING: i32 = 60;
/// How many of them are initialized on each side of the price at the start.
const TICKS: i32 = 64;
/// Liquidity at every price, and what half of the prices have beside it.
const LIQUIDITY: u128 = 1_000 * ETHER;
const MORE_LIQUIDITY: u128 = 200 * ETHER;

/// Puts the pool of this number at a price of 1.
pub(crate) fn deploy(world: &mut World, index: u64) -> Pool {
    let (pool, router) = (address("pool-v3", index), address("router-v3", 0));
    // Tokens of their own: pools of both kinds may be in one world.
    let tokens = Pool::deploy_tokens(world, pool, MANY + index);
    world.deploy(router, contracts::router_v3());
    world.deploy(pool, contracts::pool_v3());
    let [token0, token1] = tokens.map(|token| token.0.into_word().into());
    let observed_at = TIMESTAMP - 12;
    // As in PoolV3.sol: tokens, slot0, fee growth of both tokens, liquidity.
    let slots = [token0, token1, slot0(), U256::from(1), U256::from(1), U256::from(LIQUIDITY)];
    for (slot, value) in slots.into_iter().enumerate() {
        world.state.set_slot(pool, U256::from(slot), value);
    }
    world.state.set_slot(pool, U256::from(8), U256::from(observed_at) | (U256::from(1) << 248));
    for tick in 1 - TICKS..=TICKS {
        initialize_tick(world, pool, tick);
    }
    // The bitmap's words of the ticks from -64 to 64; the first bit of -256 to -1 is that of -256.
    let below = ((U256::from(1) << (TICKS - 1) as usize) - U256::from(1)) << (257 - TICKS) as usize;
    let above = (U256::from(1) << (TICKS + 1) as usize) - U256::from(1);
    for (word, bits) in [(-1, below), (0, above)] {
        world.state.set_slot(pool, mapping_slot(key(word), U256::from(7)), bits);
    }
    Pool { tokens, router, address: pool, swap }
}

/// Price 1, tick 0, observation 0 of 1, unlocked.
fn slot0() -> U256 {
    let price = U256::from(1) << 96;
    let cardinalities = (U256::from(1) << 200) | (U256::from(1) << 216);
    price | cardinalities | (U256::from(1) << 240)
}

/// Positions begin at odd ticks and end at even ones.
fn initialize_tick(world: &mut World, pool: Address, tick: i32) {
    let net = if tick % 2 == 0 { U256::from(MORE_LIQUIDITY).wrapping_neg() } else { U256::from(MORE_LIQUIDITY) };
    let liquidity = (net << 128) | U256::from(MORE_LIQUIDITY);
    let first = mapping_slot(key(tick * SPACING), U256::from(6));
    // As struct Tick of PoolV3.sol: liquidity, fee growth outside of both tokens, the rest with `initialized`.
    let slots = [liquidity, U256::from(1), U256::from(1), U256::from(1) << 248];
    for (offset, value) in slots.into_iter().enumerate() {
        world.state.set_slot(pool, first + U256::from(offset), value);
    }
}

/// A signed number as a key of a mapping.
fn key(value: i32) -> B256 {
    let mut word = B256::repeat_byte(if value < 0 { 0xff } else { 0 });
    word[28..].copy_from_slice(&value.to_be_bytes());
    word
}

fn swap(pool: &Pool, zero_for_one: bool, amount: u128) -> Call {
    // A price never quarters or quadruples here.
    let price_limit = U160::from(1) << if zero_for_one { 95 } else { 97 };
    let call = swapCall {
        pool: pool.address,
        zeroForOne: zero_for_one,
        amountIn: U256::from(amount),
        priceLimit: price_limit,
    };
    Call::contract(pool.router, 400_000, call.abi_encode())
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
