//! Simulated blocks.

use super::chain::{COUNTER, ETHER, REVERTER, TestChain, address};
use crate::{
    BlockRequest, CallError, CallLimits, CallRequest, CallStatus, NumberedCall, Overrides, SimulatedBlock,
    SimulationError, SimulationRequest, TransactionError, simulate,
};
use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, address};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use heddle_primitives::{Account, AccountChange, StateChanges};
use std::time::Duration;

const LIMITS: CallLimits<'static> =
    CallLimits { gas: 50_000_000, memory: 64 << 20, time: Duration::MAX, elapsed: &|| Duration::ZERO };
/// Returns the hash of the block before.
const PARENT_HASH: &[u8] = &[0x60, 1, 0x43, 0x03, 0x40, 0x5f, 0x52, 0x60, 32, 0x5f, 0xf3];
/// Sends 1 wei to 0xbb.., logs nothing with the topic 5, and calls REVERTER with 2 wei.
const SENDER: &[u8] = &[
    0x5f, 0x5f, 0x5f, 0x5f, 0x60, 1, 0x73, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb,
    0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0xbb, 0x5a, 0xf1, 0x60, 5, 0x5f, 0x5f, 0xa1, 0x5f, 0x5f, 0x5f, 0x5f,
    0x60, 2, 0x73, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1, 0xc1,
    0xc1, 0xc1, 0xc1, 0xc1, 0x5a, 0xf1, 0x00,
];
const TRANSFERS: Address = address!("0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");

fn chain() -> TestChain {
    let code: &[(Address, &'static [u8])] = &[
        (address(0xc0), COUNTER),
        (address(0xc1), REVERTER),
        (address(0xc2), PARENT_HASH),
        (address(0xc3), SENDER),
        (address(0xc4), &[0x5b, 0x5f, 0x56]),
    ];
    TestChain::heddle(code)
}

fn call(chain: &TestChain, to: Address) -> NumberedCall {
    let from = chain.signer.address();
    NumberedCall { request: CallRequest { from, to: Some(to), ..CallRequest::default() }, nonce: None }
}

fn block(calls: impl Into<Vec<NumberedCall>>) -> BlockRequest {
    BlockRequest { calls: calls.into(), ..BlockRequest::default() }
}

fn with(overrides: BlockOverrides) -> BlockRequest {
    BlockRequest { overrides: Overrides { block: overrides, ..Overrides::default() }, ..BlockRequest::default() }
}

fn request(blocks: impl Into<Vec<BlockRequest>>) -> SimulationRequest {
    SimulationRequest { blocks: blocks.into(), ..SimulationRequest::default() }
}

fn run(chain: &TestChain, request: &SimulationRequest) -> Result<Vec<SimulatedBlock>, SimulationError> {
    simulate(&chain.rules, &chain.state, chain.genesis.header(), request, &LIMITS)
}

#[test]
fn blocks_follow_each_other() {
    let chain = chain();
    let counting = [call(&chain, address(0xc0)), call(&chain, address(0xc0))];
    let asking = [call(&chain, address(0xc2))];
    let blocks = run(&chain, &request([block(counting), block(asking)])).unwrap();
    let [first, second] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    let genesis = chain.genesis.header();
    let (one, two) = (&first.block.header, &second.block.header);
    assert_eq!((one.parent_hash, two.parent_hash), (genesis.seal(), one.hash_slow()));
    assert_eq!((one.number, two.number), (1, 2));
    assert_eq!((one.timestamp, two.timestamp), (genesis.timestamp + 12, genesis.timestamp + 24));
    assert_eq!((one.base_fee_per_gas, one.gas_limit), (Some(0), genesis.gas_limit));
    assert_eq!(second.calls[0].outcome.output, Bytes::from(one.hash_slow().0), "a contract sees simulated hashes");
    let nonces = |block: &SimulatedBlock| Vec::from_iter(block.block.body.transactions.iter().map(|tx| tx.nonce()));
    assert_eq!((nonces(first), nonces(second)), (vec![0, 1], vec![2]));
    assert_eq!(one.gas_used, first.calls.iter().map(|call| call.outcome.gas_used).sum::<u64>());
    assert_eq!(first.receipts.len(), 2);
}

#[test]
fn the_state_root_is_that_of_all_blocks_so_far() {
    let chain = chain();
    let blocks =
        run(&chain, &request([block([call(&chain, address(0xc0))]), block([call(&chain, address(0xc0))])])).unwrap();
    // The same by hand: the counter stands at 1, then at 2; the signer's nonce likewise; the rest is system contracts.
    for (index, block) in blocks.iter().enumerate() {
        let mut pretended = chain.state.clone();
        let signer = chain.signer.address();
        let nonce = index as u64 + 1;
        let balance = pretended.balance(signer);
        let account = Some(Account { nonce, balance, code_hash: KECCAK256_EMPTY });
        let mut changes = StateChanges::default();
        changes.accounts.insert(signer, AccountChange { account, storage_wiped: false, storage: Default::default() });
        pretended.apply(&changes);
        pretended.storage.insert((address(0xc0), U256::ZERO), U256::from(nonce));
        let system = system_storage(&blocks[..=index]);
        pretended.storage.extend(system);
        assert_eq!(block.block.header.state_root, pretended.root(), "block {index}");
    }
}

#[test]
fn an_account_that_is_left_empty_exists() {
    let chain = chain();
    let mut pretending = block([]);
    let nothing = AccountOverride { balance: Some(U256::ZERO), ..Default::default() };
    pretending.overrides.state = StateOverride::from_iter([(address(0xaa), nothing)]);
    let blocks = run(&chain, &request([pretending])).unwrap();
    let mut expected = chain.state.clone();
    expected.accounts.insert(address(0xaa), Account { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY });
    expected.storage.extend(system_storage(&blocks));
    assert_eq!(blocks[0].block.header.state_root, expected.root());
}

/// What EIP-4788 and EIP-2935 store in these blocks.
fn system_storage(blocks: &[SimulatedBlock]) -> Vec<((Address, U256), U256)> {
    let mut rows = Vec::new();
    for SimulatedBlock { block, .. } in blocks {
        let header = &block.header;
        let time = U256::from(header.timestamp);
        rows.push(((alloy_eips::eip4788::BEACON_ROOTS_ADDRESS, time % U256::from(8_191)), time));
        let parent = U256::from(header.number - 1) % U256::from(8_191);
        rows.push(((alloy_eips::eip2935::HISTORY_STORAGE_ADDRESS, parent), U256::from_be_bytes(header.parent_hash.0)));
    }
    rows
}

#[test]
fn gaps_are_filled_and_order_is_demanded() {
    let chain = chain();
    let number = |number: u64| with(BlockOverrides { number: Some(U256::from(number)), ..Default::default() });
    let time = |time: u64| with(BlockOverrides { time: Some(time), ..Default::default() });
    let numbers = |blocks: Vec<SimulatedBlock>| Vec::from_iter(blocks.iter().map(|block| block.block.header.number));
    assert_eq!(numbers(run(&chain, &request([number(3), block([]), number(6)])).unwrap()), [1, 2, 3, 4, 5, 6]);
    let error = |blocks: Vec<BlockRequest>| run(&chain, &request(blocks)).unwrap_err().to_string();
    assert_eq!(error(vec![number(3), number(3)]), "block numbers must be in order: 3 <= 3");
    let genesis_time = chain.genesis.header().timestamp;
    let early = format!("block timestamps must be in order: {genesis_time} <= {genesis_time}");
    assert_eq!(error(vec![time(genesis_time)]), early);
    assert_eq!(run(&chain, &request([number(256)])).unwrap().len(), 256);
    assert_eq!(error(vec![number(257)]), "too many blocks");
    assert_eq!(error(vec![number(u64::MAX), block([])]), "too many blocks");
}

#[test]
fn headers_are_as_pretended() {
    let chain = chain();
    let overrides = BlockOverrides {
        coinbase: Some(address(0xfe)),
        gas_limit: Some(1_000_000),
        random: Some(B256::repeat_byte(7)),
        base_fee: Some(U256::from(9)),
        beacon_root: Some(B256::repeat_byte(8)),
        ..Default::default()
    };
    let blocks = run(&chain, &request([with(overrides), block([])])).unwrap();
    let (one, two) = (&blocks[0].block.header, &blocks[1].block.header);
    assert_eq!((one.beneficiary, one.gas_limit, one.mix_hash), (address(0xfe), 1_000_000, B256::repeat_byte(7)));
    assert_eq!((one.base_fee_per_gas, one.parent_beacon_block_root), (Some(9), Some(B256::repeat_byte(8))));
    assert_eq!((two.beneficiary, two.gas_limit), (address(0xfe), 1_000_000), "these stay");
    assert_eq!((two.mix_hash, two.base_fee_per_gas), (B256::ZERO, Some(0)), "these do not");
}

#[test]
fn validation_asks_for_what_blocks_ask_for() {
    let chain = chain();
    let validated = |call: NumberedCall| SimulationRequest { is_validated: true, ..request([block([call])]) };
    let refusal = |call: NumberedCall| match run(&chain, &validated(call)).unwrap_err() {
        SimulationError::Transaction { error, .. } => error,
        error => panic!("{error}"),
    };
    let free = call(&chain, address(0xc0));
    assert!(matches!(refusal(free.clone()), TransactionError::BaseFee { max_fee: 0, .. }));
    let paid = |nonce| {
        let request = CallRequest { max_fee_per_gas: Some(ETHER / 1_000_000_000), ..free.request.clone() };
        NumberedCall { request: CallRequest { gas: Some(100_000), ..request }, nonce }
    };
    assert!(matches!(refusal(paid(Some(5))), TransactionError::NonceTooHigh { .. }));
    // The nonce is looked at first.
    let wrong = NumberedCall { nonce: Some(5), ..free.clone() };
    assert!(matches!(refusal(wrong), TransactionError::NonceTooHigh { got: 5, .. }));
    let mut last = validated(free.clone());
    let sender = free.request.from;
    let last_nonce = AccountOverride { nonce: Some(u64::MAX), ..AccountOverride::default() };
    last.blocks[0].overrides.state.insert(sender, last_nonce);
    assert!(matches!(
        run(&chain, &last),
        Err(SimulationError::Transaction { error: TransactionError::NonceOverflow, .. })
    ));
    let blocks = run(&chain, &validated(paid(None))).unwrap();
    let base_fee = blocks[0].block.header.base_fee_per_gas;
    assert_eq!(base_fee, crate::next_base_fee(&chain.rules, chain.genesis.header()));
    assert_eq!(blocks[0].calls[0].outcome.status, CallStatus::Success);
    // Without validation any nonce will do, and a fee only if one is offered.
    assert!(run(&chain, &request([block([NumberedCall { nonce: Some(9), ..free.clone() }])])).is_ok());
    let mut dear = request([block([NumberedCall {
        request: CallRequest { max_fee_per_gas: Some(1), ..free.request },
        nonce: None,
    }])]);
    dear.blocks[0].overrides.block.base_fee = Some(U256::from(2));
    assert!(matches!(
        run(&chain, &dear),
        Err(SimulationError::Transaction { error: TransactionError::BaseFee { .. }, .. })
    ));
}

#[test]
fn transfers_are_logged_unless_they_are_undone() {
    let chain = chain();
    let mut paying = call(&chain, address(0xc3));
    paying.request.value = U256::from(7);
    let traced = SimulationRequest { traces_transfers: true, ..request([block([paying.clone()])]) };
    let blocks = run(&chain, &traced).unwrap();
    let logs = &blocks[0].calls[0].outcome.logs;
    let seen = Vec::from_iter(logs.iter().map(|log| (log.address, U256::try_from_be_slice(&log.data.data))));
    let transfer = |wei: u64| (TRANSFERS, Some(U256::from(wei)));
    assert_eq!(seen, [transfer(7), transfer(1), (address(0xc3), Some(U256::ZERO))]);
    assert_eq!(logs[1].topics()[1..], [address(0xc3).into_word(), address(0xbb).into_word()]);
    assert_eq!(blocks[0].receipts[0].logs().len(), 1, "a receipt has no such logs");
    let untraced = run(&chain, &request([block([paying])])).unwrap();
    assert_eq!(untraced[0].calls[0].outcome.logs.len(), 1);
    assert_eq!(untraced[0].block.header, blocks[0].block.header);
}

#[test]
fn gas_and_time_are_bounded_over_all_blocks() {
    let chain = chain();
    let endless = |gas| {
        let mut call = call(&chain, address(0xc4));
        call.request.gas = gas;
        call
    };
    let twice = request([block([endless(None)]), block([endless(None), call(&chain, address(0xc0))])]);
    // The first takes all the gas there is for everything.
    let limits = CallLimits { gas: 1_000_000, ..LIMITS };
    let error = simulate(&chain.rules, &chain.state, chain.genesis.header(), &twice, &limits).unwrap_err();
    assert!(
        matches!(error, SimulationError::Transaction { error: TransactionError::IntrinsicGas { .. }, gas: 0 }),
        "{error}"
    );
    let greedy = request([block([endless(Some(u64::MAX))])]);
    assert!(matches!(run(&chain, &greedy), Err(SimulationError::BlockGas { .. })));
    let limits = CallLimits { gas: u64::MAX, time: Duration::ZERO, ..LIMITS };
    let error = simulate(&chain.rules, &chain.state, chain.genesis.header(), &twice, &limits).unwrap_err();
    assert!(matches!(error, SimulationError::Call(CallError::Timeout(_))), "{error}");
}

#[test]
fn time_that_is_over_in_the_midst_of_a_call_ends_everything() {
    let chain = chain();
    let asked = std::sync::atomic::AtomicU32::new(0);
    let soon = || Duration::from_secs(u64::from(asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed)));
    let limits = CallLimits { gas: u64::MAX, time: Duration::from_secs(3), elapsed: &soon, ..LIMITS };
    let mut endless = request([block([call(&chain, address(0xc4))])]);
    endless.blocks[0].overrides.block.gas_limit = Some(u64::MAX);
    let error = simulate(&chain.rules, &chain.state, chain.genesis.header(), &endless, &limits).unwrap_err();
    assert!(matches!(error, SimulationError::Call(CallError::Timeout(_))), "{error}");
}

#[test]
fn what_is_pretended_stays_except_about_the_block() {
    let chain = chain();
    let poor = address(0x55);
    let pay = |value: u64| {
        let request =
            CallRequest { from: poor, to: Some(address(0xbb)), value: U256::from(value), ..Default::default() };
        NumberedCall { request, nonce: None }
    };
    let rich = AccountOverride { balance: Some(U256::from(10)), nonce: Some(u64::MAX), ..Default::default() };
    let mut first = block([pay(4)]);
    first.overrides.state = StateOverride::from_iter([(poor, rich)]);
    let blocks = run(&chain, &request([first.clone(), block([pay(6)])])).unwrap();
    let nonces = Vec::from_iter(blocks.iter().map(|block| block.block.body.transactions[0].nonce()));
    assert_eq!(nonces, [u64::MAX, 0], "nonces begin again");
    let error = run(&chain, &request([first, block([pay(7)])])).unwrap_err();
    assert!(matches!(error, SimulationError::Transaction { error: TransactionError::Funds { .. }, .. }), "{error}");
}

#[test]
fn a_disk_failure_is_ours() {
    let mut chain = chain();
    chain.state.fails_at = Some(address(0xc0));
    let error = run(&chain, &request([block([call(&chain, address(0xc0))])])).unwrap_err();
    assert!(matches!(error, SimulationError::Call(CallError::State(_))), "{error}");
}
