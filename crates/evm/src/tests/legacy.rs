//! Rules of the time of proof of work.

use super::chain::{ETHER, FEE_RECIPIENT, SELF_DESTRUCT, TestChain, address, sign};
use crate::{BlockContext, ExecutionOutcome, Mode, RuleError, execute, validate_header, validate_merge};
use alloy_consensus::{Eip658Value, TxLegacy};
use alloy_evm::eth::dao_fork::{DAO_HARDFORK_ACCOUNTS, DAO_HARDFORK_BENEFICIARY};
use alloy_primitives::{Bytes, U256};
use heddle_primitives::{Account, Header, Receipt, RecoveredTransaction};

fn header(chain: &TestChain) -> Header {
    let parent = chain.genesis.header();
    Header {
        parent_hash: parent.seal(),
        number: 1,
        timestamp: 12,
        gas_limit: parent.gas_limit,
        difficulty: U256::from(0x20000),
        beneficiary: FEE_RECIPIENT,
        ..Header::default()
    }
}

fn run(chain: &TestChain, header: &Header, transactions: &[RecoveredTransaction]) -> ExecutionOutcome {
    execute(&chain.rules, &chain.state, &BlockContext::new(header), transactions, Mode::Sequential).unwrap()
}

fn transfer(chain: &TestChain, nonce: u64, value: u64) -> RecoveredTransaction {
    let transaction = TxLegacy {
        nonce,
        gas_price: 1,
        gas_limit: 21_000,
        to: address(0xaa).into(),
        value: U256::from(value),
        ..TxLegacy::default()
    };
    sign(&chain.signer, transaction)
}

fn state_after(receipt: &Receipt) -> Option<alloy_primitives::B256> {
    match receipt.as_receipt().unwrap().status {
        Eip658Value::PostState(root) => Some(root),
        Eip658Value::Eip658(_) => None,
    }
}

#[test]
fn receipts_hold_the_state_root_after_their_transaction_until_byzantium() {
    let chain = TestChain::with_config(r#""homesteadBlock":0"#, &[]);
    let header = header(&chain);
    let transactions = [transfer(&chain, 0, 5), transfer(&chain, 1, 6)];
    let outcome = run(&chain, &header, &transactions);

    let mut state = chain.state.clone();
    for (transaction, receipt) in transactions.iter().zip(&outcome.receipts) {
        let alone = crate::transact(&chain.rules, &state, &header, transaction).unwrap();
        state.apply(&alone.changes);
        assert_eq!(state_after(receipt), Some(state.root()));
    }
    state.accounts.get_mut(&FEE_RECIPIENT).unwrap().balance += U256::from(5 * ETHER);
    let mut after_block = chain.state.clone();
    after_block.apply(&outcome.changes);
    assert_eq!(after_block.root(), state.root(), "the block adds its reward, once");

    let byzantium = TestChain::with_config(r#""homesteadBlock":0,"byzantiumBlock":1"#, &[]);
    let outcome = run(&byzantium, &header, &transactions);
    assert!(outcome.receipts.iter().all(|receipt| state_after(receipt).is_none() && receipt.status()));
}

#[test]
fn destroyed_and_funded_again_in_one_block() {
    let contract = address(0xc0);
    let chain = TestChain::with_config(r#""eip150Block":99"#, &[(contract, SELF_DESTRUCT)]);
    let header = header(&chain);
    let to_contract = |nonce, value| {
        let transaction =
            TxLegacy { nonce, gas_price: 1, gas_limit: 50_000, to: contract.into(), ..TxLegacy::default() };
        sign(&chain.signer, TxLegacy { value: U256::from(value), ..transaction })
    };
    let transactions = [to_contract(0, 3), to_contract(1, 4), to_contract(2, 0)];
    let outcome = run(&chain, &header, &transactions);
    let mut state = chain.state.clone();
    for (transaction, receipt) in transactions.iter().zip(&outcome.receipts) {
        state.apply(&crate::transact(&chain.rules, &state, &header, transaction).unwrap().changes);
        assert_eq!(state_after(receipt), Some(state.root()));
    }
    let change = &outcome.changes.accounts[&contract];
    assert_eq!(change.account, Some(Account { balance: U256::from(4), ..Account::default() }));
    assert!(change.storage_wiped && change.storage.is_empty());
}

#[test]
fn empty_accounts_exist_until_spurious_dragon() {
    let chain = TestChain::with_config(r#""homesteadBlock":0"#, &[]);
    let outcome = run(&chain, &header(&chain), &[transfer(&chain, 0, 0)]);
    assert_eq!(outcome.changes.accounts[&address(0xaa)].account, Some(Account::default()));

    let config = r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0"#;
    let mut chain = TestChain::with_config(config, &[]);
    chain.state.accounts.insert(address(0xaa), Account::default());
    let outcome = run(&chain, &header(&chain), &[transfer(&chain, 0, 0)]);
    assert_eq!(outcome.changes.accounts[&address(0xaa)].account, None, "touched, so deleted");
}

#[test]
fn dao_fork_moves_balances_before_the_first_transaction() {
    let mut chain = TestChain::with_config(r#""homesteadBlock":0,"daoForkBlock":1,"daoForkSupport":true"#, &[]);
    let [poor, rich] = [DAO_HARDFORK_ACCOUNTS[0], DAO_HARDFORK_ACCOUNTS[1]];
    chain.state.accounts.insert(poor, Account { balance: U256::from(7), ..Account::default() });
    chain.state.accounts.insert(rich, Account { balance: U256::from(5), nonce: 1, ..Account::default() });
    let transaction = TxLegacy { gas_price: 1, gas_limit: 21_000, to: poor.into(), ..TxLegacy::default() };
    let transaction = sign(&chain.signer, TxLegacy { value: U256::from(3), ..transaction });
    let outcome = run(&chain, &header(&chain), &[transaction]);
    let balance = |address| outcome.changes.accounts[address].account.unwrap().balance.to::<u64>();
    assert_eq!((balance(&poor), balance(&rich), balance(&DAO_HARDFORK_BENEFICIARY)), (3, 0, 12));
    assert_eq!(outcome.changes.accounts[&DAO_HARDFORK_ACCOUNTS[2]].account, Some(Account::default()));
}

#[test]
fn each_side_of_the_dao_fork_marks_its_blocks() {
    let marked = |chain: &TestChain, marked: bool| {
        let extra_data = if marked { Bytes::from_static(b"dao-hard-fork") } else { Bytes::new() };
        validate_header(&chain.rules, chain.genesis.header(), &Header { extra_data, ..header(chain) })
    };
    let with = TestChain::with_config(r#""homesteadBlock":0,"daoForkBlock":1,"daoForkSupport":true"#, &[]);
    marked(&with, true).unwrap();
    assert_eq!(marked(&with, false), Err(RuleError::DaoExtraData(Bytes::new())));
    let without = TestChain::with_config(r#""homesteadBlock":0,"daoForkBlock":1"#, &[]);
    marked(&without, false).unwrap();
    assert!(matches!(marked(&without, true), Err(RuleError::DaoExtraData(_))));
    let later = TestChain::with_config(r#""homesteadBlock":0,"daoForkBlock":2,"daoForkSupport":true"#, &[]);
    marked(&later, false).unwrap();
}

#[test]
fn proof_of_work_ends_at_the_terminal_total_difficulty() {
    let chain = TestChain::with_config(r#""homesteadBlock":0,"terminalTotalDifficulty":262144"#, &[]);
    let work = header(&chain);
    let stake = Header { difficulty: U256::ZERO, ..work.clone() };
    assert!(!chain.rules.is_paris(&work) && chain.rules.is_paris(&stake));
    let (before, reached) = (U256::from(262_143), U256::from(262_144));
    validate_merge(&chain.rules, before, &work).unwrap();
    validate_merge(&chain.rules, reached, &stake).unwrap();
    assert!(matches!(validate_merge(&chain.rules, before, &stake), Err(RuleError::Merge { .. })));
    assert!(matches!(validate_merge(&chain.rules, reached, &work), Err(RuleError::Merge { .. })));

    let netsplit = r#""homesteadBlock":0,"terminalTotalDifficulty":262144,"mergeNetsplitBlock":1"#;
    let netsplit = TestChain::with_config(netsplit, &[]);
    let error = validate_header(&netsplit.rules, netsplit.genesis.header(), &work).unwrap_err();
    assert!(matches!(error, RuleError::ParentHash(_) | RuleError::Difficulty(_)), "{error}");
    assert!(run(&netsplit, &stake, &[]).changes.accounts.is_empty(), "no reward after the merge");
}
