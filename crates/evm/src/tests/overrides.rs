//! Calls on a state and in a block that are pretended.

use super::chain::{BASE_FEE, COUNTER, REVERTER, TestChain, address};
use crate::{CallError, CallLimits, CallOutcome, CallRequest, CallStatus, Overrides, call, estimate_gas};
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use std::time::Duration;

const LIMITS: CallLimits<'static> =
    CallLimits { gas: 50_000_000, memory: 64 << 20, time: Duration::MAX, elapsed: &|| Duration::ZERO };
const IDENTITY: Address = address!("0x0000000000000000000000000000000000000004");
/// Returns slot 9, and slot 8 behind it.
const READER: &[u8] = &[0x60, 9, 0x54, 0x5f, 0x52, 0x60, 8, 0x54, 0x60, 32, 0x52, 0x60, 64, 0x5f, 0xf3];
/// Returns BALANCE, EXTCODEHASH and NUMBER of or for the address in its input.
const LOOKER: &[u8] =
    &[0x5f, 0x35, 0x31, 0x5f, 0x52, 0x5f, 0x35, 0x3f, 0x60, 32, 0x52, 0x43, 0x60, 64, 0x52, 0x60, 96, 0x5f, 0xf3];
/// Jumps to its beginning for ever.
const ENDLESS: &[u8] = &[0x5b, 0x5f, 0x56];
/// Calls itself for ever, without a jump.
const RECURSIVE: &[u8] =
    &[0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1, 0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1];
/// Fills 4 MiB of memory and calls itself.
const HOARDER: &[u8] = &[
    0x5f, 0x62, 0x40, 0, 0, 0x53, 0x5f, 0x5f, 0x5f, 0x5f, 0x5f, 0x30, 0x5a, 0xf1, 0x60, 20, 0x57, 0xfe, 0xfe, 0xfe,
    0x5b,
];

fn chain() -> TestChain {
    let code: &[(Address, &'static [u8])] = &[
        (address(0xc0), COUNTER),
        (address(0xc1), REVERTER),
        (address(0xc2), BASE_FEE),
        (address(0xc3), READER),
        (address(0xc4), LOOKER),
        (address(0xc5), ENDLESS),
        (address(0xc6), RECURSIVE),
        (address(0xc7), HOARDER),
    ];
    TestChain::heddle(code)
}

fn to(address: Address) -> CallRequest {
    CallRequest { to: Some(address), ..CallRequest::default() }
}

fn state(accounts: impl IntoIterator<Item = (Address, AccountOverride)>) -> Overrides {
    Overrides { state: StateOverride::from_iter(accounts), ..Overrides::default() }
}

fn run(chain: &TestChain, request: &CallRequest, overrides: &Overrides) -> Result<CallOutcome, CallError> {
    call(&chain.rules, &chain.state, chain.genesis.header(), request, overrides, &LIMITS)
}

fn words(outcome: &CallOutcome) -> Vec<U256> {
    outcome.output.chunks(32).map(U256::from_be_slice).collect()
}

fn slot(number: u64, value: u64) -> (B256, B256) {
    (U256::from(number).into(), U256::from(value).into())
}

#[test]
fn accounts_are_as_pretended() {
    let chain = chain();
    let code = Bytes::from_static(REVERTER);
    let pretended = AccountOverride { balance: Some(U256::from(77)), code: Some(code.clone()), ..Default::default() };
    let overrides = state([(address(0xaa), pretended)]);
    let look = CallRequest { data: B256::left_padding_from(address(0xaa).as_slice()).into(), ..to(address(0xc4)) };
    let seen = words(&run(&chain, &look, &overrides).unwrap());
    assert_eq!(seen, [U256::from(77), U256::from_be_bytes(keccak256(&code).0), U256::ZERO]);
    let outcome = run(&chain, &to(address(0xaa)), &overrides).unwrap();
    assert_eq!(outcome.status, CallStatus::Revert);
    let payment = CallRequest { from: address(0xaa), value: U256::from(77), ..to(address(0xbb)) };
    assert_eq!(run(&chain, &payment, &overrides).unwrap().status, CallStatus::Success);
    assert!(run(&chain, &payment, &Overrides::default()).is_err(), "nothing stays pretended");
}

#[test]
fn storage_is_replaced_or_changed() {
    let chain = chain();
    let read = to(address(0xc3));
    // Genesis has 1 in slot 9.
    let seen = |account| words(&run(&chain, &read, &state([(address(0xc3), account)])).unwrap());
    let diff = AccountOverride::default().with_state_diff([slot(8, 5)]);
    assert_eq!(seen(diff), [U256::from(1), U256::from(5)]);
    let whole = AccountOverride::default().with_state([slot(8, 6)]);
    assert_eq!(seen(whole), [U256::ZERO, U256::from(6)]);
    let both = AccountOverride::default().with_state([slot(8, 6)]).with_state_diff([slot(8, 5)]);
    let error = run(&chain, &read, &state([(address(0xc3), both)])).unwrap_err();
    assert_eq!(error.to_string(), format!("account {} has both 'state' and 'stateDiff'", address(0xc3)));
}

#[test]
fn precompiles_move_and_give_way() {
    let chain = chain();
    let moving = |to: Address| AccountOverride { move_precompile_to: Some(to), ..Default::default() };
    let input = Bytes::from_static(&[1, 2, 3]);
    let output = |place, overrides: &Overrides| {
        run(&chain, &CallRequest { data: input.clone(), ..to(place) }, overrides).unwrap().output
    };
    let moved = state([(IDENTITY, moving(address(0xaa)))]);
    assert_eq!((output(address(0xaa), &moved), output(IDENTITY, &moved)), (input.clone(), Bytes::new()));
    let covered = state([(IDENTITY, AccountOverride::default().with_code(Bytes::from_static(BASE_FEE)))]);
    assert_eq!(output(IDENTITY, &covered), Bytes::from(vec![0; 32]));
    let error = |overrides| run(&chain, &to(IDENTITY), &overrides).unwrap_err().to_string();
    let text = error(state([(address(0xaa), moving(IDENTITY))]));
    assert_eq!(text, format!("account {} is not a precompile", address(0xaa)));
    let text = error(state([(IDENTITY, moving(address(0xaa))), (address(0xaa), AccountOverride::default())]));
    assert_eq!(text, format!("account {} is already overridden", address(0xaa)));
}

#[test]
fn the_block_is_as_pretended() {
    let chain = chain();
    let overrides = |block| Overrides { block, ..Overrides::default() };
    let number = overrides(BlockOverrides { number: Some(U256::from(99)), ..Default::default() });
    assert_eq!(words(&run(&chain, &to(address(0xc4)), &number).unwrap())[2], U256::from(99));
    let fee = overrides(BlockOverrides { base_fee: Some(U256::from(7)), ..Default::default() });
    let paying =
        CallRequest { gas_price: Some(7), from: chain.signer.address(), gas: Some(100_000), ..to(address(0xc2)) };
    assert_eq!(words(&run(&chain, &paying, &fee).unwrap()), [U256::from(7)]);
    let root = overrides(BlockOverrides { beacon_root: Some(B256::ZERO), ..Default::default() });
    assert!(matches!(run(&chain, &paying, &root), Err(CallError::Rejected(_))));
}

#[test]
fn an_estimate_sees_what_is_pretended() {
    let chain = chain();
    let estimate = |overrides: &Overrides| {
        let request = CallRequest { value: U256::from(1), from: address(0x55), ..to(address(0xaa)) };
        estimate_gas(&chain.rules, &chain.state, chain.genesis.header(), &request, overrides, &LIMITS)
    };
    assert!(estimate(&Overrides::default()).is_err());
    let rich = state([(address(0x55), AccountOverride { balance: Some(U256::from(1)), ..Default::default() })]);
    assert_eq!(estimate(&rich).unwrap(), 21_000);
}

#[test]
fn what_takes_too_long_is_ended() {
    let chain = chain();
    let limits =
        CallLimits { gas: u64::MAX, time: Duration::from_secs(5), elapsed: &|| Duration::from_secs(5), ..LIMITS };
    // The time is over while the code runs, not before it.
    let asked = std::sync::atomic::AtomicU32::new(0);
    let soon = || Duration::from_secs(u64::from(asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
    let running = CallLimits { elapsed: &soon, ..limits };
    for place in [address(0xc5), address(0xc6)] {
        for limits in [&limits, &running] {
            asked.store(0, std::sync::atomic::Ordering::Relaxed);
            let header = chain.genesis.header();
            let error =
                call(&chain.rules, &chain.state, header, &to(place), &Overrides::default(), limits).unwrap_err();
            assert_eq!(error.to_string(), "execution aborted (timeout = 5s)");
            let error = estimate_gas(&chain.rules, &chain.state, header, &to(place), &Overrides::default(), limits);
            assert!(matches!(error, Err(CallError::Timeout(_))), "{error:?}");
        }
    }
}

#[test]
fn memory_is_bounded_over_all_frames() {
    let chain = chain();
    let limits = |memory| CallLimits { gas: 1 << 40, memory, ..LIMITS };
    let request = CallRequest { gas: Some(1 << 40), ..to(address(0xc7)) };
    let run = |memory| {
        call(&chain.rules, &chain.state, chain.genesis.header(), &request, &Overrides::default(), &limits(memory))
    };
    assert_eq!(run(1 << 20).unwrap().status, CallStatus::Halt("memory limit reached".to_owned()));
    assert_eq!(run(64 << 20).unwrap().status, CallStatus::Halt("invalid opcode: INVALID".to_owned()));
}
