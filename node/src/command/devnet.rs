//! `heddle devnet`: a local chain in one process, with funded accounts, for development.

use super::SyncOptions;
use crate::cache::CacheSize;
use crate::execution::Execution;
use crate::genesis::{self, accounts};
use crate::keys::{self, KeyFile, ValidatorKey};
use crate::shutdown;
use crate::telemetry::{self, LogFormat};
use crate::wiring::{Node, NodeConfig};
use alloy_primitives::{U256, utils::format_ether};
use alloy_signer_local::PrivateKeySigner;
use clap::{Args, ValueHint};
use heddle_chain::{CommittedBlock, History};
use heddle_network::NetworkConfig;
use heddle_primitives::registry::Governance;
use heddle_primitives::{ConsensusKey, Genesis};
use heddle_rpc::RpcConfig;
use serde_json::{Value, json};
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{self, error::RecvError};

/// Chain id of Anvil and Hardhat, which their users' configurations expect.
const CHAIN_ID: u64 = 31337;

/// Blocks an epoch: under a minute at the default block time, so that changes of the validators can be tried.
const EPOCH_LENGTH: u64 = 100;

/// Options of `heddle devnet`.
#[derive(Args)]
pub struct DevnetArgs {
    /// How many validators to run [1 to 16].
    #[arg(long, value_name = "COUNT", help_heading = "Chain", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// Least time between blocks, for example 500ms or 2s [10ms to 1h].
    #[arg(long, value_name = "TIME", help_heading = "Chain", default_value = "500ms", value_parser = accounts::parse_block_time)]
    block_time: Duration,
    /// How many accounts of the test mnemonic to fund [0 to 1000].
    #[arg(long, value_name = "COUNT", help_heading = "Chain", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=i64::from(accounts::ACCOUNTS_MAX)))]
    accounts: u32,
    /// Balance of each account, in ether.
    #[arg(long, value_name = "ETHER", help_heading = "Chain", default_value = "10000", value_parser = accounts::parse_balance)]
    balance: U256,
    /// Port for JSON-RPC over HTTP and WebSocket; 0 lets the system choose.
    #[arg(long, value_name = "PORT", help_heading = "JSON-RPC", default_value_t = 8545)]
    http_port: u16,
    /// Keep the chain in this directory [default: a temporary one, removed at exit].
    #[arg(long, value_name = "DIR", help_heading = "Data", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,
    /// What to log beside the one line a block: off, error, warn, info, debug, trace, or a filter.
    #[arg(long = "log.level", value_name = "FILTER", help_heading = "Logging", env = "HEDDLE_LOG_LEVEL", default_value = "warn", value_parser = telemetry::parse_filter)]
    log_level: String,
}

/// Runs `heddle devnet`.
pub fn run(args: DevnetArgs) -> Result<Value, Box<dyn Error>> {
    telemetry::init_logging(&args.log_level, LogFormat::Text)?;
    // Held to the end: dropping it removes the directory.
    let temporary = args.data_dir.is_none().then(tempfile::tempdir).transpose()?;
    let data_dir = match (&args.data_dir, &temporary) {
        (Some(named), _) => named.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => return Err("no data directory".into()),
    };
    let signers = accounts::test_accounts(args.accounts)?;
    let keys = (0..args.validators).map(|index| validator_key(&data_dir, index)).collect::<Result<Vec<_>, _>>()?;
    let genesis = open_genesis(&args, &data_dir, &keys, &signers)?;
    refuse_other_settings(&args, &data_dir, &genesis, &signers)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run_validators(&args, &data_dir, &genesis, &keys, signers));
    runtime.shutdown_timeout(Duration::from_secs(2));
    result
}

/// The key of a validator, made at the first start. Random, so that two devnets on one machine are two chains: with
/// the same keys each would sign against the other.
fn validator_key(data_dir: &Path, index: u16) -> Result<ConsensusKey, Box<dyn Error>> {
    let file = key_file(data_dir, index);
    if !file.exists() {
        keys::create(&file, &KeyFile::Plain(ConsensusKey::generate()))?;
    }
    let sign_state = keys::sign_state_path(&file);
    if !sign_state.exists() {
        let missing = format!("{} is missing: choose another --data-dir", sign_state.display());
        return Err(missing.into());
    }
    match KeyFile::read(&file)? {
        KeyFile::Plain(key) => Ok(key),
        KeyFile::Encrypted(_) => {
            Err(format!("{} is encrypted: a devnet asks for no passphrase", file.display()).into())
        }
    }
}

fn key_file(data_dir: &Path, index: u16) -> PathBuf {
    node_dir(data_dir, index).join("validator.key")
}

fn node_dir(data_dir: &Path, index: u16) -> PathBuf {
    data_dir.join(format!("node{index}"))
}

/// The genesis of the data directory, made at its first start.
fn open_genesis(
    args: &DevnetArgs,
    data_dir: &Path,
    keys: &[ConsensusKey],
    signers: &[PrivateKeySigner],
) -> Result<Genesis, Box<dyn Error>> {
    let file = data_dir.join("genesis.json");
    if file.exists() {
        let genesis = Genesis::read(&file)?;
        let kept = genesis.heddle().map_or(0, |h| h.validators.validators().len());
        if kept != keys.len() {
            return Err(format!(
                "{} holds a chain of {kept} validators: start it with --validators {kept}, or choose another --data-dir",
                data_dir.display()
            )
            .into());
        }
        return Ok(genesis);
    }
    let genesis = genesis::new_chain(genesis::NewChain {
        chain_id: CHAIN_ID,
        gas_limit: genesis::GAS_LIMIT,
        block_time: args.block_time,
        empty_block_time: args.block_time,
        epoch_length: EPOCH_LENGTH,
        governance: signers.first().map(|first| Governance::Administered { administrator: first.address() }),
        validators: genesis::validator_set(keys.iter().map(ConsensusKey::public_key))?,
        alloc: accounts::funded(signers.iter().map(|signer| signer.address()), args.balance),
    })?;
    std::fs::write(&file, genesis.to_json()? + "\n")?;
    Ok(genesis)
}

/// A kept chain has the accounts and the pace that it was made with: another choice would be silently ignored.
fn refuse_other_settings(
    args: &DevnetArgs,
    data_dir: &Path,
    genesis: &Genesis,
    signers: &[PrivateKeySigner],
) -> Result<(), String> {
    let funded = |signer: &PrivateKeySigner| {
        genesis.file().alloc.get(&signer.address()).is_some_and(|account| account.balance == args.balance)
    };
    let block_time = genesis.heddle().map(|heddle| heddle.block_time);
    let other = if block_time != Some(args.block_time) {
        format!("--block-time {}ms", block_time.unwrap_or_default().as_millis())
    } else if !signers.iter().all(funded) {
        "fewer --accounts, or another --balance".to_owned()
    } else {
        return Ok(());
    };
    Err(format!("{} holds a chain made with {other}: use that, or choose another --data-dir", data_dir.display()))
}

async fn run_validators(
    args: &DevnetArgs,
    data_dir: &Path,
    genesis: &Genesis,
    keys: &[ConsensusKey],
    signers: Vec<PrivateKeySigner>,
) -> Result<Value, Box<dyn Error>> {
    let stop = shutdown::requested()?;
    tokio::pin!(stop);
    let mut nodes: Vec<Node> = Vec::with_capacity(keys.len());
    let mut blocks = None;
    for (index, key) in (0..).zip(keys) {
        let persistent_peers = nodes.iter().flat_map(Node::peer_addresses).collect();
        let first = index == 0;
        let config = NodeConfig {
            genesis: genesis.clone(),
            datadir: node_dir(data_dir, index),
            node_key_file: node_dir(data_dir, index).join("node.key"),
            cache: CacheSize::default(),
            execution: Execution::default(),
            history: History::Archive,
            sync: SyncOptions::default(),
            validator_key: Some(ValidatorKey {
                key: key.clone(),
                sign_state: keys::sign_state_path(&key_file(data_dir, index)),
                init_sign_state: false,
            }),
            network: NetworkConfig {
                listen: NetworkConfig::listen_on(Ipv4Addr::LOCALHOST.into(), 0),
                persistent_peers,
                mdns: true,
                ..NetworkConfig::default()
            },
            admin: None,
            rpc: first.then(|| RpcConfig {
                port: args.http_port,
                cors_origins: vec!["*".into()],
                ..RpcConfig::default()
            }),
            dev_accounts: if first { signers.clone() } else { Vec::new() },
            metrics: None,
            traces: None,
        };
        let node = Node::start(config).await.map_err(|error| super::name_port_flag(error, "--http-port"))?;
        // From the first moment, so that no block goes unprinted.
        blocks.get_or_insert_with(|| node.chain().subscribe());
        nodes.push(node);
    }
    let (first, mut blocks) = nodes.first().zip(blocks).ok_or("a devnet has at least one validator")?;
    print_banner(args, data_dir, genesis, &signers, first);
    let failures = futures::future::select_all(nodes.iter_mut().map(|node| Box::pin(node.failed())));
    tokio::select! {
        signal = &mut stop => tell!("\n{signal}: stopping"),
        (failure, ..) = failures => return Err(failure),
        () = print_blocks(&mut blocks) => {}
    }
    let mut number = 0;
    for node in nodes {
        number = number.max(node.stop().await.header.number);
    }
    while let Ok(committed) = blocks.try_recv() {
        print_block(&committed);
    }
    Ok(json!({ "number": number }))
}

fn print_banner(args: &DevnetArgs, data_dir: &Path, genesis: &Genesis, signers: &[PrivateKeySigner], first: &Node) {
    tell!("\n  heddle {}: {} validators\n", env!("CARGO_PKG_VERSION"), args.validators);
    tell!("Available accounts ({} ETH each)\n", format_ether(args.balance).trim_end_matches('0').trim_end_matches('.'));
    for (index, signer) in signers.iter().enumerate() {
        tell!("({index}) {}", signer.address());
    }
    tell!("\nPrivate keys (public knowledge: never use them elsewhere)\n");
    for (index, signer) in signers.iter().enumerate() {
        tell!("({index}) {}", signer.to_bytes());
    }
    tell!("\nMnemonic        {}", accounts::TEST_MNEMONIC);
    tell!("Chain id        {}", genesis.chain_id());
    tell!("Genesis hash    {}", genesis.hash());
    if let Some((heddle, registry)) = genesis.heddle().and_then(|heddle| Some((heddle, heddle.registry?))) {
        tell!("Validators      {registry}, administered by account (0), in epochs of {} blocks", heddle.epoch_length);
    }
    let kept = if args.data_dir.is_some() { "kept" } else { "removed at exit" };
    tell!("Data directory  {} ({kept})", data_dir.display());
    if let Some(address) = first.http_address() {
        tell!("RPC             http://{address}  ws://{address}\n");
    }
}

/// One line a block until the chain stops.
async fn print_blocks(blocks: &mut broadcast::Receiver<Arc<CommittedBlock>>) {
    loop {
        match blocks.recv().await {
            Ok(committed) => print_block(&committed),
            Err(RecvError::Lagged(missed)) => tell!("({missed} blocks not shown)"),
            Err(RecvError::Closed) => return,
        }
    }
}

fn print_block(committed: &CommittedBlock) {
    let header = &committed.header;
    tell!(
        "block {:>6}  {}  {:>4} txs  {:>9} gas  round {}",
        header.number,
        header.seal(),
        committed.block.body.transactions.len(),
        header.gas_used,
        committed.round(),
    );
}
