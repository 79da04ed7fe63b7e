//! A block's gas, counted as its transactions become final.

use revm::context::{CfgEnv, result::ResultGas};
use revm::context_interface::Cfg;

/// What the transactions so far used of a block's gas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GasLedger {
    limit: u64,
    transaction_cap: u64,
    is_state_gas_apart: bool,
    /// Gas after refunds: what receipts add up.
    pub(crate) cumulative: u64,
    /// Gas of execution (EIP-8037).
    pub(crate) regular: u64,
    /// Gas of state growth (EIP-8037).
    pub(crate) state: u64,
}

impl GasLedger {
    /// Nothing is used yet of a block's gas limit.
    pub(crate) fn new(limit: u64, config: &CfgEnv) -> Self {
        Self {
            limit,
            transaction_cap: config.tx_gas_limit_cap(),
            is_state_gas_apart: config.enable_amsterdam_eip8037,
            cumulative: 0,
            regular: 0,
            state: 0,
        }
    }

    /// Whether a transaction with this gas limit may come next.
    pub(crate) fn admits(&self, gas_limit: u64) -> bool {
        let used = if self.is_state_gas_apart { self.regular } else { self.cumulative };
        let fits = |wanted: u64, used: u64| used.checked_add(wanted).is_some_and(|total| total <= self.limit);
        fits(gas_limit.min(self.transaction_cap), used) && (!self.is_state_gas_apart || fits(gas_limit, self.state))
    }

    /// Counts what a transaction used.
    pub(crate) fn add(&mut self, gas: &ResultGas) {
        self.cumulative = self.cumulative.saturating_add(gas.tx_gas_used());
        self.regular = self.regular.saturating_add(gas.block_regular_gas_used());
        self.state = self.state.saturating_add(gas.block_state_gas_used());
    }
}
