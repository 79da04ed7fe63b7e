//! The random blocks do what they are for: without this, a world in which every transaction fails would agree too.

use crate::contracts;
use crate::plan::{Block, NUMBER_FIRST, case};
use crate::world::child;
use alloy_consensus::{TxReceipt, Typed2718};
use alloy_primitives::Address;
use heddle_evm::{ExecutionError, ExecutionOutcome, Mode, execute};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;

const CASES: usize = 900;

/// How often each thing happened that an executor can get wrong.
#[derive(Default)]
struct Tally(BTreeMap<String, usize>);

impl Tally {
    fn add(&mut self, what: impl Into<String>, times: usize) {
        *self.0.entry(what.into()).or_default() += times;
    }

    fn of(&self, what: &str) -> usize {
        self.0.get(what).copied().unwrap_or_default()
    }

    fn add_valid(&mut self, block: &Block, outcome: &ExecutionOutcome) {
        self.add("valid blocks", 1);
        self.add("transactions", block.transactions.len());
        let end = if outcome.has_call_failed { "failed" } else { "made" };
        self.add(format!("calls by the chain {end}"), usize::from(block.context().call.is_some()));
        for transaction in &block.transactions {
            self.add(format!("transactions of type {}", transaction.ty()), 1);
        }
        self.add("successes", outcome.receipts.iter().filter(|receipt| receipt.status()).count());
        self.add("logs", outcome.receipts.iter().map(|receipt| receipt.logs().len()).sum());
        for receipt in &outcome.receipts {
            receipt.logs().iter().for_each(|log| self.add(work_of(log.address), 1));
        }
        for (address, change) in &outcome.changes.accounts {
            self.add(work_of(*address), change.storage.len());
            self.add("accounts removed", usize::from(change.account.is_none()));
            self.add("accounts wiped and there again", usize::from(change.storage_wiped && change.account.is_some()));
        }
        for code in outcome.changes.code.values() {
            self.add(if code.starts_with(&[0xef, 1, 0]) { "delegations" } else { "codes" }, 1);
        }
        for request in outcome.requests.iter() {
            self.add(format!("requests of type {}", request[0]), 1);
        }
    }

    fn add_invalid(&mut self, error: &ExecutionError) {
        let kind = match error {
            ExecutionError::InvalidTransaction { error, .. } => format!("{error:?}"),
            error => format!("{error:?}"),
        };
        let kind = kind.split(|letter: char| !letter.is_alphanumeric()).next().unwrap();
        self.add(format!("error {kind}"), 1);
    }
}

/// What a contract logs or writes.
fn work_of(address: Address) -> String {
    format!("work of {address}")
}

fn tally() -> Tally {
    let mut tally = Tally::default();
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRunner::deterministic().new_rng());
    for _ in 0..CASES {
        let case = case().new_tree(&mut runner).unwrap().current();
        let chain = case.chain();
        let mut state = chain.state.clone();
        for (index, plan) in case.blocks.iter().enumerate() {
            let block = plan.block(chain, &state, NUMBER_FIRST + index as u64);
            match execute(&chain.rules, &state, &block.context(), &block.transactions, Mode::Sequential) {
                Ok(outcome) => {
                    tally.add_valid(&block, &outcome);
                    state.apply(&outcome.changes);
                }
                Err(error) => {
                    tally.add_invalid(&error);
                    break;
                }
            }
        }
    }
    tally
}

#[test]
fn random_blocks_do_what_they_are_for() {
    let tally = tally();
    assert!(tally.of("valid blocks") > CASES / 2);
    assert!(tally.of("transactions") > 5 * tally.of("valid blocks"));
    assert!(tally.of("successes") > tally.of("transactions") / 2);
    let happens = |what: &str| assert!(tally.of(what) > 0, "no {what}: {:#?}", tally.0);
    ["logs", "accounts removed", "accounts wiped and there again", "codes", "delegations"]
        .iter()
        .for_each(|what| happens(what));
    ["made", "failed"].iter().for_each(|end| happens(&format!("calls by the chain {end}")));
    (0..5).for_each(|kind| happens(&format!("transactions of type {kind}")));
    (0..3).for_each(|kind| happens(&format!("requests of type {kind}")));
    // The last one's work is always undone.
    (0..contracts::COUNT - 1).for_each(|index| happens(&work_of(contracts::address(index))));
    // Nothing can be created at the second child's address.
    [0, 2].iter().for_each(|salt| happens(&work_of(child(*salt))));
    let errors = [
        "NonceTooHigh",
        "NonceTooLow",
        "Funds",
        "BlockGas",
        "IntrinsicGas",
        "ChainId",
        "BaseFee",
        "TypeNotActive",
        "SenderCode",
        "Rule",
    ];
    errors.iter().for_each(|kind| happens(&format!("error {kind}")));
}
