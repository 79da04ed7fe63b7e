//! Where the stages of transactions are told.

use super::{Node, NodeConfig, followers};
use crate::telemetry::traces::{TracedNode, TransactionTraces};
use heddle_network::PeerId;
use prometheus_client::registry::Registry;
use std::error::Error;

impl Node {
    /// To be called before anything that is traced starts.
    pub(super) fn start_traces(
        &mut self,
        config: &NodeConfig,
        peer_id: PeerId,
        registry: &mut Registry,
    ) -> Result<(), Box<dyn Error>> {
        let Some(traces) = &config.traces else { return Ok(()) };
        let (chain_id, is_validator) = (self.chain.genesis().chain_id(), config.validator_key.is_some());
        self.traces = TransactionTraces::start(traces, TracedNode { peer_id, chain_id, is_validator }, registry)?;
        tracing::info!(endpoint = %traces.endpoint, sample = %traces.sampling, "exporting traces");
        self.spawn("traces", followers::trace(self.chain.clone(), self.traces.clone()));
        Ok(())
    }
}
