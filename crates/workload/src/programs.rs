//! Computation, creation of contracts, reads of storage.

use crate::contracts::{self, init_code};
use crate::world::{Call, World, address};
use alloy_primitives::{Address, B256, TxKind, U256};
use alloy_sol_types::{SolCall, sol};

sol! {
    function run(uint256 seed, uint256 iterations);
    function read(uint256 seed, uint256 pairs, uint256 slots, uint256 base, uint256 accounts);
}

const ITERATIONS: u64 = 1_000;
const COMPUTE_GAS: u64 = 434_000;
/// Bytes of code that each creation deploys.
const CREATED_BYTES: usize = 16 * 1024;
const CREATION_GAS: u64 = 3_600_000;
const PAIRS_PER_READ: u64 = 200;
const READ_GAS: u64 = 1_080_000;

/// Puts the contract that computes.
pub(crate) fn deploy_compute(world: &mut World) -> Address {
    let contract = address("compute", 0);
    world.deploy(contract, contracts::compute());
    contract
}

/// A heavy computation, another for each seed.
pub(crate) fn compute_call(contract: Address, seed: u64) -> Call {
    let call = runCall { seed: U256::from(seed), iterations: U256::from(ITERATIONS) };
    Call::contract(contract, 1_000_000, call.abi_encode())
}

/// Everybody computes.
pub(crate) fn compute(world: &mut World, gas: u64) {
    let contract = deploy_compute(world);
    for index in 0..gas / COMPUTE_GAS {
        world.send(address("sender", index), compute_call(contract, index));
    }
}

/// Everybody creates a large contract, each another one.
pub(crate) fn creation(world: &mut World, gas: u64) {
    let parts = [contracts::pool_v3(), contracts::pair_v2(), contracts::token(), contracts::router_v2()].concat();
    let body: Vec<u8> = parts.into_iter().cycle().take(CREATED_BYTES - 32).collect();
    for index in 0..gas / CREATION_GAS {
        let runtime = [&body[..], B256::from(U256::from(index)).as_slice()].concat();
        let input = init_code(&runtime);
        let call = Call { to: TxKind::Create, value: U256::ZERO, gas_limit: 6_000_000, input };
        world.send(address("sender", index), call);
    }
}

/// Everybody reads slots and balances of accounts all over the state, of which there are `population` each.
pub(crate) fn storage_reads(world: &mut World, gas: u64, population: u64) {
    let reader = address("reader", 0);
    world.deploy(reader, contracts::reader());
    let base = U256::from(1) << 128;
    for index in 0..population {
        world.state.set_slot(reader, U256::from(index), U256::from(index + 1));
        world.state.set_balance(Address::from_word(B256::from(base + U256::from(index))), U256::from(index + 1));
    }
    let population = U256::from(population);
    for index in 0..gas / READ_GAS {
        let pairs = U256::from(PAIRS_PER_READ);
        let call = readCall { seed: U256::from(index), pairs, slots: population, base, accounts: population };
        world.send(address("sender", index), Call::contract(reader, 2_000_000, call.abi_encode()));
    }
}
