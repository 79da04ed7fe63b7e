//! Metrics of the process, the machine and the chain; each crate registers its own beside these.

mod chain;
mod process;
mod resources;
mod scribe;
mod text;

pub use chain::ChainMetrics;
pub use text::{OPENMETRICS, PLAIN, plain};

use heddle_chain::{Chain, ExecutionMode};
use process::Process;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use resources::Resources;
use std::path::PathBuf;

/// The prefix of every name but those of the process, which are the same for all programs.
const PREFIX: &str = "heddle";

/// A registry with the metrics of the process, and the part of it where names begin with `heddle_`.
pub struct NodeRegistry(Registry);

impl NodeRegistry {
    /// With the metrics of the process alone.
    pub fn new() -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let build =
            [("version", env!("CARGO_PKG_VERSION")), ("os", std::env::consts::OS), ("arch", std::env::consts::ARCH)];
        let ours = registry.sub_registry_with_prefix(PREFIX);
        ours.register("build", "The program that runs", Info::new(build.to_vec()));
        Self(registry)
    }

    /// Where crates register what they count.
    pub fn ours(&mut self) -> &mut Registry {
        self.0.sub_registry_with_prefix(PREFIX)
    }

    /// Registers what `chain` and its directory take, and what its blocks cost.
    pub fn watch(&mut self, chain: &Chain, datadir: PathBuf) -> ChainMetrics {
        let ours = self.ours();
        let head = chain.head();
        let (mode, threads) = chain.execution_mode();
        let mode = match mode {
            ExecutionMode::Sequential => "sequential",
            ExecutionMode::Parallel => "parallel",
        };
        let genesis = chain.genesis();
        let identity = [("chain_id", genesis.chain_id().to_string()), ("genesis_hash", genesis.hash().to_string())];
        let execution = [("mode", mode.to_owned()), ("threads", threads.to_string())];
        ours.register("chain", "The chain that the node is of", Info::new(identity.to_vec()));
        ours.register("evm", "How blocks are executed, and on how many threads", Info::new(execution.to_vec()));
        ours.register_collector(Box::new(Resources::new(chain.clone(), datadir)));
        let mut metrics = ChainMetrics::register(ours, &head.header);
        if let Ok(validators) = chain.validators(head.height().next()) {
            metrics.follow(&validators);
        }
        metrics
    }

    /// The whole registry.
    pub fn into_inner(self) -> Registry {
        self.0
    }
}
