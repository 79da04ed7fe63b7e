//! A plain Ethereum chain longer than one query of logs may be, whose every tenth block has one log.

use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, U256, address};
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::{BlockTemplate, Chain, ChainConfig, RecoveredBlock};
use heddle_e2e::{Process, Rpc, account, contract_call, eventually, free_port, path_text, run};
use heddle_primitives::{Genesis, Transaction};
use heddle_storage::{Database, DatabaseConfig};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const BLOCKS: u64 = 10_100;
const BLOCKS_PER_LOG: u64 = 10;
/// Whose code logs one topic, the first word of its input.
const LOGGER: Address = address!("0x0000000000000000000000000000000000000109");
const LOGGER_CODE: &str = "0x5f355f5fa100";

/// A node that serves the chain.
pub struct LongChain {
    rpc: Rpc,
    _process: Process,
    // After the process, which has its data there.
    _dir: TempDir,
}

impl LongChain {
    /// Makes the chain, imports it, and starts the node.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [genesis, blocks, data] = ["genesis.json", "chain.rlp", "data"].map(|name| dir.path().join(name));
        let text = plain_genesis(&dir.path().join("network")).await;
        std::fs::write(&genesis, &text).unwrap();
        std::fs::write(&blocks, tokio::task::spawn_blocking(move || make_blocks(&text)).await.unwrap()).unwrap();
        let chain = ["--chain", path_text(&genesis), "--datadir", path_text(&data)];
        let imported = run(&[&["import"], &chain[..], &[path_text(&blocks)]].concat()).await.result();
        assert_eq!(imported["number"], BLOCKS);

        let (http_port, port) = (free_port(), free_port().to_string());
        let http_port_text = http_port.to_string();
        let options = ["--addr", "127.0.0.1", "--port", &port, "--http", "--http.port", &http_port_text];
        let process = Process::spawn(&dir.path().join("node.log"), &[&["node"], &chain[..], &options].concat());
        let rpc = Rpc::new(http_port);
        eventually("an answer", async || rpc.try_height().await).await;
        Self { rpc, _process: process, _dir: dir }
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        self.rpc.url()
    }
}

/// The genesis of a new network without its validators, and with the contract that logs.
async fn plain_genesis(scratch: &Path) -> String {
    run(&["genesis", "create", "--validators", "1", "--out", path_text(scratch)]).await.result();
    let text = std::fs::read_to_string(scratch.join("genesis.json")).unwrap();
    let mut genesis: Value = serde_json::from_str(&text).unwrap();
    genesis["config"].as_object_mut().unwrap().remove("heddle");
    genesis["alloc"][LOGGER.to_string()] = json!({ "balance": "0x0", "code": LOGGER_CODE });
    genesis.to_string()
}

/// The blocks, encoded one after another.
fn make_blocks(genesis: &str) -> Vec<u8> {
    let genesis = Genesis::from_json(genesis).unwrap();
    let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
    let chain = Chain::open(genesis, database, ChainConfig::default()).unwrap();
    let sender = account(0);
    let mut encoded = Vec::new();
    for number in 1..=BLOCKS {
        let transactions = Vec::from_iter((number % BLOCKS_PER_LOG == 0).then(|| log_of(&sender, number)));
        let timestamp = chain.head().header.timestamp + 12;
        let block = chain.assemble(BlockTemplate { timestamp, transactions, ..BlockTemplate::default() }).unwrap();
        alloy_rlp::Encodable::encode(&*block, &mut encoded);
        chain.import(&RecoveredBlock::recover(chain.rules(), block).unwrap()).unwrap();
    }
    encoded
}

/// A transaction that logs the block's number.
fn log_of(sender: &PrivateKeySigner, number: u64) -> Transaction {
    let input = U256::from(number).to_be_bytes::<32>();
    let signed = contract_call(sender, number / BLOCKS_PER_LOG - 1, LOGGER, input);
    Transaction::decode_2718_exact(&signed.raw).unwrap()
}
