//! The rules of headers, one broken at a time.

use super::chain::{TestChain, address};
use crate::{
    BlockContext, BuildLimits, ExecutionOutcome, RuleError, build, complete_header, next_base_fee, next_gas_limit,
    next_prev_randao, validate_body, validate_header, validate_outcome,
};
use alloy_consensus::{BlockBody, Sealable};
use alloy_primitives::{B64, B256, Bloom, Bytes, U256};
use heddle_primitives::{Block, Header};
use std::num::NonZeroUsize;

/// A complete valid block 1 with its execution.
fn valid_block(chain: &TestChain) -> (Block, ExecutionOutcome) {
    let limits = BuildLimits { transaction_bytes_max: usize::MAX, threads: NonZeroUsize::MIN, deadline: &|| false };
    let mut candidates = (0..3).map(|nonce| chain.transfer(nonce, address(0xaa), 1));
    let built =
        build(&chain.rules, &chain.state, &BlockContext::new(&chain.next_header()), &mut candidates, &limits).unwrap();
    let transactions: Vec<_> = built.transactions.into_iter().map(|transaction| transaction.into_inner()).collect();
    let header =
        complete_header(&chain.rules, chain.next_header(), &transactions, &built.outcome, B256::repeat_byte(0x55));
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Default::default()) };
    (Block { header, body }, built.outcome)
}

#[test]
fn block_as_built_obeys_every_rule() {
    let chain = TestChain::heddle(&[]);
    let (block, outcome) = valid_block(&chain);
    validate_header(&chain.rules, chain.genesis.header(), &block.header).unwrap();
    validate_body(&chain.rules, &block).unwrap();
    validate_outcome(&chain.rules, &block.header, &outcome).unwrap();
    assert_eq!(block.header.extra_data.as_ref(), outcome.access_list_hash().as_slice());
}

#[test]
fn amsterdam_moves_the_access_list_to_its_own_field() {
    let chain = TestChain::amsterdam();
    let (block, outcome) = valid_block(&chain);
    let header = &block.header;
    validate_header(&chain.rules, chain.genesis.header(), header).unwrap();
    validate_outcome(&chain.rules, header, &outcome).unwrap();
    assert_eq!(header.block_access_list_hash, Some(outcome.access_list_hash()));
    assert_eq!((header.slot_number, header.extra_data.len()), (Some(1), 0));

    let other = Header { slot_number: Some(2), ..header.clone() };
    let error = validate_header(&chain.rules, chain.genesis.header(), &other).unwrap_err();
    assert_eq!(error.to_string(), "slot number is 2, expected 1");
    let other = Header { block_access_list_hash: Some(B256::ZERO), ..header.clone() };
    assert!(matches!(validate_outcome(&chain.rules, &other, &outcome), Err(RuleError::AccessListHash(_))));
    let other = Header { gas_limit: 20_000, gas_used: 0, ..header.clone() };
    let error =
        validate_outcome(&chain.rules, &other, &ExecutionOutcome { gas_used: 0, ..outcome.clone() }).unwrap_err();
    assert!(matches!(error, RuleError::AccessListItems { max: 10, .. }), "{error}");
    let other = Header { extra_data: Bytes::from_static(b"x"), ..header.clone() };
    assert!(matches!(validate_outcome(&chain.rules, &other, &outcome), Err(RuleError::ExtraData { .. })));
}

#[test]
fn each_broken_header_rule_is_named() {
    type Case = (&'static str, fn(&mut Header));
    let cases: &[Case] = &[
        ("block number is 2, expected 1", |h| h.number = 2),
        ("parent hash is 0x", |h| h.parent_hash = B256::ZERO),
        ("gas limit 4999 is not in 5000 to 9223372036854775807", |h| h.gas_limit = 4_999),
        ("gas limit 30029296 is too far from the parent's 30000000", |h| h.gas_limit = 30_029_296),
        ("gas limit 29970704 is too far from the parent's 30000000", |h| h.gas_limit = 29_970_704),
        ("gas used 30000001 is more than the gas limit 30000000", |h| h.gas_used = 30_000_001),
        ("base fee is 1, expected 875000000", |h| h.base_fee_per_gas = Some(1)),
        ("header lacks baseFeePerGas", |h| h.base_fee_per_gas = None),
        ("extra data has 33 bytes, more than 32", |h| h.extra_data = Bytes::from(vec![0; 33])),
        ("header lacks withdrawalsRoot", |h| h.withdrawals_root = None),
        ("withdrawals root is 0x", |h| h.withdrawals_root = Some(B256::ZERO)),
        ("header lacks blobGasUsed", |h| h.blob_gas_used = None),
        ("header lacks excessBlobGas", |h| h.excess_blob_gas = None),
        ("header lacks parentBeaconBlockRoot", |h| h.parent_beacon_block_root = None),
        ("header lacks requestsHash", |h| h.requests_hash = None),
        ("header has blockAccessListHash", |h| h.block_access_list_hash = Some(B256::ZERO)),
        ("header has slotNumber", |h| h.slot_number = Some(1)),
        ("blob gas used 7 is not a multiple of 131072", |h| h.blob_gas_used = Some(7)),
        ("blob gas used 131072 is more than 0", |h| h.blob_gas_used = Some(131_072)),
        ("excess blob gas is 1, expected 0", |h| h.excess_blob_gas = Some(1)),
        ("difficulty is 1, expected 0", |h| h.difficulty = U256::from(1)),
        ("nonce is 1, expected 0", |h| h.nonce = B64::with_last_byte(1)),
        ("ommers hash is 0x", |h| h.ommers_hash = B256::ZERO),
        ("prevRandao is 0x", |h| h.mix_hash = B256::ZERO),
    ];
    let chain = TestChain::heddle(&[]);
    let (block, _) = valid_block(&chain);
    for (expected, break_rule) in cases {
        let mut header = block.header.clone();
        break_rule(&mut header);
        let error = validate_header(&chain.rules, chain.genesis.header(), &header).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
    }
}

#[test]
fn timestamp_may_repeat_on_a_heddle_chain_only() {
    let chain = TestChain::heddle(&[]);
    let (block, _) = valid_block(&chain);
    let parent = block.header.clone().seal_slow();
    for (timestamp, is_valid) in [(6, false), (7, true), (8, true)] {
        let mut next = chain.next_block();
        next.timestamp = timestamp;
        let header = crate::next_header(&chain.rules, &parent, &next);
        let header = Header { blob_gas_used: Some(0), requests_hash: Some(B256::ZERO), ..header };
        let result = validate_header(&chain.rules, &parent, &header);
        assert_eq!(result.is_ok(), is_valid, "{timestamp}: {result:?}");
    }

    let plain = TestChain::shanghai(&[]);
    let parent = plain.genesis.header();
    let header = Header {
        parent_hash: parent.seal(),
        number: 1,
        timestamp: parent.timestamp,
        gas_limit: parent.gas_limit,
        base_fee_per_gas: next_base_fee(&plain.rules, parent),
        withdrawals_root: Some(alloy_consensus::constants::EMPTY_WITHDRAWALS),
        ..Header::default()
    };
    assert_eq!(validate_header(&plain.rules, parent, &header), Err(RuleError::Timestamp { timestamp: 0, parent: 0 }));
    validate_header(&plain.rules, parent, &Header { timestamp: 1, ..header }).unwrap();
}

#[test]
fn each_broken_outcome_rule_is_named() {
    type Case = (&'static str, fn(&mut Header));
    let cases: &[Case] = &[
        ("gas used is 1, expected 63000", |h| h.gas_used = 1),
        ("blob gas used is 131072, expected 0", |h| h.blob_gas_used = Some(131_072)),
        ("logs bloom is 0x", |h| h.logs_bloom = Bloom::repeat_byte(1)),
        ("receipts root is 0x", |h| h.receipts_root = B256::ZERO),
        ("requests hash is 0x", |h| h.requests_hash = Some(B256::ZERO)),
        ("extra data is 0x, expected 0x", |h| h.extra_data = Bytes::new()),
    ];
    let chain = TestChain::heddle(&[]);
    let (block, outcome) = valid_block(&chain);
    for (expected, break_rule) in cases {
        let mut header = block.header.clone();
        break_rule(&mut header);
        let error = validate_outcome(&chain.rules, &header, &outcome).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
    }
}

#[test]
fn each_broken_body_rule_is_named() {
    type Case = (&'static str, fn(&mut Block));
    let cases: &[Case] = &[
        ("transactions root is 0x", |b| drop(b.body.transactions.pop())),
        ("ommers hash is 0x", |b| b.body.ommers.push(Header::default())),
        ("body has withdrawals: false, expected true", |b| b.body.withdrawals = None),
        ("withdrawals root is 0x", |b| b.body.withdrawals = Some(vec![Default::default()].into())),
    ];
    let chain = TestChain::heddle(&[]);
    let (block, _) = valid_block(&chain);
    for (expected, break_rule) in cases {
        let mut block = block.clone();
        break_rule(&mut block);
        let error = validate_body(&chain.rules, &block).unwrap_err();
        assert!(error.to_string().starts_with(expected), "{expected}: {error}");
    }
}

#[test]
fn base_fee_follows_the_parents_gas() {
    let chain = TestChain::heddle(&[]);
    let cases = [(15_000_000, 1_000_000_000), (30_000_000, 1_125_000_000), (0, 875_000_000)];
    for (gas_used, expected) in cases {
        let parent = Header { gas_used, ..chain.genesis.header().inner().clone() };
        assert_eq!(next_base_fee(&chain.rules, &parent), Some(expected), "{gas_used}");
    }
}

#[test]
fn gas_limit_moves_towards_its_target() {
    assert_eq!(next_gas_limit(30_000_000, 30_000_000), 30_000_000);
    assert_eq!(next_gas_limit(30_000_000, 60_000_000), 30_029_295);
    assert_eq!(next_gas_limit(30_000_000, 0), 29_970_705);
    assert_eq!(next_gas_limit(5_000, 0), 5_000);
}

#[test]
fn prev_randao_chains() {
    let chain = TestChain::heddle(&[]);
    let parent = chain.genesis.header();
    let other = Header { number: 1, ..parent.inner().clone() }.seal_slow();
    assert_ne!(next_prev_randao(parent), next_prev_randao(&other));
    assert_eq!(next_prev_randao(parent), next_prev_randao(parent));
}
