//! Real blocks of Ethereum's mainnet, from Frontier to Osaka, on the parts of the state that they read.
//!
//! `heddle_workload::mainnet` says where the files are; without them the test says so and passes.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use alloy_primitives::{Address, U64};
use heddle_evm::{
    BlockContext, ChainRules, ExecutionOutcome, Mode, execute, record_access_list, validate_body, validate_outcome,
};
use heddle_primitives::{Account, AccountChange};
use heddle_workload::mainnet::{self, MainnetBlock};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// What the file says of accounts after the block, in the form of changes to those before.
fn expected_changes(expect: &Value) -> Option<BTreeMap<Address, AccountChange>> {
    let change = |(address, entry): (&String, &Value)| {
        let account = |entry: &Value| Account {
            nonce: parse::<U64>(&entry["nonce"]).to(),
            balance: parse(&entry["balance"]),
            code_hash: parse(&entry["codeHash"]),
        };
        let slots = entry["storage"].as_object().into_iter().flatten();
        let change = AccountChange {
            account: (!entry.is_null()).then(|| account(entry)),
            storage_wiped: entry["wiped"].as_bool().unwrap_or(false),
            storage: slots.map(|(slot, value)| (slot.parse().unwrap(), parse(value))).collect(),
        };
        (address.parse().unwrap(), change)
    };
    Some(expect.get("post")?.as_object().unwrap().iter().map(change).collect())
}

fn check(rules: &ChainRules, path: &Path) -> String {
    let block = MainnetBlock::read(rules, path).unwrap();
    let name = &block.name;
    if block.has_ommers {
        validate_body(rules, &block.block).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let context = BlockContext::of(&block.block);
    let run = |mode| {
        execute(rules, &block.state, &context, &block.transactions, mode)
            .unwrap_or_else(|error| panic!("{name}, {mode:?}: {error}"))
    };
    let outcome = run(Mode::Sequential);
    compare(name, rules, &block, &outcome);
    let list = record_access_list(rules, &block.state, &context, &block.transactions).unwrap().access_list.unwrap();
    for threads in [1, 2, 4].map(|threads| NonZeroUsize::new(threads).unwrap()) {
        let speculative = run(Mode::Parallel { threads, hints: None });
        assert!(speculative == outcome, "{name}: {threads} threads differ from the sequential outcome");
        let listed = run(Mode::AccessList { list: &list, threads });
        assert!(listed == outcome, "{name}: by its access list {threads} threads differ from the sequential outcome");
    }
    format!("{name}: {} transactions", block.transactions.len())
}

fn compare(name: &str, rules: &ChainRules, block: &MainnetBlock, outcome: &ExecutionOutcome) {
    let gas: Vec<u64> = outcome
        .receipts
        .iter()
        .scan(0, |before, receipt| {
            let gas = receipt.cumulative_gas_used() - *before;
            *before = receipt.cumulative_gas_used();
            Some(gas)
        })
        .collect();
    let MainnetBlock { block: alloy_consensus::Block { header, .. }, expect, transactions, .. } = block;
    assert_eq!(outcome.gas_used, header.gas_used, "{name}");
    assert_eq!(outcome.logs_bloom(), header.logs_bloom, "{name}");
    assert_eq!(outcome.receipts.len(), transactions.len(), "{name}");
    if let Some(expected) = expect.get("txGasUsed") {
        assert_eq!(gas, parse::<Vec<u64>>(expected), "{name}");
    }
    if let Some(expected) = expect.get("txStatus") {
        let status: Vec<u64> = outcome.receipts.iter().map(|receipt| receipt.status().into()).collect();
        assert_eq!(status, parse::<Vec<u64>>(expected), "{name}");
        validate_outcome(rules, header, outcome).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    if let Some(expected) = expected_changes(expect) {
        assert_eq!(outcome.changes.accounts.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (address, change) in &expected {
            assert_eq!(&outcome.changes.accounts[address], change, "{name}, {address}");
        }
    }
}

#[test]
fn mainnet_blocks_execute_as_they_did() {
    let Some(paths) = mainnet::files().unwrap() else {
        println!("skipped: no fixtures");
        return;
    };
    assert!(!paths.is_empty(), "a folder without blocks");
    let rules = mainnet::rules();
    let reports: Vec<_> = paths.par_iter().map(|path| check(&rules, path)).collect();
    println!("{}", reports.join("\n"));
}
