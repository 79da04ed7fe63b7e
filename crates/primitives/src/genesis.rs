//! The genesis file: geth's JSON, with an optional `heddle` object in its `config`.

use crate::{Header, SealedHeader, SigningContext, Validator, ValidatorSet, ValidatorSetError, registry};
use alloy_consensus::constants::EMPTY_WITHDRAWALS;
use alloy_eips::eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS;
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_eips::eip8282::{BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_EXIT_CONTRACT_ADDRESS};
use alloy_genesis::ChainConfig;
use alloy_hardforks::{EthereumChainHardforks, EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B64, B256, Bytes, Sealable, U256, keccak256};
use alloy_rlp::Encodable;
use alloy_trie::root::state_root_unhashed;
use ed25519_dalek::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

/// Why a genesis file cannot start a chain.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// The file cannot be read.
    #[error("cannot read genesis file {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not geth's genesis format.
    #[error("genesis is not valid JSON of geth's genesis format: {0}")]
    Json(#[from] serde_json::Error),
    /// The `heddle` object is malformed.
    #[error("genesis: config.heddle: {0}")]
    Heddle(serde_json::Error),
    /// A validator's key is not a key.
    #[error("genesis: config.heddle.validators[{index}].publicKey: {reason}")]
    PublicKey {
        /// Position in the list.
        index: usize,
        /// What is wrong.
        reason: String,
    },
    /// The validators are not a set.
    #[error("genesis: config.heddle.validators: {0}")]
    Validators(#[from] ValidatorSetError),
    /// The registry contract is not what the `heddle` section says.
    #[error("genesis: config.heddle.registry is {address}, but {problem}")]
    Registry {
        /// Where it should stand.
        address: Address,
        /// What is wrong there.
        problem: String,
    },
    /// A value out of range.
    #[error("genesis: {key} is {value}, expected {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it was.
        value: String,
        /// What is accepted.
        expected: &'static str,
    },
}

/// One entry of `config.heddle.validators`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ValidatorEntry {
    public_key: B256,
    power: u64,
    fee_recipient: Address,
}

/// The `heddle` object as it stands in the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeddleEntry {
    validators: Vec<ValidatorEntry>,
    block_time_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    empty_block_time_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch_length: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry: Option<Address>,
}

/// What makes a genesis a Heddle chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeddleConfig {
    /// The validators of the first epoch.
    pub validators: ValidatorSet,
    /// Least time between the starts of two heights, 10 ms to 1 h.
    pub block_time: Duration,
    /// How long an idle chain waits before an empty block; at least `block_time`.
    pub empty_block_time: Duration,
    /// Blocks an epoch, at least 1.
    pub epoch_length: u64,
    /// The validator registry contract, if the chain has one.
    pub registry: Option<Address>,
}

impl HeddleConfig {
    const EPOCH_LENGTH_DEFAULT: u64 = 1_000;

    fn from_entry(entry: HeddleEntry) -> Result<Self, GenesisError> {
        let mut validators = Vec::with_capacity(entry.validators.len());
        for (index, v) in entry.validators.iter().enumerate() {
            let key = VerifyingKey::from_bytes(&v.public_key.0)
                .map_err(|error| GenesisError::PublicKey { index, reason: error.to_string() })?;
            validators.push(Validator::new(key, v.power, v.fee_recipient));
        }
        let value = |key, value: u64, expected| GenesisError::Value { key, value: value.to_string(), expected };
        if !(10..=3_600_000).contains(&entry.block_time_ms) {
            return Err(value("config.heddle.blockTimeMs", entry.block_time_ms, "10 to 3600000 milliseconds"));
        }
        let empty_ms = entry.empty_block_time_ms.unwrap_or(entry.block_time_ms);
        if !(entry.block_time_ms..=86_400_000).contains(&empty_ms) {
            return Err(value("config.heddle.emptyBlockTimeMs", empty_ms, "blockTimeMs to 86400000 milliseconds"));
        }
        let epoch_length = entry.epoch_length.unwrap_or(Self::EPOCH_LENGTH_DEFAULT);
        if epoch_length == 0 {
            return Err(value("config.heddle.epochLength", 0, "at least 1 block"));
        }
        Ok(Self {
            validators: ValidatorSet::new(validators)?,
            block_time: Duration::from_millis(entry.block_time_ms),
            empty_block_time: Duration::from_millis(empty_ms),
            epoch_length,
            registry: entry.registry,
        })
    }

    /// SHA-256 of the RLP of the chain id and this section: networks that differ in any of it have different genesis
    /// hashes, so their nodes never mix and no signature of one means anything on the other.
    fn digest(&self, chain_id: u64) -> B256 {
        let mut fields: Vec<Bytes> = vec![
            encode(chain_id),
            encode(self.block_time.as_millis() as u64),
            encode(self.empty_block_time.as_millis() as u64),
            encode(self.epoch_length),
            encode(Vec::from_iter(self.registry)),
        ];
        for validator in self.validators.validators() {
            fields.push(validator.public_key.as_bytes().to_vec().into());
            fields.push(encode(validator.power));
            fields.push(encode(validator.fee_recipient));
        }
        B256::from_slice(&Sha256::digest(alloy_rlp::encode(&fields)))
    }

    fn to_entry(&self) -> HeddleEntry {
        let entry = |v: &Validator| ValidatorEntry {
            public_key: B256::from(*v.public_key.as_bytes()),
            power: v.power,
            fee_recipient: v.fee_recipient,
        };
        HeddleEntry {
            validators: self.validators.validators().iter().map(entry).collect(),
            block_time_ms: self.block_time.as_millis() as u64,
            empty_block_time_ms: Some(self.empty_block_time.as_millis() as u64),
            epoch_length: Some(self.epoch_length),
            registry: self.registry,
        }
    }
}

/// A checked genesis: the file, its forks, its first header.
#[derive(Clone, Debug)]
pub struct Genesis {
    file: alloy_genesis::Genesis,
    forks: EthereumChainHardforks,
    heddle: Option<HeddleConfig>,
    header: SealedHeader,
}

impl Genesis {
    /// Reads and checks a genesis file.
    ///
    /// # Errors
    /// Names the key, its value and what is accepted.
    pub fn read(path: &Path) -> Result<Self, GenesisError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| GenesisError::Read { path: path.display().to_string(), source })?;
        Self::from_json(&text)
    }

    /// Parses and checks genesis JSON.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn from_json(text: &str) -> Result<Self, GenesisError> {
        let file: alloy_genesis::Genesis = serde_json::from_str(text)?;
        let heddle = match file.config.extra_fields.get("heddle") {
            None => None,
            Some(value) => {
                // The parser's default is mainnet's: signatures would be good there too. Only the text tells.
                let json: serde_json::Value = serde_json::from_str(text)?;
                if json.pointer("/config/chainId").is_none() {
                    let (value, expected) = ("missing".to_owned(), "the chain's EIP-155 id");
                    return Err(GenesisError::Value { key: "config.chainId", value, expected });
                }
                let entry = serde_json::from_value(value.clone()).map_err(GenesisError::Heddle)?;
                Some(HeddleConfig::from_entry(entry)?)
            }
        };
        Self::checked(file, heddle)
    }

    /// Builds the genesis of a new Heddle chain: `file` with every fork to Osaka at genesis and the given section.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn new_heddle(mut file: alloy_genesis::Genesis, heddle: HeddleConfig) -> Result<Self, GenesisError> {
        activate_all_forks(&mut file.config);
        let entry = serde_json::to_value(heddle.to_entry())?;
        file.config.extra_fields.insert("heddle".to_owned(), entry);
        Self::checked(file, Some(heddle))
    }

    fn checked(file: alloy_genesis::Genesis, heddle: Option<HeddleConfig>) -> Result<Self, GenesisError> {
        let forks = fork_schedule(&file.config);
        if let Some(heddle) = &heddle {
            check_heddle_chain(&file, &forks)?;
            check_registry(&file, heddle)?;
        }
        if !(5_000..=i64::MAX as u64).contains(&file.gas_limit) {
            return Err(GenesisError::Value {
                key: "gasLimit",
                value: file.gas_limit.to_string(),
                expected: "5000 to 2^63 - 1",
            });
        }
        if file.base_fee_per_gas.is_some_and(|fee| u64::try_from(fee).is_err()) {
            return Err(GenesisError::Value {
                key: "baseFeePerGas",
                value: format!("{:?}", file.base_fee_per_gas),
                expected: "below 2^64 wei",
            });
        }
        check_blob_schedule(&file.config)?;
        let mut header = genesis_header(&file, &forks);
        if let Some(heddle) = &heddle {
            // Where later headers bind their parent's certificate, the first binds what all certificates rest on.
            header.parent_beacon_block_root = Some(heddle.digest(file.config.chain_id));
        }
        let header = header.seal_slow();
        Ok(Self { file, forks, heddle, header })
    }

    /// The file as JSON, as [`Self::from_json`] reads it.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(&self.file)
    }

    /// The genesis file's content.
    pub fn file(&self) -> &alloy_genesis::Genesis {
        &self.file
    }

    /// The rules of the file: fork times, blob schedule.
    pub fn config(&self) -> &ChainConfig {
        &self.file.config
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.file.config.chain_id
    }

    /// When each fork is active.
    pub fn forks(&self) -> &EthereumChainHardforks {
        &self.forks
    }

    /// The consensus section; `None` for a plain Ethereum chain, which is served read-only.
    pub fn heddle(&self) -> Option<&HeddleConfig> {
        self.heddle.as_ref()
    }

    /// The genesis block's header.
    pub fn header(&self) -> &SealedHeader {
        &self.header
    }

    /// The genesis block's hash: the chain's identity.
    pub fn hash(&self) -> B256 {
        self.header.seal()
    }

    /// What consensus signatures of this chain are bound to.
    pub fn signing_context(&self) -> SigningContext {
        SigningContext { genesis_hash: self.hash() }
    }
}

/// A Heddle chain starts at Osaka: with every fork up to it, at block 0, and the contracts that its blocks call.
fn check_heddle_chain(file: &alloy_genesis::Genesis, forks: &EthereumChainHardforks) -> Result<(), GenesisError> {
    let refused = |key, value: String, expected| Err(GenesisError::Value { key, value, expected });
    for fork in EthereumHardfork::VARIANTS.iter().filter(|fork| **fork <= EthereumHardfork::Osaka) {
        let optional = matches!(
            fork,
            EthereumHardfork::Dao
                | EthereumHardfork::MuirGlacier
                | EthereumHardfork::ArrowGlacier
                | EthereumHardfork::GrayGlacier
        );
        if !optional && !forks.ethereum_fork_activation(*fork).active_at_timestamp_or_number(file.timestamp, 0) {
            return refused("config", format!("without {fork:?} at genesis"), "every fork to Osaka active at genesis");
        }
    }
    if let Some(number) = file.number.filter(|number| *number != 0) {
        return refused("number", number.to_string(), "0, or no such key");
    }
    let mut contracts = vec![WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS, CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS];
    if forks.is_amsterdam_active_at_timestamp(file.timestamp) {
        contracts.extend([BUILDER_DEPOSIT_CONTRACT_ADDRESS, BUILDER_EXIT_CONTRACT_ADDRESS]);
    }
    for contract in contracts {
        let code = file.alloc.get(&contract).and_then(|account| account.code.as_ref());
        if code.is_none_or(|code| code.is_empty()) {
            let expected = "the system contracts of EIP-7002 and EIP-7251, from Amsterdam on also of EIP-8282";
            return refused("alloc", format!("without code at {contract}"), expected);
        }
    }
    Ok(())
}

/// The first epoch's validators stand twice, in the `heddle` section and in the registry's storage. Its code may be of
/// another version: the chain keeps it.
fn check_registry(file: &alloy_genesis::Genesis, heddle: &HeddleConfig) -> Result<(), GenesisError> {
    let Some(address) = heddle.registry else { return Ok(()) };
    let refused = |problem: String| Err(GenesisError::Registry { address, problem });
    let Some(account) = file.alloc.get(&address).filter(|account| account.code.as_ref().is_some_and(|c| !c.is_empty()))
    else {
        return refused("alloc has no code there".to_owned());
    };
    let read = |slot: U256| {
        let value = account.storage.as_ref().and_then(|storage| storage.get(&B256::from(slot)));
        Ok::<U256, Infallible>(value.copied().unwrap_or_default().into())
    };
    let Ok(epoch_length) = registry::read_epoch_length(read);
    if epoch_length != heddle.epoch_length {
        let expected = heddle.epoch_length;
        return refused(format!(
            "its storage has epochs of {epoch_length} blocks, config.heddle.epochLength is {expected}"
        ));
    }
    let Ok(members) = registry::read_members(read);
    match members {
        Ok(members) if members == heddle.validators => Ok(()),
        Ok(_) => refused("its storage has other members than config.heddle.validators".to_owned()),
        Err(error) => refused(format!("its storage has no validators: {error}")),
    }
}

/// EIP-7840: zeros would be divided by, and a target above the maximum never reached.
fn check_blob_schedule(config: &ChainConfig) -> Result<(), GenesisError> {
    for (fork, params) in &config.blob_schedule {
        let (target, max) = (params.target_blob_count, params.max_blob_count);
        if params.update_fraction == 0 || max == 0 || target > max {
            return Err(GenesisError::Value {
                key: "config.blobSchedule",
                value: format!(
                    "baseFeeUpdateFraction {}, target {target}, max {max} for {fork}",
                    params.update_fraction
                ),
                expected: "baseFeeUpdateFraction and max at least 1, target at most max",
            });
        }
    }
    Ok(())
}

fn encode(field: impl Encodable) -> Bytes {
    alloy_rlp::encode(field).into()
}

fn activate_all_forks(config: &mut ChainConfig) {
    let block = Some(0);
    config.homestead_block = block;
    config.eip150_block = block;
    config.eip155_block = block;
    config.eip158_block = block;
    config.byzantium_block = block;
    config.constantinople_block = block;
    config.petersburg_block = block;
    config.istanbul_block = block;
    config.berlin_block = block;
    config.london_block = block;
    config.terminal_total_difficulty = Some(U256::ZERO);
    config.terminal_total_difficulty_passed = true;
    config.shanghai_time = Some(0);
    config.cancun_time = Some(0);
    config.prague_time = Some(0);
    config.osaka_time = Some(0);
}

/// The fork schedule that geth would derive from the same file.
fn fork_schedule(config: &ChainConfig) -> EthereumChainHardforks {
    use EthereumHardfork as F;
    let blocks = [
        (F::Frontier, Some(0)),
        (F::Homestead, config.homestead_block),
        (F::Dao, config.dao_fork_block.filter(|_| config.dao_fork_support)),
        (F::Tangerine, config.eip150_block),
        (F::SpuriousDragon, config.eip155_block.max(config.eip158_block)),
        (F::Byzantium, config.byzantium_block),
        (F::Constantinople, config.constantinople_block),
        (F::Petersburg, config.petersburg_block.or(config.constantinople_block)),
        (F::Istanbul, config.istanbul_block),
        (F::MuirGlacier, config.muir_glacier_block),
        (F::Berlin, config.berlin_block),
        (F::London, config.london_block),
        (F::ArrowGlacier, config.arrow_glacier_block),
        (F::GrayGlacier, config.gray_glacier_block),
    ];
    let times = [
        (F::Shanghai, config.shanghai_time),
        (F::Cancun, config.cancun_time),
        (F::Prague, config.prague_time),
        (F::Osaka, config.osaka_time),
        (F::Bpo1, config.bpo1_time),
        (F::Bpo2, config.bpo2_time),
        (F::Bpo3, config.bpo3_time),
        (F::Bpo4, config.bpo4_time),
        (F::Bpo5, config.bpo5_time),
        (F::Amsterdam, config.amsterdam_time),
    ];
    let mut forks = Vec::from_iter(blocks.into_iter().filter_map(|(f, b)| Some((f, ForkCondition::Block(b?)))));
    forks.extend(times.into_iter().filter_map(|(f, t)| Some((f, ForkCondition::Timestamp(t?)))));
    if let Some(total_difficulty) = config.terminal_total_difficulty {
        let at_genesis = total_difficulty.is_zero().then_some(0);
        forks.push((
            F::Paris,
            ForkCondition::TTD {
                activation_block_number: config.merge_netsplit_block.or(at_genesis).unwrap_or(u64::MAX),
                fork_block: config.merge_netsplit_block,
                total_difficulty,
            },
        ));
    }
    EthereumChainHardforks::new(forks)
}

fn genesis_header(file: &alloy_genesis::Genesis, forks: &EthereumChainHardforks) -> Header {
    const BASE_FEE_INITIAL: u64 = 1_000_000_000;
    let time = file.timestamp;
    let shanghai = forks.is_shanghai_active_at_timestamp(time);
    let cancun = forks.is_cancun_active_at_timestamp(time);
    let amsterdam = forks.is_amsterdam_active_at_timestamp(time);
    let base_fee = file.base_fee_per_gas.and_then(|fee| u64::try_from(fee).ok());
    Header {
        parent_hash: file.parent_hash.unwrap_or_default(),
        number: file.number.unwrap_or_default(),
        gas_limit: file.gas_limit,
        difficulty: file.difficulty,
        nonce: B64::from(file.nonce),
        extra_data: file.extra_data.clone(),
        state_root: state_root_unhashed(file.alloc.iter().map(|(address, account)| (*address, account.clone()))),
        timestamp: time,
        mix_hash: file.mix_hash,
        beneficiary: file.coinbase,
        base_fee_per_gas: forks.is_london_active_at_block(0).then(|| base_fee.unwrap_or(BASE_FEE_INITIAL)),
        withdrawals_root: shanghai.then_some(EMPTY_WITHDRAWALS),
        blob_gas_used: cancun.then(|| file.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: cancun.then(|| file.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: cancun.then_some(B256::ZERO),
        requests_hash: forks.is_prague_active_at_timestamp(time).then_some(EMPTY_REQUESTS_HASH),
        block_access_list_hash: amsterdam.then(|| keccak256([alloy_rlp::EMPTY_LIST_CODE])),
        slot_number: amsterdam.then(|| file.slot_number.unwrap_or_default()),
        ..Header::default()
    }
}
