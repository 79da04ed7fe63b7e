//! What revm does not know.

use super::chain::{TestChain, address, init_code, sign};
use crate::database::ReaderDatabase;
use crate::machine::Machine;
use crate::{CallStatus, TransactionOutcome, transact};
use alloy_consensus::TxLegacy;
use alloy_evm::Evm;
use alloy_primitives::{Bytes, TxKind, U256};
use heddle_primitives::{Account, Header, RecoveredTransaction};
use revm::{Inspector, context::ContextTr, interpreter::Interpreter};

/// Writes 1, 2, and 1 again to slot 9, which holds 1.
const REWRITER: &[u8] = &[0x60, 1, 0x60, 9, 0x55, 0x60, 2, 0x60, 9, 0x55, 0x60, 1, 0x60, 9, 0x55];

fn legacy(chain: &TestChain, to: TxKind, input: Bytes) -> RecoveredTransaction {
    sign(&chain.signer, TxLegacy { gas_price: 1 << 32, gas_limit: 200_000, to, input, ..TxLegacy::default() })
}

/// Counts instructions.
#[derive(Default)]
struct Counter(usize);

impl<C: ContextTr> Inspector<C> for Counter {
    fn step(&mut self, _interpreter: &mut Interpreter, _context: &mut C) {
        self.0 += 1;
    }
}

/// Runs a transaction, also with an inspector looking on, which makes no difference; and says how many instructions it
/// saw.
fn run(chain: &TestChain, header: &Header, transaction: &RecoveredTransaction) -> (TransactionOutcome, usize) {
    let outcome = transact(&chain.rules, &chain.state, header, transaction).unwrap();
    let (environment, state) = (chain.rules.environment(header), ReaderDatabase::new(&chain.state).into_cache());
    let machine = Machine::new(state, environment, chain.rules.is_constantinople_only(header));
    let mut machine = machine.inspected_by(Counter::default());
    let inspected = machine.transact(transaction).unwrap().result;
    assert_eq!(inspected.tx_gas_used(), outcome.gas_used);
    assert_eq!(crate::call::outcome(inspected).status, outcome.status);
    (outcome, machine.inspector().0)
}

#[test]
fn contract_is_not_created_over_left_storage() {
    let mut chain = TestChain::shanghai(&[]);
    let header = Header { number: 1, timestamp: 12, gas_limit: 30_000_000, ..Header::default() };
    let create = legacy(&chain, TxKind::Create, init_code(&[0x00]));
    let created = chain.signer.address().create(0);
    let run = |chain: &TestChain| run(chain, &header, &create).0;

    chain.state.accounts.insert(created, Account { balance: U256::from(1), ..Account::default() });
    assert_eq!(run(&chain).status, CallStatus::Success, "a balance is no obstacle");

    chain.state.storage.insert((created, U256::from(7)), U256::from(1));
    let outcome = run(&chain);
    assert_eq!(outcome.status, CallStatus::Halt("contract address collision".to_owned()));
    assert_eq!(outcome.gas_used, 200_000);
    assert!(!outcome.changes.accounts.contains_key(&created));
    assert_eq!(outcome.changes.accounts[&chain.signer.address()].account.unwrap().nonce, 1);
}

#[test]
fn constantinople_alone_meters_net_storage_changes() {
    let gas = |forks: &str| {
        let config =
            format!(r#""homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,"byzantiumBlock":0{forks}"#);
        let chain = TestChain::with_config(&config, &[(address(0xc0), REWRITER)]);
        let header =
            Header { number: 1, timestamp: 12, gas_limit: 30_000_000, difficulty: U256::from(1), ..Header::default() };
        let call = legacy(&chain, TxKind::Call(address(0xc0)), Bytes::new());
        let (outcome, instructions) = run(&chain, &header, &call);
        assert_eq!(instructions, REWRITER.len() / 5 * 3 + 1, "two of PUSH and one SSTORE, three times, and the end");
        outcome.gas_used
    };
    let pushes = 6 * 3;
    assert_eq!(gas(""), 21_000 + pushes + 3 * 5_000);
    assert_eq!(gas(r#","constantinopleBlock":0"#), 21_000 + pushes + 3 * 5_000, "Petersburg comes along");
    let constantinople = gas(r#","constantinopleBlock":0,"petersburgBlock":2"#);
    // 200 for no change, 5,000 for the first, 200 for setting it back, which refunds 4,800.
    assert_eq!(constantinople, 21_000 + pushes + 200 + 5_000 + 200 - 4_800);
}
