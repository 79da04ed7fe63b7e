//! Blockchain tests: blocks in RLP, valid and invalid, after a genesis block.

use crate::alloc::Alloc;
use crate::network::{self, FixtureConfig, Network};
use crate::number::{Number, parse_bytes};
use crate::options::Options;
use crate::replay::{self, ChainTest, Post, Step};
use crate::verdict::{Refusal, Verdict};
use alloy_genesis::{Genesis as GenesisFile, GenesisAccount};
use alloy_primitives::{Address, B64, B256, Bytes};
use alloy_rlp::decode_exact;
use heddle_primitives::{Block, Genesis};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockchainTest {
    network: String,
    pre: Alloc,
    genesis_block_header: GenesisHeader,
    #[serde(rename = "genesisRLP")]
    genesis_rlp: Option<Bytes>,
    blocks: Vec<TestBlock>,
    #[serde(rename = "lastblockhash")]
    last_block_hash: B256,
    post_state: Option<Alloc>,
    post_state_hash: Option<B256>,
    config: Option<FixtureConfig>,
}

/// What a genesis header says that does not follow from the state and the rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GenesisHeader {
    pub(crate) hash: B256,
    #[serde(default)]
    parent_hash: B256,
    #[serde(alias = "feeRecipient")]
    coinbase: Address,
    difficulty: Number,
    number: Number,
    gas_limit: Number,
    timestamp: Number,
    extra_data: Bytes,
    #[serde(default)]
    mix_hash: B256,
    #[serde(default)]
    nonce: B64,
    base_fee_per_gas: Option<Number>,
    blob_gas_used: Option<Number>,
    excess_blob_gas: Option<Number>,
    slot_number: Option<Number>,
}

#[derive(Debug, Deserialize)]
struct TestBlock {
    rlp: String,
    #[serde(rename = "blockHeader")]
    header: Option<Value>,
    /// `expectException`, in old fixtures followed by a network's name.
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

/// Judges a test.
pub(crate) fn run(name: &str, test: Value, options: &Options) -> Verdict {
    let test = serde_json::from_value(test).map_err(|error| format!("not a blockchain test: {error}"));
    let verdict = test.and_then(|test: BlockchainTest| replay::judge(test.into_chain_test(name)?, options));
    verdict.unwrap_or_else(Verdict::Failed)
}

impl BlockchainTest {
    fn into_chain_test(self, name: &str) -> Result<ChainTest, String> {
        let network = Network::parse(&self.network).map_err(|error| error.to_string())?;
        let genesis = genesis(&network, self.config.as_ref(), &self.genesis_block_header, &self.pre)?;
        check_genesis_rlp(self.genesis_rlp.as_ref(), &genesis)?;
        let post = match (self.post_state, self.post_state_hash) {
            (Some(state), _) => Post::State(state),
            (None, Some(root)) => Post::Root(root),
            (None, None) => Post::Unknown,
        };
        let steps = self.blocks.into_iter().map(TestBlock::into_step).collect();
        Ok(ChainTest { name: name.to_owned(), network, genesis, steps, last: self.last_block_hash, post })
    }
}

impl TestBlock {
    fn into_step(self) -> Step {
        let exceptions = self.other.iter().find(|(key, _)| key.starts_with("expectException"));
        let exception = exceptions.map(|(_, names)| names.as_str().unwrap_or_default().to_owned());
        // An invalid block of an old fixture has neither an exception nor a header.
        let expected_exception = exception.or_else(|| self.header.is_none().then(String::new));
        let malformed = |error: String| Refusal::malformed(format!("block RLP: {error}"));
        let block = parse_bytes(&self.rlp)
            .and_then(|bytes| decode_exact::<Block>(&bytes).map_err(|error| error.to_string()))
            .map_err(malformed);
        Step { block, expected_exception }
    }
}

/// The chain's genesis as its genesis file gives it, which must be the fixture's.
pub(crate) fn genesis(
    network: &Network,
    config: Option<&FixtureConfig>,
    header: &GenesisHeader,
    pre: &Alloc,
) -> Result<Genesis, String> {
    let config = network.chain_config(config).map_err(|error| error.to_string())?;
    let file = header.file(config, pre).map_err(|error| format!("genesis: {error}"))?;
    let genesis = network::genesis(&file).map_err(|error| error.to_string())?;
    if genesis.hash() != header.hash {
        return Err(format!("genesis: expected hash {}, got {}: {:?}", header.hash, genesis.hash(), genesis.header()));
    }
    Ok(genesis)
}

fn check_genesis_rlp(rlp: Option<&Bytes>, genesis: &Genesis) -> Result<(), String> {
    let Some(rlp) = rlp else { return Ok(()) };
    let block: Block = decode_exact(rlp).map_err(|error| format!("genesisRLP: {error}"))?;
    let hash = block.header.hash_slow();
    if hash == genesis.hash() { Ok(()) } else { Err(format!("genesisRLP: has hash {hash}")) }
}

impl GenesisHeader {
    fn file(&self, config: alloy_genesis::ChainConfig, pre: &Alloc) -> Result<GenesisFile, crate::number::NumberError> {
        let mut alloc = BTreeMap::new();
        for (address, account) in pre {
            let Some(account) = account else { continue };
            let slots = account.storage.iter().filter(|(_, value)| !value.0.is_zero());
            let account = GenesisAccount::default()
                .with_nonce(Some(account.nonce.narrow()?))
                .with_balance(account.balance.0)
                .with_code(Some(account.code.clone()).filter(|code| !code.is_empty()))
                .with_storage(Some(slots.map(|(slot, value)| (B256::from(slot.0), B256::from(value.0))).collect()));
            alloc.insert(*address, account);
        }
        let number = |field: Option<Number>| field.map(Number::narrow::<u64>).transpose();
        Ok(GenesisFile {
            config,
            alloc,
            nonce: u64::from(self.nonce),
            timestamp: self.timestamp.narrow()?,
            extra_data: self.extra_data.clone(),
            gas_limit: self.gas_limit.narrow()?,
            difficulty: self.difficulty.0,
            mix_hash: self.mix_hash,
            coinbase: self.coinbase,
            base_fee_per_gas: number(self.base_fee_per_gas)?.map(u128::from),
            excess_blob_gas: number(self.excess_blob_gas)?,
            blob_gas_used: number(self.blob_gas_used)?,
            slot_number: number(self.slot_number)?,
            number: Some(self.number.narrow()?),
            parent_hash: Some(self.parent_hash),
        })
    }
}
