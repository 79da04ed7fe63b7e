//! The files of a new network. One [`Description`] gives every target the same keys, genesis, ports and probes:
//!
//! ```text
//! DIR/genesis.json, identities.json                              made once, kept by later runs
//! DIR/keys/<node>/{validator.key, validator.key.sign-state, node.key}       likewise
//! DIR/processes/<node>/node.toml                                 what each target needs, written anew by every run
//! DIR/compose.yaml, DIR/compose/<node>/node.toml
//! DIR/kustomization.yaml, DIR/kubernetes/..
//! ```

pub mod accounts;
mod chain;
mod compose;
mod container;
mod contradiction;
mod description;
mod files;
mod identities;
mod kubernetes;
mod kubernetes_base;
mod monitoring;
mod network;
mod node_file;
mod parse;
mod processes;
mod quantity;

pub use chain::{GAS_LIMIT, NewChain, new_chain, validator_set};
pub use container::USER as CONTAINER_USER;
pub use description::{Description, EPOCH_LENGTH, Group, MEMORY_MIN, Ports};
pub use network::{Layout, Network};
pub use parse::{parse_fund, parse_governance};

use clap::ValueEnum;
use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;

/// What the nodes of a network run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// Processes of one machine, which share its loopback address.
    Processes,
    /// Containers of one machine, by `docker compose`.
    Compose,
    /// Pods of a cluster, by `kubectl apply --kustomize`.
    Kubernetes,
}

impl Target {
    /// Its name in options and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processes => "processes",
            Self::Compose => "compose",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Those that a network's directory has files for: they share its keys.
    pub fn all_of(out: &Path) -> impl Iterator<Item = Self> {
        let file = |target| match target {
            Self::Processes => "processes",
            Self::Compose => "compose.yaml",
            Self::Kubernetes => "kustomization.yaml",
        };
        Self::value_variants().iter().copied().filter(move |target| out.join(file(*target)).exists())
    }

    /// Writes what it needs for a network, and returns where: the configuration files, or what the network is
    /// started with.
    ///
    /// # Errors
    /// When the target has no room for so many nodes, or a file cannot be written.
    pub fn write(self, network: &Network) -> Result<Value, Box<dyn Error>> {
        match self {
            Self::Processes => Ok(json!(processes::write(network)?)),
            Self::Compose => Ok(json!(compose::write(network)?)),
            Self::Kubernetes => Ok(json!(kubernetes::write(network)?)),
        }
    }
}
