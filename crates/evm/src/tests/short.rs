//! Calls that are over in a moment end as they would otherwise, or are not made.

use super::chain::{BASE_FEE, COUNTER, REVERTER, TestChain, address};
use crate::{CallLimits, CallRequest, Overrides, StateError, StateReader, call, short_call};
use alloy_primitives::{Address, B256, Bytes, U256};
use heddle_primitives::{Account, StateChanges};
use std::time::Duration;

const LIMITS: CallLimits<'static> =
    CallLimits { gas: 50_000_000, memory: 64 << 20, time: Duration::MAX, elapsed: &|| Duration::ZERO };
/// Returns the gas that is left.
const GAS_LEFT: &[u8] = &[0x5a, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3];
/// Loops for ever.
const LOOP: &[u8] = &[0x5b, 0x5f, 0x56];
/// Fails.
const INVALID: &[u8] = &[0xfe];

/// Calls an account with all gas, and returns whether that succeeded.
fn calls(callee: Address) -> Vec<u8> {
    let call = [&[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x73][..], callee.as_slice(), &[0x5a, 0xf1]].concat();
    [&call[..], &[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]].concat()
}

fn chain() -> TestChain {
    let through = |callee: Address| -> &'static [u8] { calls(callee).leak() };
    let precompile = Address::with_last_byte(2);
    TestChain::heddle(&[
        (address(0xc0), COUNTER),
        (address(0xc1), REVERTER),
        (address(0xc2), BASE_FEE),
        (address(0xc3), GAS_LEFT),
        (address(0xc4), LOOP),
        (address(0xc5), INVALID),
        (address(0xd0), through(address(0xc0))),
        (address(0xd1), through(address(0xc1))),
        (address(0xd3), through(address(0xc3))),
        (address(0xd4), through(address(0xc4))),
        (address(0xd5), through(address(0xc5))),
        (address(0xd6), through(precompile)),
    ])
}

fn to(address: Address) -> CallRequest {
    CallRequest { to: Some(address), ..CallRequest::default() }
}

fn short(chain: &TestChain, request: &CallRequest) -> Option<crate::CallOutcome> {
    short_call(&chain.rules, &chain.state, chain.genesis.header(), request, &LIMITS)
}

#[test]
fn a_short_call_ends_as_it_does_with_all_gas() {
    let chain = chain();
    for callee in [0xc0, 0xc1, 0xc2, 0xd0, 0xd1, 0xee] {
        let request = to(address(callee));
        let long = call(&chain.rules, &chain.state, chain.genesis.header(), &request, &Overrides::default(), &LIMITS);
        assert_eq!(short(&chain, &request), Some(long.unwrap()), "{callee:x}");
    }
}

#[test]
fn a_call_that_could_see_how_little_gas_it_has_is_not_short() {
    let chain = chain();
    for callee in [0xc3, 0xc4, 0xc5, 0xd3, 0xd4, 0xd5, 0xd6] {
        assert_eq!(short(&chain, &to(address(callee))), None, "{callee:x}");
    }
    assert_eq!(short(&chain, &to(Address::with_last_byte(2))), None, "a precompile");
    assert_eq!(short(&chain, &CallRequest { to: None, ..CallRequest::default() }), None, "a creation");
    let counter = to(address(0xc0));
    assert_eq!(short(&chain, &CallRequest { gas_price: Some(1), ..counter.clone() }), None, "paid gas");
    assert_eq!(short(&chain, &CallRequest { data: Bytes::from(vec![0; 513]), ..counter.clone() }), None, "long input");
    assert_eq!(short(&chain, &CallRequest { gas: Some(21_001), ..counter.clone() }), None, "too little gas anyway");
    assert_eq!(short(&chain, &CallRequest { value: U256::MAX, ..counter }), None, "more than the sender has");
}

/// Knows nothing.
struct Forgetful;

impl StateReader for Forgetful {
    fn account(&self, _: Address) -> Result<Option<Account>, StateError> {
        Err(StateError::new("forgotten"))
    }

    fn storage(&self, _: Address, _: U256) -> Result<U256, StateError> {
        Err(StateError::new("forgotten"))
    }

    fn code(&self, _: B256) -> Result<crate::Code, StateError> {
        Err(StateError::new("forgotten"))
    }

    fn has_storage(&self, _: Address) -> Result<bool, StateError> {
        Err(StateError::new("forgotten"))
    }

    fn block_hash(&self, _: u64) -> Result<B256, StateError> {
        Err(StateError::new("forgotten"))
    }

    fn root_with(&self, _: &StateChanges) -> Result<B256, StateError> {
        Err(StateError::new("forgotten"))
    }
}

#[test]
fn a_reader_that_fails_says_nothing_about_the_call() {
    let chain = chain();
    let request = to(address(0xc0));
    assert_eq!(short_call(&chain.rules, &Forgetful, chain.genesis.header(), &request, &LIMITS), None);
}
