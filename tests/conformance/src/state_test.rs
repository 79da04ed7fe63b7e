//! State tests: one transaction on a given state, under a given environment.

use crate::alloc::{Alloc, MemoryState};
use crate::exceptions;
use crate::message::{Indexes, Message};
use crate::network::{self, FixtureConfig, Fork, Network};
use crate::number::Number;
use crate::verdict::{Case, Refusal, Verdict};
use alloy_consensus::{constants::EMPTY_WITHDRAWALS, transaction::Recovered};
use alloy_eips::{eip2718::Decodable2718, eip7685::EMPTY_REQUESTS_HASH};
use alloy_genesis::Genesis as GenesisFile;
use alloy_primitives::{Address, B256, Bytes, Log, keccak256};
use heddle_evm::{ChainRules, TransactionOutcome, recover_sender, transact};
use heddle_primitives::{Header, Transaction};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Base fee of a London block whose environment names none; retesteth's, which filled such tests.
const BASE_FEE_DEFAULT: u64 = 10;

#[derive(Debug, Deserialize)]
struct StateTest {
    env: Environment,
    pre: Alloc,
    transaction: Message,
    post: BTreeMap<String, Vec<Post>>,
    config: Option<FixtureConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    current_coinbase: Address,
    current_gas_limit: Number,
    current_number: Number,
    current_timestamp: Number,
    #[serde(default)]
    current_difficulty: Number,
    current_random: Option<Number>,
    current_base_fee: Option<Number>,
    #[serde(default)]
    current_excess_blob_gas: Number,
    #[serde(alias = "currentSlotNumber", default)]
    slot_number: Number,
}

#[derive(Debug, Deserialize)]
struct Post {
    hash: B256,
    logs: B256,
    #[serde(default)]
    indexes: Indexes,
    txbytes: Option<Bytes>,
    #[serde(rename = "expectException")]
    expected_exception: Option<String>,
    /// The whole state, in fixtures of execution-spec-tests: only to explain a wrong root.
    state: Option<Alloc>,
    /// Without its gas in older fixtures.
    receipt: Option<PostReceipt>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostReceipt {
    cumulative_gas_used: Option<Number>,
}

/// Judges every fork and index of a test.
pub(crate) fn run(test: Value) -> Vec<Case> {
    let test: StateTest = match serde_json::from_value(test) {
        Ok(test) => test,
        Err(error) => return vec![Case::whole(Verdict::Failed(format!("not a state test: {error}")))],
    };
    let pre = MemoryState::new(&test.pre);
    let mut cases = Vec::new();
    for (network, posts) in &test.post {
        let rules = chain(network, test.config.as_ref());
        for (index, post) in posts.iter().enumerate() {
            let verdict = match (&pre, &rules) {
                (Ok(pre), Ok((fork, rules))) => {
                    Verdict::isolate(|| judge(&test, pre, *fork, rules, post).unwrap_or_else(Verdict::Failed))
                }
                (Err(error), _) | (_, Err(error)) => Verdict::Failed(error.clone()),
            };
            cases.push(Case { label: format!("{network}/{index} {}", post.indexes), verdict });
        }
    }
    cases
}

fn chain(network: &str, config: Option<&FixtureConfig>) -> Result<(Fork, ChainRules), String> {
    let chain = || {
        let network = Network::parse(network)?;
        let config = network.chain_config(config)?;
        let file = GenesisFile { config, gas_limit: 30_000_000, ..GenesisFile::default() };
        Ok((network.from, ChainRules::new(&network::genesis(&file)?)))
    };
    chain().map_err(|error: network::NetworkError| error.to_string())
}

fn judge(test: &StateTest, pre: &MemoryState, fork: Fork, rules: &ChainRules, post: &Post) -> Result<Verdict, String> {
    let header = test.env.header(fork).map_err(|error| format!("env: {error}"))?;
    let mut state = pre.clone();
    let outcome = execute(test, rules, &header, pre, post)?;
    let logs = match &outcome {
        Ok(outcome) => {
            state.apply(&outcome.changes);
            outcome.receipt.logs().to_vec()
        }
        Err(_) => Vec::new(),
    };
    // State tests are filled with a block reward of zero wei, which counts as a touch.
    if fork < Fork::SpuriousDragon {
        state.touch(header.beneficiary);
    }
    let verdict = match (&post.expected_exception, &outcome) {
        (None, Ok(_)) => Verdict::Passed,
        (None, Err(refusal)) => return Err(format!("expected a valid transaction, refused: {}", refusal.reason)),
        (Some(expected), Ok(_)) => return Err(format!("expected {expected}, but the transaction was executed")),
        (Some(expected), Err(refusal)) => refusal.judge(expected),
    };
    compare(post, &state, &logs, outcome.ok().as_ref())?;
    Ok(verdict)
}

fn execute(
    test: &StateTest,
    rules: &ChainRules,
    header: &Header,
    pre: &MemoryState,
    post: &Post,
) -> Result<Result<TransactionOutcome, Refusal>, String> {
    let transaction = match &post.txbytes {
        Some(bytes) => match Transaction::decode_2718_exact(bytes) {
            Ok(transaction) => {
                let contradiction = test.transaction.contradiction(post.indexes, &transaction);
                if let Some(contradiction) = contradiction.filter(|_| post.expected_exception.is_none()) {
                    return Err(contradiction);
                }
                transaction
            }
            Err(error) => return Ok(Err(Refusal::malformed(format!("txbytes: {error}")))),
        },
        None => match test.transaction.sign(post.indexes, rules.chain_id()) {
            Ok(transaction) => transaction,
            Err(error) => return Ok(Err(Refusal::malformed(error))),
        },
    };
    let transaction = match recover_sender(rules, header.number, &transaction) {
        Ok(sender) => Recovered::new_unchecked(transaction, sender),
        Err(error) => return Ok(Err(exceptions::transaction_refusal(&error))),
    };
    if let Some(sender) = test.transaction.sender.filter(|sender| *sender != transaction.signer()) {
        return Err(format!("expected sender {sender}, recovered {}", transaction.signer()));
    }
    match transact(rules, pre, header, &transaction) {
        Ok(outcome) => Ok(Ok(outcome)),
        Err(error) if error.is_invalid_block() => Ok(Err(exceptions::execution_refusal(&error))),
        Err(error) => Err(format!("our own failure: {error}")),
    }
}

fn compare(post: &Post, state: &MemoryState, logs: &[Log], outcome: Option<&TransactionOutcome>) -> Result<(), String> {
    let logs_hash = keccak256(alloy_rlp::encode(logs.to_vec()));
    if logs_hash != post.logs {
        return Err(format!("logs hash: expected {}, got {logs_hash} ({} logs)", post.logs, logs.len()));
    }
    let gas_used = post.receipt.as_ref().and_then(|receipt| receipt.cumulative_gas_used);
    if let (Some(gas_used), Some(outcome)) = (gas_used, outcome) {
        let expected: u64 = gas_used.narrow().map_err(|error| error.to_string())?;
        if expected != outcome.gas_used {
            return Err(format!("gas used: expected {expected}, got {}", outcome.gas_used));
        }
    }
    let root = state.root();
    if root == post.hash {
        return Ok(());
    }
    let expected = post.state.as_ref().and_then(|alloc| MemoryState::new(alloc).ok());
    let difference = expected.and_then(|expected| expected.difference(state));
    let difference = difference.map(|difference| format!(": {difference}")).unwrap_or_default();
    Err(format!("state root: expected {}, got {root}{difference}", post.hash))
}

impl Environment {
    fn header(&self, fork: Fork) -> Result<Header, crate::number::NumberError> {
        let paris = fork >= Fork::Paris;
        let london = fork >= Fork::London;
        let cancun = fork >= Fork::Cancun;
        let amsterdam = fork >= Fork::Amsterdam;
        let base_fee = self.current_base_fee.map_or(Ok(BASE_FEE_DEFAULT), Number::narrow)?;
        let random = B256::from(self.current_random.unwrap_or(self.current_difficulty).0);
        Ok(Header {
            beneficiary: self.current_coinbase,
            gas_limit: self.current_gas_limit.narrow()?,
            number: self.current_number.narrow()?,
            timestamp: self.current_timestamp.narrow()?,
            difficulty: if paris { Default::default() } else { self.current_difficulty.0 },
            mix_hash: if paris { random } else { B256::ZERO },
            base_fee_per_gas: london.then_some(base_fee),
            withdrawals_root: (fork >= Fork::Shanghai).then_some(EMPTY_WITHDRAWALS),
            blob_gas_used: cancun.then_some(0),
            excess_blob_gas: if cancun { Some(self.current_excess_blob_gas.narrow()?) } else { None },
            parent_beacon_block_root: cancun.then_some(B256::ZERO),
            requests_hash: (fork >= Fork::Prague).then_some(EMPTY_REQUESTS_HASH),
            block_access_list_hash: amsterdam.then_some(B256::ZERO),
            slot_number: if amsterdam { Some(self.slot_number.narrow()?) } else { None },
            ..Header::default()
        })
    }
}
