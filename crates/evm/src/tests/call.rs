//! Messages without a block: calls and estimates.

use super::chain::{BASE_FEE, COUNTER, ETHER, REVERTER, TestChain, address, init_code, sign, transaction};
use crate::{
    BlockContext, CallError, CallLimits, CallRequest, CallStatus, Mode, Overrides, call, estimate_gas, execute,
};
use alloy_eips::eip2930::AccessList;
use alloy_primitives::{Address, Bytes, U256};
use revm::primitives::hardfork::SpecId;
use std::time::Duration;

const LIMITS: CallLimits<'static> =
    CallLimits { gas: 50_000_000, memory: 64 << 20, time: Duration::MAX, elapsed: &|| Duration::ZERO };
/// Stops if more than 100,000 gas are left, otherwise fails.
const NEEDS_GAS: &[u8] = &[0x62, 0x01, 0x86, 0xa0, 0x5a, 0x11, 0x60, 10, 0x57, 0xfe, 0x5b, 0x00];

fn chain() -> TestChain {
    let code: &[(Address, &'static [u8])] =
        &[(address(0xc0), COUNTER), (address(0xc1), REVERTER), (address(0xc2), BASE_FEE), (address(0xc3), &[0xfe])];
    TestChain::heddle(code)
}

fn to(address: Address) -> CallRequest {
    CallRequest { to: Some(address), ..CallRequest::default() }
}

fn run(chain: &TestChain, request: &CallRequest) -> Result<crate::CallOutcome, CallError> {
    call(&chain.rules, &chain.state, chain.genesis.header(), request, &Overrides::default(), &LIMITS)
}

fn estimate(chain: &TestChain, request: &CallRequest) -> Result<u64, CallError> {
    estimate_gas(&chain.rules, &chain.state, chain.genesis.header(), request, &Overrides::default(), &LIMITS)
}

#[test]
fn outcomes() {
    let chain = chain();
    let outcome = run(&chain, &to(address(0xc0))).unwrap();
    assert_eq!(outcome.status, CallStatus::Success);
    let outcome = run(&chain, &to(address(0xc1))).unwrap();
    assert_eq!((outcome.status, outcome.output), (CallStatus::Revert, U256::from(42).to_be_bytes_vec().into()));
    let outcome = run(&chain, &CallRequest { gas: Some(100_000), ..to(address(0xc3)) }).unwrap();
    assert_eq!(outcome.status, CallStatus::Halt("invalid opcode: INVALID".to_owned()));
    assert_eq!(outcome.gas_used, 100_000);
    let outcome = run(&chain, &CallRequest { gas: Some(22_000), ..to(address(0xc0)) }).unwrap();
    assert_eq!(outcome.status, CallStatus::Halt("out of gas".to_owned()));
    let create = CallRequest { data: init_code(COUNTER), ..CallRequest::default() };
    assert_eq!(run(&chain, &create).unwrap().output, Bytes::from_static(COUNTER));
}

#[test]
fn sender_needs_neither_nonce_nor_funds_nor_to_be_without_code() {
    let chain = chain();
    let request = CallRequest { from: address(0xc1), ..to(address(0xc0)) };
    assert_eq!(run(&chain, &request).unwrap().status, CallStatus::Success);
}

#[test]
fn value_must_be_there() {
    let chain = chain();
    let request = CallRequest { from: address(0x77), value: U256::from(5), ..to(address(0xaa)) };
    let text = format!("insufficient funds for gas * price + value: address {} have 0 want 5", address(0x77));
    assert_eq!(run(&chain, &request).unwrap_err().to_string(), text);
}

#[test]
fn base_fee_counts_only_when_a_fee_is_offered() {
    let chain = chain();
    let from = chain.signer.address();
    let base_fee = U256::from(chain.genesis.header().base_fee_per_gas.unwrap());
    assert_eq!(run(&chain, &to(address(0xc2))).unwrap().output, Bytes::from(vec![0; 32]));
    let paid = CallRequest { from, gas: Some(100_000), gas_price: Some(2_000_000_000), ..to(address(0xc2)) };
    assert_eq!(run(&chain, &paid).unwrap().output, Bytes::from(base_fee.to_be_bytes_vec()));
    let cheap = CallRequest { max_fee_per_gas: Some(1), gas_price: None, ..paid.clone() };
    let text =
        format!("max fee per gas less than block base fee: address {from}, maxFeePerGas: 1, baseFee: {base_fee}");
    assert_eq!(run(&chain, &cheap).unwrap_err().to_string(), text);
    let both = CallRequest { max_fee_per_gas: Some(1), ..paid.clone() };
    let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
    assert_eq!(run(&chain, &both).unwrap_err().to_string(), text);
    let tip = CallRequest { gas_price: None, max_priority_fee_per_gas: Some(5), ..paid };
    assert!(run(&chain, &tip).unwrap_err().to_string().starts_with("max priority fee per gas higher than max fee"));
}

#[test]
fn what_a_fork_does_not_know_is_rejected() {
    let plain = CallRequest { gas_price: Some(1), ..to(address(0xaa)) };
    let listed = CallRequest { access_list: Some(AccessList::default()), ..plain.clone() };
    let priced = CallRequest { max_priority_fee_per_gas: Some(0), ..to(address(0xaa)) };
    let with_blobs = CallRequest { max_fee_per_blob_gas: Some(1), ..to(address(0xaa)) };
    assert!(plain.check_fork(SpecId::FRONTIER).is_ok());
    for (request, before, since, reason) in [
        (listed, SpecId::ISTANBUL, SpecId::BERLIN, "transaction type not supported: access list tx"),
        (priced, SpecId::BERLIN, SpecId::LONDON, "maxFeePerGas and maxPriorityFeePerGas are not valid before London"),
        (with_blobs, SpecId::SHANGHAI, SpecId::CANCUN, "transaction type not supported: blob tx"),
    ] {
        let error = request.check_fork(before).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
        assert!(request.check_fork(since).is_ok());
    }
}

#[test]
fn too_little_gas_is_rejected() {
    let chain = chain();
    let request = CallRequest { gas: Some(20_999), ..to(address(0xaa)) };
    assert_eq!(run(&chain, &request).unwrap_err().to_string(), "intrinsic gas too low: have 20999, want 21000");
}

#[test]
fn disk_failure_is_ours() {
    let mut chain = chain();
    chain.state.fails_at = Some(address(0xc0));
    assert!(matches!(run(&chain, &to(address(0xc0))), Err(CallError::State(_))));
    assert!(matches!(estimate(&chain, &to(address(0xc0))), Err(CallError::State(_))));
}

#[test]
fn plain_transfer_is_estimated_at_21000() {
    let chain = chain();
    let request = CallRequest { from: chain.signer.address(), value: U256::from(1), ..to(address(0xaa)) };
    assert_eq!(estimate(&chain, &request).unwrap(), 21_000);
}

#[test]
fn estimate_is_enough_and_little_more() {
    let mut chain = chain();
    let needy = Bytes::from_static(NEEDS_GAS);
    let hash = alloy_primitives::keccak256(&needy);
    chain.state.code.insert(hash, needy);
    chain.state.accounts.get_mut(&address(0xc3)).unwrap().code_hash = hash;
    for (place, least) in [(address(0xc0), None), (address(0xc3), Some(121_000))] {
        let gas_limit = estimate(&chain, &to(place)).unwrap();
        let enough = alloy_consensus::TxEip1559 { gas_limit, to: place.into(), ..transaction() };
        let header = chain.next_header();
        let context = BlockContext::new(&header);
        let outcome =
            execute(&chain.rules, &chain.state, &context, &[sign(&chain.signer, enough)], Mode::Sequential).unwrap();
        assert!(alloy_consensus::TxReceipt::status(&outcome.receipts[0]), "{gas_limit}");
        let least = least.unwrap_or(outcome.gas_used);
        assert!((least..=least * 103 / 100).contains(&gas_limit), "{gas_limit} for {least}");
    }
}

#[test]
fn estimate_of_what_never_succeeds() {
    let chain = chain();
    let from = chain.signer.address();
    let error = estimate(&chain, &to(address(0xc1))).unwrap_err();
    assert!(matches!(&error, CallError::Reverted(data) if data.last() == Some(&42)), "{error}");
    let error = estimate(&chain, &to(address(0xc3))).unwrap_err();
    assert_eq!(error.to_string(), "invalid opcode: INVALID");
    let tight = CallRequest { gas: Some(21_500), ..to(address(0xc0)) };
    assert_eq!(estimate(&chain, &tight).unwrap_err().to_string(), "gas required exceeds allowance (21500)");
    let price = 40 * ETHER / 21_000;
    let unaffordable =
        CallRequest { from, value: U256::from(990 * ETHER), gas_price: Some(price), ..to(address(0xaa)) };
    let error = estimate(&chain, &unaffordable).unwrap_err();
    assert!(error.to_string().starts_with("gas required exceeds allowance ("), "{error}");
    let beyond = CallRequest { value: U256::from(1_001 * ETHER), ..unaffordable };
    assert_eq!(estimate(&chain, &beyond).unwrap_err().to_string(), "insufficient funds for transfer");
}
