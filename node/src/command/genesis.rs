//! `heddle genesis create`: the files of a new network.

use crate::genesis::{
    self, CONTAINER_USER, Description, EPOCH_LENGTH, GAS_LIMIT, Group, Layout, Network, Ports, Target, accounts,
};
use alloy_primitives::{Address, U256};
use clap::{Args, Subcommand, ValueHint};
use heddle_primitives::registry::Governance;
use serde_json::{Value, json};
use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

/// Make the files of a new network.
#[derive(Subcommand)]
pub enum GenesisCommand {
    /// Write a genesis file, keys, and what starts the nodes.
    ///
    /// With options alone, `DIR/node<N>` gets the keys and the configuration of a validator that runs as a process of this
    /// machine. With a network description or a target, `DIR/keys` gets the keys of every node, and each target its own
    /// files; run again with the same DIR, it keeps keys and genesis, and adds targets and nodes.
    Create(CreateArgs),
}

/// Options of `heddle genesis create`.
#[derive(Args)]
pub struct CreateArgs {
    /// Directory for the files; it is created, and no key and no genesis in it is overwritten.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Files")]
    out: PathBuf,
    /// TOML file that describes the network: chain, nodes, ports, resources [default: none].
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "described", help_heading = "Files")]
    network: Option<PathBuf>,
    /// What the nodes run on, separated by commas [default: processes].
    #[arg(long, value_name = "TARGETS", value_delimiter = ',', value_enum, help_heading = "Files")]
    target: Vec<Target>,
    /// Short for --target kubernetes.
    #[arg(long, conflicts_with = "target", help_heading = "Files")]
    kubernetes: bool,
    #[command(flatten)]
    described: DescribedArgs,
}

/// A network described by options.
#[derive(Args)]
#[group(id = "described", multiple = true)]
struct DescribedArgs {
    /// How many validators [1 to 100].
    #[arg(long, value_name = "COUNT", help_heading = "Nodes", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=100))]
    validators: u16,
    /// EIP-155 chain id.
    #[arg(long, value_name = "NUMBER", help_heading = "Chain", default_value_t = 31337)]
    chain_id: u64,
    /// Least time between blocks, for example 500ms or 2s [10ms to 1h].
    #[arg(long, value_name = "TIME", help_heading = "Chain", default_value = "500ms", value_parser = accounts::parse_block_time)]
    block_time: Duration,
    /// How long an idle chain waits before an empty block [10ms to 1h; default: the block time].
    #[arg(long, value_name = "TIME", help_heading = "Chain", value_parser = accounts::parse_block_time)]
    empty_block_time: Option<Duration>,
    /// Length of an epoch: changes of the validators take effect when one starts [1 to 10000000].
    #[arg(long, value_name = "BLOCKS", help_heading = "Chain", default_value_t = EPOCH_LENGTH, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    epoch_length: u64,
    /// Let the validators change: `admin:ADDRESS` or `staking:ETHER:OPERATOR` [default: they never change].
    ///
    /// ADDRESS adds and removes them; or whoever deposits ETHER has a power of one, and OPERATOR acts for the first ones.
    #[arg(long, value_name = "GOVERNANCE", help_heading = "Chain", value_parser = genesis::parse_governance)]
    registry: Option<Governance>,
    /// Gas limit of every block [5000 to 18446744073709551615].
    #[arg(long, value_name = "GAS", help_heading = "Chain", default_value_t = GAS_LIMIT)]
    gas_limit: u64,
    /// How many accounts of the public test mnemonic to fund; 0 on a chain of value [0 to 1000].
    #[arg(long, value_name = "COUNT", help_heading = "Accounts", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=1000))]
    dev_accounts: u32,
    /// Balance of each funded test account, in ether.
    #[arg(long, value_name = "ETHER", help_heading = "Accounts", default_value = "10000", value_parser = accounts::parse_balance)]
    balance: U256,
    /// Fund an account; may be repeated [default: none].
    #[arg(long = "fund", help_heading = "Accounts", value_name = "ADDRESS=ETHER", value_parser = genesis::parse_fund)]
    funds: Vec<(Address, U256)>,
    /// First peer-to-peer port; node N listens on this plus N.
    #[arg(long, value_name = "PORT", help_heading = "Ports", default_value_t = 30303)]
    port: u16,
    /// First JSON-RPC port; node N serves on this plus N.
    #[arg(long, value_name = "PORT", help_heading = "Ports", default_value_t = 8545)]
    http_port: u16,
    /// First metrics port; node N serves on this plus N.
    #[arg(long, value_name = "PORT", help_heading = "Ports", default_value_t = 9001)]
    metrics_port: u16,
}

impl DescribedArgs {
    fn description(self) -> Description {
        Description {
            chain_id: self.chain_id,
            block_time: self.block_time,
            empty_block_time: self.empty_block_time,
            epoch_length: self.epoch_length,
            gas_limit: self.gas_limit,
            dev_accounts: self.dev_accounts,
            balance: self.balance,
            fund: self.funds,
            registry: self.registry,
            ports: Ports { p2p: self.port, http: self.http_port, metrics: self.metrics_port },
            validators: Group { count: self.validators, ..Group::default() },
            ..Description::default()
        }
    }
}

/// Runs `heddle genesis create`.
pub fn run(command: GenesisCommand) -> Result<Value, Box<dyn Error>> {
    let GenesisCommand::Create(args) = command;
    let asked = if args.kubernetes { vec![Target::Kubernetes] } else { args.target };
    let layout = match args.network.is_none() && asked.is_empty() {
        true => Layout::Flat,
        false => Layout::ByTarget,
    };
    let description = match &args.network {
        Some(file) => Description::read(file)?,
        None => args.described.description(),
    };
    let targets = if asked.is_empty() { vec![Target::Processes] } else { asked };
    let network = Network::create(description, args.out, layout)?;
    let mut result = json!({
        "genesis": network.out.join("genesis.json"),
        "genesisHash": network.genesis.hash(),
        "chainId": network.genesis.chain_id(),
    });
    let written = targets.into_iter().map(|target| Ok((target, target.write(&network)?)));
    let written = written.collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    if written.len() > 1 {
        tell!("start with one of:");
    }
    for (target, files) in written {
        tell_how_to_start(target, &files);
        let key = if layout == Layout::Flat { "nodes" } else { target.name() };
        result[key] = files;
    }
    warn(&network);
    Ok(result)
}

fn tell_how_to_start(target: Target, written: &Value) {
    let texts = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match target {
        Target::Processes => written.as_array().into_iter().flatten().for_each(|file| {
            tell!("start a node: heddle node --config {}", texts(file));
        }),
        Target::Kubernetes => tell!("start the nodes: kubectl apply --kustomize {}", texts(written)),
        Target::Compose => tell!("start the nodes: docker compose --file {} up --detach", texts(written)),
    }
}

fn warn(network: &Network) {
    let targets = Vec::from_iter(Target::all_of(&network.out));
    if [Target::Processes, Target::Compose].iter().all(|target| targets.contains(target)) {
        tell!(
            "warning: the keys of {} can be one user's alone, and containers run as user {CONTAINER_USER}: processes of \
             anybody else cannot read keys that are given to it. Where both are to run, make a directory for each.",
            network.out.display()
        );
    }
    if targets.len() > 1 {
        tell!(
            "warning: {} share the keys of {}: run only one of them at a time, or validators sign against themselves. \
             To move to another one, stop every node, and take along what each key has signed (heddle sign-state \
             export, import).",
            Vec::from_iter(targets.into_iter().map(Target::name)).join(", "),
            network.out.display()
        );
    }
    let accounts = network.description.dev_accounts;
    if accounts > 0 {
        tell!(
            "warning: {accounts} accounts of the public test mnemonic are funded: anyone can spend from them. \
             Fund none (--dev-accounts 0, dev-accounts = 0) on a chain of value."
        );
    }
    for candidate in network.candidates() {
        tell!("{candidate} votes once the registry has made it a member of the validators");
    }
}
