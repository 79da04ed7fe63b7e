//! Real blocks of Ethereum's mainnet, from Frontier to Osaka, on the parts of the state that they read.
//!
//! The blocks are in the folder `mainnet-blocks` of `$HEDDLE_FIXTURES`, by default `../shared/fixtures` beside the
//! repository; without it the test says so and passes.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use alloy_consensus::{BlockBody, transaction::Recovered};
use alloy_eips::{eip2718::Decodable2718, eip4895::Withdrawals};
use alloy_primitives::{Address, B256, Bytes, U64, U256, keccak256};
use alloy_rlp::Decodable;
use flate2::read::GzDecoder;
use heddle_evm::{
    BlockContext, ChainRules, Code, ExecutionOutcome, Mode, StateError, StateReader, execute, recover_sender,
    system_contracts, validate_body, validate_outcome,
};
use heddle_primitives::{
    Account, AccountChange, Block, Genesis, Header, RecoveredTransaction, StateChanges, Transaction,
};
use rayon::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

static RULES: LazyLock<ChainRules> = LazyLock::new(|| {
    let genesis = r#"{"config":{"chainId":1,"homesteadBlock":1150000,"daoForkBlock":1920000,"daoForkSupport":true,
        "eip150Block":2463000,"eip155Block":2675000,"eip158Block":2675000,"byzantiumBlock":4370000,
        "constantinopleBlock":7280000,"petersburgBlock":7280000,"istanbulBlock":9069000,"muirGlacierBlock":9200000,
        "berlinBlock":12244000,"londonBlock":12965000,"arrowGlacierBlock":13773000,"grayGlacierBlock":15050000,
        "terminalTotalDifficulty":58750000000000000000000,"shanghaiTime":1681338455,"cancunTime":1710338135,
        "pragueTime":1746612311,"osakaTime":1764798551,"bpo1Time":1765290071,"bpo2Time":1767747671,
        "depositContractAddress":"0x00000000219ab540356cbb839cbe05303d7705fa","blobSchedule":{
            "cancun":{"target":3,"max":6,"baseFeeUpdateFraction":3338477},
            "prague":{"target":6,"max":9,"baseFeeUpdateFraction":5007716},
            "osaka":{"target":6,"max":9,"baseFeeUpdateFraction":5007716},
            "bpo1":{"target":10,"max":15,"baseFeeUpdateFraction":8346193},
            "bpo2":{"target":14,"max":21,"baseFeeUpdateFraction":11684671}}},
        "gasLimit":"0x1388","difficulty":"0x400000000","alloc":{}}"#;
    ChainRules::new(&Genesis::from_json(genesis).unwrap())
});

/// The state that a block reads, as its file lists it: what is not listed does not exist, or is zero.
#[derive(Default)]
struct PartialState {
    accounts: HashMap<Address, Account>,
    storage: HashMap<(Address, U256), U256>,
    code: HashMap<B256, Bytes>,
    block_hashes: HashMap<u64, B256>,
}

impl PartialState {
    fn of(file: &Value) -> Self {
        let mut state = Self::default();
        for (address, entry) in file["pre"].as_object().unwrap() {
            let code: Bytes = parse(&entry["code"]);
            let code_hash = entry.get("codeHash").map_or_else(|| keccak256(&code), parse);
            let account =
                Account { nonce: parse::<U64>(&entry["nonce"]).to(), balance: parse(&entry["balance"]), code_hash };
            let address: Address = address.parse().unwrap();
            state.accounts.insert(address, account);
            state.code.insert(code_hash, code);
            for (slot, value) in entry["storage"].as_object().unwrap() {
                state.storage.insert((address, slot.parse().unwrap()), parse(value));
            }
        }
        for (number, hash) in file["block_hashes"].as_object().unwrap() {
            state.block_hashes.insert(number.parse().unwrap(), parse(hash));
        }
        state.add_request_contracts();
        state
    }

    /// Some files leave out the contracts of EIP-7002 and EIP-7251, without which no block from Prague on is valid.
    fn add_request_contracts(&mut self) {
        for (address, contract) in system_contracts().into_iter().skip(2) {
            let code = contract.code.unwrap();
            let account = Account { nonce: 1, balance: U256::ZERO, code_hash: keccak256(&code) };
            self.code.insert(account.code_hash, code);
            self.accounts.entry(address).or_insert(account);
        }
    }
}

impl StateReader for PartialState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        Ok(self.accounts.get(&address).copied())
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        Ok(self.storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        Ok(Code::new(self.code[&hash].clone()))
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        Ok(self.storage.iter().any(|((owner, _), value)| *owner == address && !value.is_zero()))
    }

    fn block_hash(&self, number: u64) -> Result<B256, StateError> {
        Ok(self.block_hashes[&number])
    }

    /// The rest of the trie is not in the file.
    fn root_with(&self, _changes: &StateChanges) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

/// The block; where the file does not know its ommers, without them: rewards are not compared then.
fn block(file: &Value) -> Block {
    let header: Header = parse(&file["header"]);
    assert_eq!(header.hash_slow(), parse::<B256>(&file["hash"]));
    let transaction = |value: &Value| Transaction::decode_2718_exact(&parse::<Bytes>(value)).unwrap();
    let transactions = file["transactions"].as_array().unwrap().iter().map(transaction).collect();
    let ommer = |value: &Value| Header::decode(&mut parse::<Bytes>(value).as_ref()).unwrap();
    let ommers = file["ommers"].as_array().map(|ommers| ommers.iter().map(ommer).collect()).unwrap_or_default();
    let withdrawals = parse::<Option<Withdrawals>>(&file["withdrawals"]);
    Block { header, body: BlockBody { transactions, ommers, withdrawals } }
}

/// What the file says of accounts after the block, in the form of changes to those before.
fn expected_changes(file: &Value) -> Option<BTreeMap<Address, AccountChange>> {
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
    Some(file["expect"].get("post")?.as_object().unwrap().iter().map(change).collect())
}

fn check(path: &Path) -> String {
    let name = path.file_name().unwrap().to_string_lossy();
    let file: Value = serde_json::from_reader(GzDecoder::new(std::fs::File::open(path).unwrap())).unwrap();
    let block = block(&file);
    if !file["ommers"].is_null() {
        validate_body(&RULES, &block).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let recovered = |transaction: &Transaction| {
        let sender = recover_sender(&RULES, block.header.number, transaction).unwrap();
        Recovered::new_unchecked(transaction.clone(), sender)
    };
    let transactions: Vec<_> = block.body.transactions.iter().map(recovered).collect();
    let state = PartialState::of(&file);
    let run = |mode| {
        execute(&RULES, &state, &BlockContext::of(&block), &transactions, mode)
            .unwrap_or_else(|error| panic!("{name}, {mode:?}: {error}"))
    };
    let outcome = run(Mode::Sequential);
    compare(&name, &file, &block, &transactions, &outcome);
    for threads in [1, 2, 4].map(|threads| NonZeroUsize::new(threads).unwrap()) {
        let mode = Mode::Parallel { threads, hints: None };
        assert!(run(mode) == outcome, "{name}: {mode:?} differs from the sequential outcome");
    }
    format!("{name}: {} transactions", transactions.len())
}

fn compare(name: &str, file: &Value, block: &Block, transactions: &[RecoveredTransaction], outcome: &ExecutionOutcome) {
    let gas: Vec<u64> = outcome
        .receipts
        .iter()
        .scan(0, |before, receipt| {
            let gas = receipt.cumulative_gas_used() - *before;
            *before = receipt.cumulative_gas_used();
            Some(gas)
        })
        .collect();
    assert_eq!(outcome.gas_used, block.header.gas_used, "{name}");
    assert_eq!(outcome.logs_bloom(), block.header.logs_bloom, "{name}");
    assert_eq!(outcome.receipts.len(), transactions.len(), "{name}");
    let expect = &file["expect"];
    if let Some(expected) = expect.get("txGasUsed") {
        assert_eq!(gas, parse::<Vec<u64>>(expected), "{name}");
    }
    if let Some(expected) = expect.get("txStatus") {
        let status: Vec<u64> = outcome.receipts.iter().map(|receipt| receipt.status().into()).collect();
        assert_eq!(status, parse::<Vec<u64>>(expected), "{name}");
        validate_outcome(&RULES, &block.header, outcome).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    if let Some(expected) = expected_changes(file) {
        assert_eq!(outcome.changes.accounts.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{name}");
        for (address, change) in &expected {
            assert_eq!(&outcome.changes.accounts[address], change, "{name}, {address}");
        }
    }
}

#[test]
fn mainnet_blocks_execute_as_they_did() {
    let fixtures = std::env::var_os("HEDDLE_FIXTURES").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = fixtures.unwrap_or_else(beside).join("mainnet-blocks");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no fixtures");
        return;
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    assert!(!paths.is_empty(), "no blocks in {}", folder.display());
    let reports: Vec<_> = paths.par_iter().map(|path| check(path)).collect();
    println!("{}", reports.join("\n"));
}
