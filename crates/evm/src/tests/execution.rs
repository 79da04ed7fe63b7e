//! Blocks from the first system call to the last request.

use super::chain::{
    CHAIN_ID, COUNTER, ETHER, FEE_RECIPIENT, REVERTER, SELF_DESTRUCT, TestChain, address, init_code, sign, signer,
    transaction,
};
use crate::{BlockContext, ChainCall, ExecutionError, ExecutionOutcome, Mode, TransactionError, execute};
use alloy_consensus::TxEip7702;
use alloy_eips::{
    eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS, eip4895::Withdrawal,
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, eip7702::Authorization, eip7928::BlockAccessIndex,
    eip8282::BUILDER_EXIT_CONTRACT_ADDRESS,
};
use alloy_primitives::{Address, Bytes, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use heddle_primitives::{Header, RecoveredTransaction};

fn run(chain: &TestChain, transactions: &[RecoveredTransaction]) -> Result<ExecutionOutcome, ExecutionError> {
    let header = chain.next_header();
    execute(&chain.rules, &chain.state, &BlockContext::new(&header), transactions, Mode::Sequential)
}

#[test]
fn transfer_moves_value_and_pays_the_fee_recipient_the_tip() {
    let mut chain = TestChain::heddle(&[]);
    let recipient = address(0xaa);
    let outcome = run(&chain, &[chain.transfer(0, recipient, ETHER)]).unwrap();

    assert_eq!((outcome.gas_used, outcome.blob_gas_used), (21_000, 0));
    assert!(outcome.receipts[0].status());
    assert!(outcome.requests.is_empty());

    let tip = U256::from(21_000u64 * 1_000_000_000);
    let base_fee = U256::from(chain.next_header().base_fee_per_gas.unwrap());
    chain.state.apply(&outcome.changes);
    assert_eq!(chain.state.balance(recipient), U256::from(ETHER));
    assert_eq!(chain.state.balance(FEE_RECIPIENT), tip);
    let spent = U256::from(ETHER) + tip + base_fee * U256::from(21_000);
    assert_eq!(chain.state.balance(chain.signer.address()), U256::from(1_000 * ETHER) - spent);
    assert_eq!(chain.state.accounts[&chain.signer.address()].nonce, 1);
}

#[test]
fn changes_list_only_what_differs_from_the_parent() {
    let chain = TestChain::heddle(&[(address(0xc0), COUNTER)]);
    // A transfer of nothing to a contract that returns: the contract's account stays as it was.
    let outcome = run(&chain, &[chain.transfer(0, address(0xdd), 0)]).unwrap();
    let changed: Vec<_> = outcome.changes.accounts.keys().copied().collect();
    let mut expected = [chain.signer.address(), FEE_RECIPIENT, HISTORY_STORAGE_ADDRESS, BEACON_ROOTS_ADDRESS];
    expected.sort();
    assert_eq!(changed, expected, "neither the empty account touched nor the idle system contracts");
    assert!(outcome.changes.code.is_empty());
}

#[test]
fn the_chain_calls_before_the_first_transaction_and_a_failure_changes_nothing() {
    let (counter, reverter) = (address(0xc0), address(0xc1));
    let chain = TestChain::heddle(&[(counter, COUNTER), (reverter, REVERTER)]);
    let header = chain.next_header();
    let transaction = chain.transaction(0, TxKind::Call(counter), 0, Bytes::new());
    let run = |to: Option<Address>| {
        let call = to.map(|to| ChainCall { to, data: Bytes::new() });
        let context = BlockContext::new(&header).with_call(call.as_ref());
        execute(&chain.rules, &chain.state, &context, std::slice::from_ref(&transaction), Mode::Sequential).unwrap()
    };
    let counted = |outcome: &ExecutionOutcome| outcome.changes.accounts[&counter].storage[&U256::ZERO];
    let (without, made, failed) = (run(None), run(Some(counter)), run(Some(reverter)));
    assert_eq!([&without, &made, &failed].map(counted), [1, 2, 1].map(U256::from));
    assert_eq!([&without, &made, &failed].map(|outcome| outcome.has_call_failed), [false, false, true]);
    assert_eq!((&without.receipts, &without.changes), (&failed.receipts, &failed.changes));
    let list = made.access_list.unwrap();
    let changes = &list.iter().find(|account| account.address == counter).unwrap().storage_changes[0].changes;
    let indices = changes.iter().map(|change| change.block_access_index);
    assert!(indices.eq([0, 1].map(BlockAccessIndex::new)), "{changes:?}");
    let looked_at = failed.access_list.unwrap().iter().any(|account| account.address == reverter);
    assert!(looked_at, "as what a transaction that reverts looked at");
}

#[test]
fn contract_deployed_and_called_in_one_block() {
    let mut chain = TestChain::heddle(&[]);
    let contract = chain.signer.address().create(0);
    let call = |nonce| chain.transaction(nonce, TxKind::Call(contract), 0, Bytes::new());
    let deploy = chain.transaction(0, TxKind::Create, 0, init_code(COUNTER));
    let outcome = run(&chain, &[deploy, call(1), call(2)]).unwrap();

    assert!(outcome.receipts.iter().all(|receipt| receipt.status()));
    assert_eq!(outcome.changes.code[&keccak256(COUNTER)], Bytes::from_static(COUNTER));
    assert!(!outcome.changes.accounts[&contract].storage_wiped);
    chain.state.apply(&outcome.changes);
    assert_eq!(chain.state.slot(contract, 0), U256::from(2));
    assert_eq!(outcome.receipts[2].cumulative_gas_used(), outcome.gas_used);
}

#[test]
fn revert_keeps_the_fee_and_nothing_else() {
    let chain = TestChain::heddle(&[(address(0xc0), REVERTER)]);
    let outcome = run(&chain, &[chain.transfer(0, address(0xc0), ETHER)]).unwrap();
    assert!(!outcome.receipts[0].status());
    assert!(outcome.receipts[0].logs().is_empty());
    assert!(!outcome.changes.accounts.contains_key(&address(0xc0)));
    assert_eq!(outcome.changes.accounts[&chain.signer.address()].account.unwrap().nonce, 1);
}

#[test]
fn delegation_is_code_that_is_set_and_cleared() {
    let mut chain = TestChain::heddle(&[(address(0xc0), COUNTER)]);
    let delegator = signer(7);
    let delegate = |chain: &TestChain, nonce, to| {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: to, nonce };
        let signature = delegator.sign_hash_sync(&authorization.signature_hash()).unwrap();
        let transaction = TxEip7702 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 200_000,
            max_fee_per_gas: 10_000_000_000,
            to: delegator.address(),
            authorization_list: vec![authorization.into_signed(signature)],
            ..TxEip7702::default()
        };
        sign(&chain.signer, transaction)
    };
    let outcome = run(&chain, &[delegate(&chain, 0, address(0xc0))]).unwrap();
    chain.state.apply(&outcome.changes);
    let account = chain.state.accounts[&delegator.address()];
    assert_eq!(chain.state.code[&account.code_hash].as_ref(), [&[0xef, 0x01, 0x00][..], &[0xc0; 20]].concat());
    assert_eq!(chain.state.slot(delegator.address(), 0), U256::from(1), "the delegate's code ran");

    let outcome = run(&chain, &[delegate(&chain, 1, Address::ZERO)]).unwrap();
    assert!(!outcome.changes.accounts[&delegator.address()].account.unwrap().has_code());
    assert!(outcome.changes.code.is_empty());
}

#[test]
fn system_contracts_store_parent_hash_and_parent_certificate() {
    let mut chain = TestChain::heddle(&[]);
    let header = chain.next_header();
    let outcome = run(&chain, &[]).unwrap();
    assert_eq!(outcome.gas_used, 0, "system calls are free");
    chain.state.apply(&outcome.changes);
    // EIP-2935: slot (number - 1) % 8191.
    assert_eq!(chain.state.slot(HISTORY_STORAGE_ADDRESS, 0), U256::from_be_bytes(chain.genesis.hash().0));
    // EIP-4788: the timestamp at timestamp % 8191, the root 8191 slots later.
    assert_eq!(chain.state.slot(BEACON_ROOTS_ADDRESS, 7), U256::from(7));
    assert_eq!(
        chain.state.slot(BEACON_ROOTS_ADDRESS, 7 + 8191),
        U256::from_be_bytes(header.parent_beacon_block_root.unwrap().0)
    );
}

#[test]
fn block_without_request_contracts_is_invalid() {
    let mut chain = TestChain::heddle(&[]);
    chain.state.accounts.remove(&WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
    let error = run(&chain, &[]).unwrap_err();
    assert!(matches!(error, ExecutionError::MissingSystemContract(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS)), "{error}");
    assert!(error.is_invalid_block());
}

#[test]
fn amsterdam_block_without_builder_contracts_is_invalid() {
    let mut chain = TestChain::amsterdam();
    run(&chain, &[]).unwrap();
    chain.state.accounts.remove(&BUILDER_EXIT_CONTRACT_ADDRESS);
    let error = run(&chain, &[]).unwrap_err();
    assert!(matches!(error, ExecutionError::MissingSystemContract(BUILDER_EXIT_CONTRACT_ADDRESS)), "{error}");
}

#[test]
fn withdrawal_request_reaches_the_requests() {
    let chain = TestChain::heddle(&[]);
    // 48 bytes of public key, 8 of amount; the fee is 1 wei while nobody queues.
    let input = Bytes::from(vec![0x11; 56]);
    let request = chain.transaction(0, TxKind::Call(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS), 1, input);
    let outcome = run(&chain, &[request]).unwrap();
    assert!(outcome.receipts[0].status());
    assert_eq!(outcome.requests.len(), 1);
    assert_eq!(outcome.requests[0][0], 0x01, "EIP-7002 request type");
    assert_eq!(&outcome.requests[0][1..21], chain.signer.address().as_slice());
}

#[test]
fn access_list_names_every_access_with_its_index() {
    let contract = address(0xc0);
    let chain = TestChain::heddle(&[(contract, COUNTER)]);
    let transactions =
        [chain.transfer(0, address(0xaa), 5), chain.transaction(1, TxKind::Call(contract), 0, Bytes::new())];
    let outcome = run(&chain, &transactions).unwrap();
    let list = outcome.access_list.as_ref().unwrap();
    assert!(list.is_sorted_by_key(|account| account.address));

    let of = |address| list.iter().find(|account| account.address == address).unwrap();
    let nonces: Vec<_> = of(chain.signer.address()).nonce_changes.iter().map(|change| change.new_nonce).collect();
    assert_eq!(nonces, [1, 2]);
    assert_eq!(of(address(0xaa)).balance_changes[0].block_access_index, BlockAccessIndex::new(1));
    let write = &of(contract).storage_changes[0].changes[0];
    assert_eq!((write.block_access_index, write.new_value), (BlockAccessIndex::new(2), U256::from(1)));
    let system = &of(HISTORY_STORAGE_ADDRESS).storage_changes[0].changes[0];
    assert_eq!(system.block_access_index, BlockAccessIndex::PRE_EXECUTION);
    assert!(!of(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS).storage_reads.is_empty());

    assert_eq!(run(&chain, &transactions).unwrap(), outcome, "execution is a function of its arguments");
}

#[test]
fn invalid_transaction_is_named() {
    let chain = TestChain::heddle(&[]);
    let gap = chain.transfer(5, address(0xaa), 1);
    let error = run(&chain, &[chain.transfer(0, address(0xaa), 1), gap.clone()]).unwrap_err();
    let ExecutionError::InvalidTransaction { index: 1, hash, error: reason } = &error else { panic!("{error}") };
    assert_eq!((hash, &**reason), (gap.tx_hash(), &TransactionError::NonceTooHigh { got: 5, expected: 1 }));
    assert!(error.is_invalid_block());

    let thirsty = sign(&chain.signer, alloy_consensus::TxEip1559 { gas_limit: 40_000_000, ..transaction() });
    let error = run(&chain, &[thirsty]).unwrap_err();
    assert!(error.is_invalid_block(), "{error}");

    let poor = sign(&signer(7), transaction());
    assert!(run(&chain, &[poor]).unwrap_err().is_invalid_block());
}

#[test]
fn failing_disk_is_never_the_blocks_fault() {
    let mut chain = TestChain::heddle(&[(address(0xc0), COUNTER)]);
    let transactions = [chain.transaction(0, TxKind::Call(address(0xc0)), 0, Bytes::new())];
    let places = [
        chain.signer.address(),
        address(0xc0),
        HISTORY_STORAGE_ADDRESS,
        BEACON_ROOTS_ADDRESS,
        WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    ];
    for place in places {
        chain.state.fails_at = Some(place);
        let error = run(&chain, &transactions).unwrap_err();
        assert!(matches!(error, ExecutionError::State(_)), "{place}: {error}");
        assert!(!error.is_invalid_block());
    }
}

#[test]
fn selfdestruct_before_cancun_wipes_the_storage() {
    let chain = TestChain::shanghai(&[(address(0xc0), SELF_DESTRUCT)]);
    let header = plain_header(&chain);
    let call = chain.transaction(0, TxKind::Call(address(0xc0)), 0, Bytes::new());
    let outcome = execute(&chain.rules, &chain.state, &BlockContext::new(&header), &[call], Mode::Sequential).unwrap();
    let change = &outcome.changes.accounts[&address(0xc0)];
    assert_eq!((change.account, change.storage_wiped, change.storage.len()), (None, true, 0));
}

#[test]
fn withdrawals_are_credited_in_gwei() {
    let chain = TestChain::shanghai(&[]);
    let header = plain_header(&chain);
    let withdrawals = [Withdrawal { index: 0, validator_index: 0, address: address(0xaa), amount: 3 }];
    let context = BlockContext { withdrawals: &withdrawals, ..BlockContext::new(&header) };
    let outcome = execute(&chain.rules, &chain.state, &context, &[], Mode::Sequential).unwrap();
    assert_eq!(outcome.changes.accounts[&address(0xaa)].account.unwrap().balance, U256::from(3_000_000_000u64));
}

fn plain_header(chain: &TestChain) -> Header {
    let parent = chain.genesis.header();
    Header {
        parent_hash: parent.seal(),
        number: 1,
        timestamp: 12,
        gas_limit: parent.gas_limit,
        base_fee_per_gas: crate::next_base_fee(&chain.rules, parent),
        ..Header::default()
    }
}
