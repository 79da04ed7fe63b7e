//! Real blocks of Ethereum's mainnet, from Frontier to Osaka, on the parts of the state that they read.
//!
//! The blocks are files of the folder `mainnet-blocks` of `$HEDDLE_FIXTURES`, by default `../shared/fixtures` beside the
//! repository.

use crate::MemoryState;
use crate::measure::Case;
use alloy_consensus::{BlockBody, transaction::Recovered};
use alloy_eips::{eip2718::Decodable2718, eip4895::Withdrawals};
use alloy_primitives::{Address, B256, Bytes, U64, U256, map::HashMap};
use alloy_rlp::Decodable;
use flate2::read::GzDecoder;
use heddle_evm::{BlockContext, ChainRules, recover_sender, system_contracts};
use heddle_primitives::{Account, Block, Genesis, Header, RecoveredTransaction, Transaction};
use serde::Deserialize;
use serde_json::Value;
use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

/// Mainnet's rules, as a genesis file.
const GENESIS: &str = r#"{"config":{"chainId":1,"homesteadBlock":1150000,"daoForkBlock":1920000,"daoForkSupport":true,
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

/// A real block with the state that it reads: what the file does not list does not exist, or is zero.
pub struct MainnetBlock {
    /// The file's name, without its folder.
    pub name: String,
    /// The block; without its ommers where the file does not know them.
    pub block: Block,
    /// Whether the file knows the block's ommers: otherwise rewards, and so the state after it, are not mainnet's.
    pub has_ommers: bool,
    /// The block's transactions with their senders.
    pub transactions: Vec<RecoveredTransaction>,
    /// The state before the block.
    pub state: MemoryState,
    /// What the file says of the outcome, as its README describes it.
    pub expect: Value,
}

/// What is read of a file.
#[derive(Deserialize)]
struct BlockFile {
    hash: B256,
    header: Header,
    transactions: Vec<Bytes>,
    ommers: Option<Vec<Bytes>>,
    withdrawals: Option<Withdrawals>,
    pre: HashMap<Address, PreAccount>,
    block_hashes: HashMap<String, B256>,
    expect: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PreAccount {
    nonce: U64,
    balance: U256,
    code: Bytes,
    /// Where the code is never run, and not in the file.
    code_hash: Option<B256>,
    storage: HashMap<U256, U256>,
}

/// Mainnet's rules.
#[expect(clippy::expect_used, reason = "the file is this program's own, and every test here reads it")]
pub fn rules() -> ChainRules {
    ChainRules::new(&Genesis::from_json(GENESIS).expect("mainnet's genesis"))
}

/// The files of blocks, by name; `None` without the folder.
///
/// # Errors
/// When the folder cannot be listed.
pub fn files() -> std::io::Result<Option<Vec<PathBuf>>> {
    let fixtures = std::env::var_os("HEDDLE_FIXTURES").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let folder = fixtures.unwrap_or_else(beside).join("mainnet-blocks");
    if !folder.exists() {
        return Ok(None);
    }
    let paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<std::io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
    paths.sort();
    Ok(Some(paths))
}

impl MainnetBlock {
    /// Reads a file, and recovers the senders.
    ///
    /// # Errors
    /// When the file cannot be read, is not what it should be, or its header not the one of its hash.
    pub fn read(rules: &ChainRules, path: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file: BlockFile = serde_json::from_reader(GzDecoder::new(File::open(path)?))?;
        if file.header.hash_slow() != file.hash {
            return Err(format!("{name}: the header has another hash").into());
        }
        let state = state(file.pre, file.block_hashes)?;
        let transactions: Vec<_> = file
            .transactions
            .iter()
            .map(|bytes| {
                let transaction = Transaction::decode_2718_exact(bytes)?;
                let sender = recover_sender(rules, file.header.number, &transaction)?;
                Ok(Recovered::new_unchecked(transaction, sender))
            })
            .collect::<Result<_, Box<dyn Error + Send + Sync>>>()?;
        let ommers = file.ommers.iter().flatten().map(|bytes| Header::decode(&mut bytes.as_ref()));
        let body = BlockBody {
            transactions: transactions.iter().map(|transaction| transaction.inner().clone()).collect(),
            ommers: ommers.collect::<Result<_, _>>()?,
            withdrawals: file.withdrawals,
        };
        let block = Block { header: file.header, body };
        Ok(Self { name, block, has_ommers: file.ommers.is_some(), transactions, state, expect: file.expect })
    }

    /// The block as something to measure.
    pub fn case<'a>(&'a self, rules: &'a ChainRules) -> Case<'a> {
        let context = BlockContext::of(&self.block);
        Case { rules, reader: &self.state, context, transactions: &self.transactions }
    }
}

fn state(
    pre: HashMap<Address, PreAccount>,
    block_hashes: HashMap<String, B256>,
) -> Result<MemoryState, Box<dyn Error + Send + Sync>> {
    let mut state = MemoryState::default();
    // Some files leave out the contracts of EIP-7002 and EIP-7251, without which no block from Prague on is valid.
    for (address, contract) in system_contracts().iter().skip(2) {
        state.add_genesis_account(*address, contract);
    }
    for (address, PreAccount { nonce, balance, code, code_hash, storage }) in pre {
        let own_hash = state.add_code(code);
        let code_hash = code_hash.unwrap_or(own_hash);
        state.set_account(address, Account { nonce: nonce.to(), balance, code_hash });
        for (slot, value) in storage {
            state.set_slot(address, slot, value);
        }
    }
    for (number, hash) in block_hashes {
        state.set_block_hash(number.parse()?, hash);
    }
    Ok(state)
}
