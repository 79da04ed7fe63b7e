//! What a network is, whatever it runs on: `network.toml`.

use super::accounts;
use super::chain::{self, NewChain};
use super::network::Role;
use super::parse;
use super::quantity::{Cpu, Mebibytes};
use alloy_primitives::{Address, U256};
use heddle_primitives::ValidatorSet;
use heddle_primitives::registry::Governance;
use heddle_rpc::Api;
use serde::Deserialize;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Blocks an epoch of a new chain.
pub const EPOCH_LENGTH: u64 = 1_000;
/// The most nodes of one kind.
const NODES_MAX: u16 = 100;
/// Below this a node has no room for its caches beside the rest.
pub const MEMORY_MIN: Mebibytes = Mebibytes(256);

/// A network: its chain, and its nodes. Every key has a default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Description {
    /// What the name of every container and resource begins with: up to 30 of `a-z`, `0-9`, `-`.
    pub name: String,
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Least time between blocks, 10 ms to 1 h.
    #[serde(deserialize_with = "parse::block_time")]
    pub block_time: Duration,
    /// How long an idle chain waits before an empty block; the block time when absent.
    #[serde(deserialize_with = "parse::optional_block_time")]
    pub empty_block_time: Option<Duration>,
    /// Blocks an epoch, 1 to 10,000,000.
    pub epoch_length: u64,
    /// Gas limit of every block.
    pub gas_limit: u64,
    /// How many accounts of the public test mnemonic to fund, up to 1000.
    pub dev_accounts: u32,
    /// Balance of each of those, in wei; written in ether.
    #[serde(deserialize_with = "parse::balance")]
    pub balance: U256,
    /// Further accounts and their balances.
    #[serde(deserialize_with = "parse::funds")]
    pub fund: Vec<(Address, U256)>,
    /// Who changes the validators; nobody when absent.
    #[serde(deserialize_with = "parse::registry")]
    pub registry: Option<Governance>,
    /// The container image.
    pub image: String,
    /// Ports of the nodes.
    pub ports: Ports,
    /// The nodes that vote.
    pub validators: Group,
    /// The nodes that follow the chain.
    pub full_nodes: Group,
    /// The nodes that serve JSON-RPC to others.
    pub rpc_nodes: Group,
    /// What watches them.
    pub monitoring: Monitoring,
}

/// Ports of every container; of processes, which share one machine, those of the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ports {
    /// Peers, TCP and UDP.
    pub p2p: u16,
    /// JSON-RPC.
    pub http: u16,
    /// Metrics and probes.
    pub metrics: u16,
}

/// The nodes of one kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Group {
    /// How many, up to 100.
    pub count: u16,
    /// Processor time of each.
    #[serde(deserialize_with = "parse::cpu")]
    pub cpu: Cpu,
    /// Memory of each, at least 256 MiB; a quarter is the node's caches.
    #[serde(deserialize_with = "parse::mebibytes")]
    pub memory: Mebibytes,
    /// Disk of each, where the target can set one apart.
    #[serde(deserialize_with = "parse::mebibytes")]
    pub disk: Mebibytes,
    /// JSON-RPC namespaces that each serves.
    #[serde(deserialize_with = "parse::api")]
    pub api: Vec<Api>,
}

/// What watches the nodes, on targets that bring it along.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitoring {
    /// Collects metrics and judges alerts.
    pub prometheus: bool,
    /// Shows them; needs Prometheus.
    pub grafana: bool,
}

impl Default for Description {
    fn default() -> Self {
        Self {
            name: "heddle".to_owned(),
            chain_id: 31337,
            block_time: Duration::from_millis(500),
            empty_block_time: None,
            epoch_length: EPOCH_LENGTH,
            gas_limit: chain::GAS_LIMIT,
            dev_accounts: 0,
            balance: U256::from(10_000) * U256::from(10).pow(U256::from(18)),
            fund: Vec::new(),
            registry: None,
            image: "heddle:latest".to_owned(),
            ports: Ports::default(),
            validators: Group { count: 4, ..Group::default() },
            full_nodes: Group::default(),
            rpc_nodes: Group::default(),
            monitoring: Monitoring::default(),
        }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self { p2p: 30303, http: 8545, metrics: 9001 }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self {
            count: 0,
            cpu: Cpu::cores(1),
            memory: Mebibytes(2 * 1_024),
            disk: Mebibytes(50 * 1_024),
            api: Api::DEFAULT.to_vec(),
        }
    }
}

impl Description {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// Names the file, the key, its value, and what is accepted.
    pub fn read(path: &Path) -> Result<Self, String> {
        let named = |reason: String| format!("network description {}: {reason}", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        Self::parse(&text).map_err(named)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let description: Self = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        description.check()?;
        Ok(description)
    }

    /// Checks what no single key shows.
    ///
    /// # Errors
    /// Names the key, its value, and what is accepted.
    pub fn check(&self) -> Result<(), String> {
        let refuse = |key: &str, value: &dyn std::fmt::Display, expected: &str| {
            Err(format!("key `{key}` is {value}: expected {expected}"))
        };
        if !is_label(&self.name) {
            return refuse("name", &self.name, "1 to 30 of a-z, 0-9 and -, the first a letter, the last none of -");
        }
        if YAML_WORDS.contains(&self.name.as_str()) {
            return refuse("name", &self.name, "a name that is not a word of YAML, in which files are written");
        }
        if !is_image(&self.image) {
            return refuse("image", &self.image, "an image name such as heddle:latest");
        }
        if !(1..=10_000_000).contains(&self.epoch_length) {
            return refuse("epoch-length", &self.epoch_length, "1 to 10000000 blocks");
        }
        if self.dev_accounts > accounts::ACCOUNTS_MAX {
            return refuse("dev-accounts", &self.dev_accounts, "0 to 1000");
        }
        let Ports { p2p, http, metrics } = self.ports;
        if [p2p, http, metrics].contains(&0) || p2p == http || http == metrics || p2p == metrics {
            return refuse("ports", &format_args!("{p2p}, {http}, {metrics}"), "three different ports from 1 on");
        }
        if self.validators.count == 0 {
            return refuse("validators.count", &0, "1 to 100");
        }
        for (key, group) in
            [("validators", &self.validators), ("full-nodes", &self.full_nodes), ("rpc-nodes", &self.rpc_nodes)]
        {
            if group.count > NODES_MAX {
                return refuse(&format!("{key}.count"), &group.count, "at most 100");
            }
            if group.memory < MEMORY_MIN {
                return refuse(&format!("{key}.memory"), &group.memory, "at least 256Mi");
            }
            if group.disk.0 == 0 || group.api.is_empty() {
                return Err(format!("keys `{key}.disk` and `{key}.api` must not be nothing"));
            }
        }
        if self.monitoring.grafana && !self.monitoring.prometheus {
            return refuse("monitoring.grafana", &true, "monitoring.prometheus = true with it, whose data it shows");
        }
        Ok(())
    }

    /// Its nodes: role, number among those, and what each is given.
    pub fn members(&self) -> impl Iterator<Item = (Role, u16, &Group)> {
        let groups =
            [(Role::Validator, &self.validators), (Role::Full, &self.full_nodes), (Role::Rpc, &self.rpc_nodes)];
        groups.into_iter().flat_map(|(role, group)| (0..group.count).map(move |number| (role, number, group)))
    }

    /// The chain that begins with these validators.
    ///
    /// # Errors
    /// When the accounts hold more than there can be, or the genesis is none.
    pub fn chain(&self, validators: ValidatorSet) -> Result<heddle_primitives::Genesis, Box<dyn Error>> {
        let dev = accounts::test_accounts(self.dev_accounts)?;
        let mut alloc = accounts::funded(dev.iter().map(|signer| signer.address()), self.balance);
        for (address, balance) in &self.fund {
            alloc.extend(accounts::funded(std::iter::once(*address), *balance));
        }
        chain::new_chain(NewChain {
            chain_id: self.chain_id,
            gas_limit: self.gas_limit,
            block_time: self.block_time,
            empty_block_time: self.empty_block_time.unwrap_or(self.block_time),
            epoch_length: self.epoch_length,
            governance: self.registry,
            validators,
            alloc,
        })
    }
}

/// A name that is one everywhere: in DNS, of containers, of Kubernetes' resources, with a node's name after it.
fn is_label(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    letters && first && name.len() <= 30 && !name.ends_with('-')
}

/// Labels that YAML takes for a truth value or for nothing.
const YAML_WORDS: [&str; 9] = ["y", "yes", "on", "true", "n", "no", "off", "false", "null"];

/// Nothing in it that a file written for a target could take for anything but a name.
fn is_image(image: &str) -> bool {
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte);
    (1..=255).contains(&image.len()) && image.bytes().all(accepted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_needed_and_everything_can_be_said() {
        let nothing = Description::parse("").unwrap();
        assert_eq!((nothing.validators.count, nothing.dev_accounts, nothing.rpc_nodes.count), (4, 0, 0));
        let said = Description::parse(
            "block-time = '2s'\nempty-block-time = '1m'\nfund = ['0x00000000000000000000000000000000000000aa=1']\n\
             registry = 'admin:0x00000000000000000000000000000000000000aa'\n[rpc-nodes]\ncount = 2\napi = ['eth']\n",
        )
        .unwrap();
        assert_eq!((said.block_time.as_secs(), said.empty_block_time.unwrap().as_secs()), (2, 60));
        assert_eq!((said.rpc_nodes.count, said.rpc_nodes.api.len(), said.fund.len()), (2, 1, 1));
    }

    #[test]
    fn errors_name_the_key_and_what_is_accepted() {
        let cases: [(&str, &[&str]); 17] = [
            ("chian-id = 1", &["chian-id", "chain-id"]),
            ("[validators]\ncounts = 4", &["counts", "memory"]),
            ("[validators]\ncpu = '2'", &["validators.count", "0", "1 to 100"]),
            ("[validators]\ncount = 101", &["validators.count", "101", "at most 100"]),
            ("[rpc-nodes]\nmemory = '128Mi'", &["rpc-nodes.memory", "128Mi", "256Mi"]),
            ("[full-nodes]\nmemory = '2GB'", &["memory", "2Gi"]),
            ("[full-nodes]\ncpu = 2", &["cpu", "string"]),
            ("[full-nodes]\ndisk = '0Mi'", &["full-nodes.disk"]),
            ("[rpc-nodes]\napi = ['engine']", &["api", "engine", "web3"]),
            ("block-time = '1ms'", &["block-time", "10ms"]),
            ("name = 'Main net'", &["`name`", "Main net", "a-z"]),
            ("name = 'on'", &["`name`", "on", "YAML"]),
            ("image = 'heddle latest'", &["`image`", "heddle:latest"]),
            ("[ports]\nhttp = 9001", &["`ports`", "three different"]),
            ("[monitoring]\ngrafana = true", &["monitoring.grafana", "monitoring.prometheus"]),
            ("registry = 'boss'", &["registry", "admin:ADDRESS"]),
            ("epoch-length = 0", &["epoch-length", "10000000"]),
        ];
        for (text, words) in cases {
            let error = Description::parse(text).unwrap_err();
            words.iter().for_each(|word| assert!(error.contains(word), "`{word}` is not in {error}"));
        }
    }
}
