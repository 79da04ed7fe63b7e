//! What blocks have, all together.

use crate::programs::{compute_call, deploy_compute};
use crate::swaps::{self, Pool};
use crate::tokens::{PLENTY, Token};
use crate::world::{Call, ETHER, World, address};
use alloy_primitives::U256;
use rand::{Rng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

/// Of ten transactions.
const TRANSFERS: usize = 4;
const TOKEN_TRANSFERS: usize = 3;
const SWAPS: usize = 2;
/// Gas of ten transactions.
const TEN_GAS: u64 = 830_000;
const TOKENS: u64 = 8;
const POOLS_OF_A_KIND: u64 = 32;

#[derive(Clone, Copy)]
enum Action {
    Transfer,
    TokenTransfer,
    Swap,
    Compute,
}

/// Transfers, ERC-20 transfers, swaps and heavy computation, interleaved and between accounts as lots decide: some
/// senders send several, some recipients send too.
pub(crate) fn mixed(world: &mut World, gas: u64) {
    let rng = &mut crate::rng();
    let tens = gas / TEN_GAS;
    let people = tens * 10;
    // Numbers that no pool's token has.
    let tokens: Vec<_> = (0..TOKENS).map(|index| Token::deploy(world, 4 * swaps::MANY + index)).collect();
    let mut pools: Vec<_> = (0..POOLS_OF_A_KIND).map(|index| swaps::v2::deploy(world, index)).collect();
    pools.extend((0..POOLS_OF_A_KIND).map(|index| swaps::v3::deploy(world, index)));
    let compute = deploy_compute(world);
    for person in 0..people {
        world.fund(address("person", person), U256::from(1_000 * ETHER));
    }
    for (seed, action) in actions(tens, rng).into_iter().enumerate() {
        let [sender, other] = [(); 2].map(|()| address("person", rng.random_range(0..people)));
        match action {
            Action::Transfer => world.send(sender, Call::transfer(other, U256::from(1))),
            Action::TokenTransfer => {
                let token = choose(&tokens, rng);
                token.set_balance(world, sender, PLENTY);
                token.set_balance(world, other, PLENTY);
                world.send(sender, token.transfer(other, ETHER));
            }
            Action::Swap => choose::<Pool>(&pools, rng).swap(world, sender, rng.random(), swaps::amount(rng)),
            Action::Compute => world.send(sender, compute_call(compute, seed as u64)),
        }
    }
}

fn choose<'a, T>(all: &'a [T], rng: &mut ChaCha8Rng) -> &'a T {
    &all[rng.random_range(0..all.len())]
}

fn actions(tens: u64, rng: &mut ChaCha8Rng) -> Vec<Action> {
    let ten: [Action; 10] = std::array::from_fn(|index| match index {
        _ if index < TRANSFERS => Action::Transfer,
        _ if index < TRANSFERS + TOKEN_TRANSFERS => Action::TokenTransfer,
        _ if index < TRANSFERS + TOKEN_TRANSFERS + SWAPS => Action::Swap,
        _ => Action::Compute,
    });
    let mut actions: Vec<_> = (0..tens).flat_map(|_| ten).collect();
    actions.shuffle(rng);
    actions
}
