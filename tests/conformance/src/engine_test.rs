//! Engine tests: blocks as the payloads of `engine_newPayload`, each turned into a block and imported.
//!
//! What the payload's method checks before a block exists is checked here: that the transactions decode, that the
//! versioned hashes are those of the transactions, that requests are in order, and that the block has its hash. That
//! each field is there exactly when its fork is active is a rule of headers, which the import checks.

use crate::alloc::Alloc;
use crate::blockchain_test::{GenesisHeader, genesis};
use crate::network::{FixtureConfig, Network};
use crate::number::Number;
use crate::options::Options;
use crate::replay::{self, ChainTest, Post, Step};
use crate::verdict::{Refusal, Verdict};
use alloy_consensus::{BlockBody, Transaction as _, proofs::calculate_withdrawals_root};
use alloy_eips::{eip2718::Decodable2718, eip4895::Withdrawal, eip7685::Requests};
use alloy_primitives::{Address, B256, Bloom, Bytes, keccak256};
use alloy_trie::root::ordered_trie_root_encoded;
use heddle_primitives::{Block, Header, Transaction};
use serde::Deserialize;
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct EngineTest {
    network: String,
    config: Option<FixtureConfig>,
    /// Absent where the test shares its first state with others.
    pre: Option<Alloc>,
    genesis_block_header: Option<GenesisHeader>,
    /// Names the file of the shared first state.
    pre_hash: Option<String>,
    engine_new_payloads: Vec<NewPayload>,
    #[serde(rename = "lastblockhash")]
    last_block_hash: B256,
    post_state: Option<Alloc>,
    post_state_hash: Option<B256>,
    post_state_diff: Option<Alloc>,
}

/// A first state that tests share.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreAllocGroup {
    pre: Alloc,
    #[serde(alias = "genesisBlockHeader")]
    genesis: Option<GenesisHeader>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewPayload {
    params: Vec<Value>,
    validation_error: Option<String>,
    /// Of the JSON-RPC answer, when the payload is not even one.
    error_code: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bloom,
    prev_randao: B256,
    block_number: Number,
    gas_limit: Number,
    gas_used: Number,
    timestamp: Number,
    extra_data: Bytes,
    base_fee_per_gas: Number,
    block_hash: B256,
    transactions: Vec<Bytes>,
    withdrawals: Option<Vec<PayloadWithdrawal>>,
    blob_gas_used: Option<Number>,
    excess_blob_gas: Option<Number>,
    block_access_list: Option<Bytes>,
    slot_number: Option<Number>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PayloadWithdrawal {
    index: Number,
    validator_index: Number,
    address: Address,
    amount: Number,
}

/// Judges a test of the file at `path`.
pub(crate) fn run(path: &Path, name: &str, test: Value, options: &Options) -> Verdict {
    let test = serde_json::from_value(test).map_err(|error| format!("not an engine test: {error}"));
    let verdict = test.and_then(|test: EngineTest| replay::judge(test.into_chain_test(path, name)?, options));
    verdict.unwrap_or_else(Verdict::Failed)
}

impl EngineTest {
    fn into_chain_test(self, path: &Path, name: &str) -> Result<ChainTest, String> {
        let network = Network::parse(&self.network).map_err(|error| error.to_string())?;
        let (pre, header) = match (self.pre, self.genesis_block_header, &self.pre_hash) {
            (Some(pre), Some(header), _) => (pre, header),
            (None, header, Some(hash)) => {
                let group = pre_alloc_group(path, hash)?;
                let header = group.genesis.or(header).ok_or("there is no genesis header")?;
                (group.pre, header)
            }
            _ => return Err("there is neither pre with a genesis header nor preHash".to_owned()),
        };
        let genesis = genesis(&network, self.config.as_ref(), &header, &pre)?;
        let post = match (self.post_state, self.post_state_diff, self.post_state_hash) {
            (Some(state), _, _) => Post::State(state),
            (None, Some(difference), _) => {
                let mut state = pre;
                state.extend(difference);
                Post::State(state)
            }
            (None, None, Some(root)) => Post::Root(root),
            (None, None, None) => Post::Unknown,
        };
        let steps = self.engine_new_payloads.into_iter().map(NewPayload::into_step).collect();
        Ok(ChainTest { name: name.to_owned(), network, genesis, steps, last: self.last_block_hash, post })
    }
}

/// Reads `pre_alloc/HASH.json` from the nearest directory above the fixture that has it.
fn pre_alloc_group(path: &Path, hash: &str) -> Result<PreAllocGroup, String> {
    let file = PathBuf::from("pre_alloc").join(format!("{hash}.json"));
    let found = path.ancestors().map(|directory| directory.join(&file)).find(|file| file.is_file());
    let found = found.ok_or_else(|| format!("there is no {} above the fixture", file.display()))?;
    let text = std::fs::read(&found).map_err(|error| format!("{}: {error}", found.display()))?;
    serde_json::from_slice(&text).map_err(|error| format!("{}: {error}", found.display()))
}

impl NewPayload {
    fn into_step(self) -> Step {
        let expected_exception = match (&self.validation_error, &self.error_code) {
            (Some(names), _) => Some(names.clone()),
            (None, Some(_)) => Some(String::new()),
            (None, None) => None,
        };
        Step { block: self.block(), expected_exception }
    }

    /// The block that the parameters describe.
    fn block(&self) -> Result<Block, Refusal> {
        let payload: Payload = parameter(&self.params, 0)?.ok_or_else(|| Refusal::malformed("there is no payload"))?;
        let versioned_hashes: Option<Vec<B256>> = parameter(&self.params, 1)?;
        let parent_beacon_block_root: Option<B256> = parameter(&self.params, 2)?;
        let requests: Option<Vec<Bytes>> = parameter(&self.params, 3)?;
        let transactions = payload.transactions.iter().map(|bytes| Transaction::decode_2718_exact(bytes));
        let transactions = transactions.collect::<Result<Vec<_>, _>>();
        let transactions = transactions.map_err(|error| Refusal::malformed(format!("transaction: {error}")))?;
        check_versioned_hashes(&transactions, versioned_hashes.as_deref())?;
        let withdrawals = payload.withdrawals().map_err(Refusal::malformed)?;
        let header = Header {
            withdrawals_root: withdrawals.as_deref().map(calculate_withdrawals_root),
            parent_beacon_block_root,
            requests_hash: requests.map(requests_hash).transpose()?,
            ..payload.header().map_err(|error| Refusal::malformed(error.to_string()))?
        };
        let hash = header.hash_slow();
        if hash != payload.block_hash {
            let reason = format!("blockHash is {}, the payload's is {hash}", payload.block_hash);
            return Err(Refusal { reason, names: &["BlockException.INVALID_BLOCK_HASH"] });
        }
        let withdrawals = withdrawals.map(Into::into);
        Ok(Block { header, body: BlockBody { transactions, ommers: Vec::new(), withdrawals } })
    }
}

/// A parameter of a call; `None` when it is absent or null.
fn parameter<T: serde::de::DeserializeOwned>(params: &[Value], index: usize) -> Result<Option<T>, Refusal> {
    let value = params.get(index).filter(|value| !value.is_null());
    let parsed = value.map(|value| T::deserialize(value)).transpose();
    parsed.map_err(|error| Refusal::malformed(format!("parameter {index}: {error}")))
}

fn check_versioned_hashes(transactions: &[Transaction], given: Option<&[B256]>) -> Result<(), Refusal> {
    let Some(given) = given else { return Ok(()) };
    let hashes = transactions.iter().flat_map(|transaction| transaction.blob_versioned_hashes().unwrap_or_default());
    if hashes.eq(given) {
        return Ok(());
    }
    let reason = "the versioned hashes are not those of the transactions".to_owned();
    Err(Refusal { reason, names: &["BlockException.INVALID_VERSIONED_HASHES"] })
}

/// EIP-7685: each kind at most once, in order, none empty.
fn requests_hash(requests: Vec<Bytes>) -> Result<B256, Refusal> {
    let is_ordered = requests.windows(2).all(|pair| pair[0].first() < pair[1].first());
    if !is_ordered || requests.iter().any(|request| request.len() < 2) {
        let reason = "the execution requests are empty or out of order".to_owned();
        return Err(Refusal { reason, names: &["BlockException.INVALID_REQUESTS"] });
    }
    Ok(Requests::new(requests).requests_hash())
}

impl Payload {
    fn withdrawals(&self) -> Result<Option<Vec<Withdrawal>>, String> {
        let convert = |withdrawal: &PayloadWithdrawal| {
            Ok(Withdrawal {
                index: withdrawal.index.narrow()?,
                validator_index: withdrawal.validator_index.narrow()?,
                address: withdrawal.address,
                amount: withdrawal.amount.narrow()?,
            })
        };
        let withdrawals = self.withdrawals.as_ref().map(|list| list.iter().map(convert).collect());
        withdrawals.transpose().map_err(|error: crate::number::NumberError| error.to_string())
    }

    fn header(&self) -> Result<Header, crate::number::NumberError> {
        let number = |field: Option<Number>| field.map(Number::narrow).transpose();
        Ok(Header {
            parent_hash: self.parent_hash,
            beneficiary: self.fee_recipient,
            state_root: self.state_root,
            transactions_root: ordered_trie_root_encoded(&self.transactions),
            receipts_root: self.receipts_root,
            logs_bloom: self.logs_bloom,
            number: self.block_number.narrow()?,
            gas_limit: self.gas_limit.narrow()?,
            gas_used: self.gas_used.narrow()?,
            timestamp: self.timestamp.narrow()?,
            extra_data: self.extra_data.clone(),
            mix_hash: self.prev_randao,
            base_fee_per_gas: Some(self.base_fee_per_gas.narrow()?),
            blob_gas_used: number(self.blob_gas_used)?,
            excess_blob_gas: number(self.excess_blob_gas)?,
            block_access_list_hash: self.block_access_list.as_ref().map(keccak256),
            slot_number: number(self.slot_number)?,
            ..Header::default()
        })
    }
}
