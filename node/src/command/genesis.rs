//! `heddle genesis create`: the files of a new network.

use super::accounts;
use crate::keys::{self, KeyFile};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand, ValueHint};
use heddle_primitives::registry::{self, Governance, RegistryStart};
use heddle_primitives::{ConsensusKey, Genesis, HeddleConfig, Validator, ValidatorSet};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Block gas limit of a new chain.
pub const GAS_LIMIT: u64 = 30_000_000;
/// Blocks an epoch of a new chain.
const EPOCH_LENGTH: u64 = 1_000;
/// Base fee of the first block, in wei per gas (EIP-1559's initial value).
const BASE_FEE: u128 = 1_000_000_000;

/// Make the files of a new network.
#[derive(Subcommand)]
pub enum GenesisCommand {
    /// Write a genesis file, keys, and one configuration a node.
    Create(CreateArgs),
}

/// Options of `heddle genesis create`.
#[derive(Args)]
pub struct CreateArgs {
    /// How many validators [1 to 100].
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    validators: u16,
    /// Directory for the files; it is created, and nothing in it is overwritten.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    out: PathBuf,
    /// EIP-155 chain id.
    #[arg(long, default_value_t = 31337)]
    chain_id: u64,
    /// Least time between blocks, for example 500ms or 2s.
    #[arg(long, default_value = "500ms", value_parser = accounts::parse_block_time)]
    block_time: Duration,
    /// How long an idle chain waits before an empty block [default: the block time].
    #[arg(long, value_parser = accounts::parse_block_time)]
    empty_block_time: Option<Duration>,
    /// Blocks an epoch: changes of the validators take effect when one starts.
    #[arg(long, value_name = "BLOCKS", default_value_t = EPOCH_LENGTH, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    epoch_length: u64,
    /// Let the validators change: `admin:ADDRESS`, who adds and removes them, or `staking:ETHER:OPERATOR`, where whoever
    /// deposits so much has a power of one, and OPERATOR acts for the first ones [default: they never change].
    #[arg(long, value_name = "GOVERNANCE", value_parser = parse_governance)]
    registry: Option<Governance>,
    /// Gas limit of every block.
    #[arg(long, default_value_t = GAS_LIMIT)]
    gas_limit: u64,
    /// How many accounts of the public test mnemonic to fund; use 0 on a chain of value.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1000))]
    dev_accounts: u32,
    /// Balance of each funded test account, in ether.
    #[arg(long, default_value = "10000", value_parser = accounts::parse_balance)]
    balance: U256,
    /// Fund an account: ADDRESS=ETHER; may be repeated.
    #[arg(long = "fund", value_name = "ADDRESS=ETHER", value_parser = parse_fund)]
    funds: Vec<(Address, U256)>,
    /// First peer-to-peer port; node N listens on this plus N.
    #[arg(long, default_value_t = 30303)]
    port: u16,
    /// First JSON-RPC port; node N serves on this plus N.
    #[arg(long, default_value_t = 8545)]
    http_port: u16,
    /// First metrics port; node N serves on this plus N.
    #[arg(long, default_value_t = 9001)]
    metrics_port: u16,
}

fn parse_fund(text: &str) -> Result<(Address, U256), String> {
    let (address, amount) = text.split_once('=').ok_or("expected ADDRESS=ETHER")?;
    let address = address.parse().map_err(|_| format!("`{address}` is not an address"))?;
    Ok((address, accounts::parse_balance(amount)?))
}

fn parse_governance(text: &str) -> Result<Governance, String> {
    let expected = "expected admin:ADDRESS, or staking:ETHER:OPERATOR";
    let parse = |address: &str| address.parse().map_err(|_| format!("`{address}` is not an address: {expected}"));
    match text.split(':').collect::<Vec<_>>()[..] {
        ["admin", address] => Ok(Governance::Administered { administrator: parse(address)? }),
        ["staking", ether, operator] => {
            let unit = Some(accounts::parse_balance(ether)?).filter(|unit| !unit.is_zero());
            let unit = unit.ok_or_else(|| format!("the deposit for one power is at least 1 wei: {expected}"))?;
            Ok(Governance::Staked { unit, operator: parse(operator)? })
        }
        _ => Err(expected.to_owned()),
    }
}

/// Runs `heddle genesis create`.
pub fn run(command: GenesisCommand) -> Result<Value, Box<dyn Error>> {
    let GenesisCommand::Create(args) = command;
    let keys = Vec::from_iter((0..args.validators).map(|_| ConsensusKey::generate()));
    let genesis = create(&args, &keys)?;
    std::fs::create_dir_all(&args.out).map_err(|error| format!("cannot create {}: {error}", args.out.display()))?;
    let genesis_path = args.out.join("genesis.json");
    refuse_existing(&genesis_path)?;
    let nodes = write_nodes(&args, &keys)?;
    std::fs::write(&genesis_path, genesis.to_json()? + "\n")?;
    if args.dev_accounts > 0 {
        tell!(
            "warning: {} accounts of the public test mnemonic are funded: anyone can spend from them. \
             Use --dev-accounts 0 on a chain of value.",
            args.dev_accounts
        );
    }
    for node in &nodes {
        tell!("start a node: heddle node --config {}", node.display());
    }
    Ok(json!({
        "genesis": genesis_path,
        "genesisHash": genesis.hash(),
        "chainId": genesis.chain_id(),
        "nodes": nodes,
    }))
}

fn refuse_existing(path: &Path) -> Result<(), String> {
    if path.exists() {
        return Err(format!("{} exists already: choose another --out, or remove it first", path.display()));
    }
    Ok(())
}

fn create(args: &CreateArgs, keys: &[ConsensusKey]) -> Result<Genesis, Box<dyn Error>> {
    let dev = accounts::test_accounts(args.dev_accounts)?;
    let mut alloc = accounts::funded(dev.iter().map(|signer| signer.address()), args.balance);
    for (address, balance) in &args.funds {
        alloc.extend(accounts::funded(std::iter::once(*address), *balance));
    }
    new_chain(&NewChain {
        chain_id: args.chain_id,
        gas_limit: args.gas_limit,
        block_time: args.block_time,
        empty_block_time: args.empty_block_time.unwrap_or(args.block_time),
        epoch_length: args.epoch_length,
        governance: args.registry,
        keys,
        alloc,
    })
}

/// What a new chain starts from.
pub struct NewChain<'a> {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// Least time between blocks.
    pub block_time: Duration,
    /// How long an idle chain waits before an empty block.
    pub empty_block_time: Duration,
    /// Blocks an epoch.
    pub epoch_length: u64,
    /// Who changes the validators; nobody when absent.
    pub governance: Option<Governance>,
    /// The validators' keys; each has power 1.
    pub keys: &'a [ConsensusKey],
    /// Funded accounts.
    pub alloc: Vec<(Address, GenesisAccount)>,
}

/// Builds the genesis of a new chain: Osaka rules, the system contracts of its forks, the funded accounts.
///
/// # Errors
/// See [`heddle_primitives::GenesisError`].
pub fn new_chain(new: &NewChain<'_>) -> Result<Genesis, Box<dyn Error>> {
    let validators = new.keys.iter().map(|key| {
        let validator = Validator::new(key.public_key(), 1, Address::ZERO);
        // Fees go to an account derived from the key until the operator names another in the genesis file.
        let fee_recipient = Address::from(validator.address.0);
        Validator { fee_recipient, ..validator }
    });
    let mut file = alloy_genesis::Genesis {
        gas_limit: new.gas_limit,
        base_fee_per_gas: Some(BASE_FEE),
        alloc: BTreeMap::from_iter(heddle_evm::system_contracts()),
        ..Default::default()
    };
    file.alloc.extend(new.alloc.iter().cloned());
    file.config.chain_id = new.chain_id;
    let validators = ValidatorSet::new(validators.collect())?;
    if let Some(governance) = new.governance {
        let registry = RegistryStart::new(governance, new.epoch_length).account(&validators);
        let registry = registry.ok_or("the first validators' deposits together are more wei than there can be")?;
        file.alloc.insert(registry::ADDRESS, registry);
    }
    let heddle = HeddleConfig {
        validators,
        block_time: new.block_time,
        empty_block_time: new.empty_block_time.max(new.block_time),
        epoch_length: new.epoch_length,
        registry: new.governance.map(|_| registry::ADDRESS),
    };
    Ok(Genesis::new_heddle(file, heddle)?)
}

/// Writes `node<N>/` for every validator and returns the configuration files.
fn write_nodes(args: &CreateArgs, keys: &[ConsensusKey]) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut node_keys = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        let dir = args.out.join(format!("node{index}"));
        keys::create(&dir.join("validator.key"), &KeyFile::Plain(key.clone()))?;
        node_keys.push(keys::load_or_create_node_key(&dir.join("node.key"))?);
    }
    let port = |first: u16, index: usize| {
        u16::try_from(index).ok().and_then(|i| first.checked_add(i)).ok_or("the ports of the last nodes exceed 65535")
    };
    let mut addresses = Vec::new();
    for (index, key) in node_keys.iter().enumerate() {
        addresses.push(format!("/ip4/127.0.0.1/tcp/{}/p2p/{}", port(args.port, index)?, key.peer_id()));
    }
    let mut files = Vec::new();
    for index in 0..keys.len() {
        let file = args.out.join(format!("node{index}")).join("node.toml");
        refuse_existing(&file)?;
        let others = addresses.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, a)| format!("    \"{a}\",\n"));
        let persistent_peers = String::from_iter(others);
        let text = format!(
            "# Every key is also an option (--http.port) and an environment variable (HEDDLE_HTTP_PORT).\n\
             # Relative paths start at this file's directory.\n\
             chain = \"../genesis.json\"\n\
             datadir = \"data\"\n\
             validator-key = \"validator.key\"\n\
             node-key = \"node.key\"\n\
             port = {}\n\
             persistent-peers = [\n{persistent_peers}]\n\
             metrics = \"127.0.0.1:{}\"\n\n\
             [http]\n\
             enabled = true\n\
             port = {}\n",
            port(args.port, index)?,
            port(args.metrics_port, index)?,
            port(args.http_port, index)?,
        );
        std::fs::write(&file, text)?;
        files.push(file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_begins_with_the_first_validators() {
        let keys = [1, 2, 3].map(|n| ConsensusKey::from_bytes(&[n; 32]));
        let somebody = "0x00000000000000000000000000000000000000aa";
        for (governance, balance) in [(format!("admin:{somebody}"), "0"), (format!("staking:0.5:{somebody}"), "1.5")] {
            let new = NewChain {
                chain_id: 1,
                gas_limit: GAS_LIMIT,
                block_time: Duration::from_secs(1),
                empty_block_time: Duration::from_secs(1),
                epoch_length: 7,
                governance: Some(parse_governance(&governance).unwrap()),
                keys: &keys,
                alloc: Vec::new(),
            };
            // Whether the registry holds the validators is checked there.
            let genesis = new_chain(&new).unwrap();
            let heddle = genesis.heddle().unwrap();
            assert_eq!((heddle.epoch_length, heddle.registry), (7, Some(registry::ADDRESS)));
            let deposits = accounts::parse_balance(balance).unwrap();
            assert_eq!(genesis.file().alloc[&registry::ADDRESS].balance, deposits);
        }
    }
}
