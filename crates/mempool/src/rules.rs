//! The checks that need no account: what the next block's fork and this node's configuration ask of any transaction.

use crate::{HeadInfo, PoolError};
use alloy_consensus::Transaction as _;
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_hardforks::{EthereumChainHardforks, EthereumHardforks};
use alloy_primitives::{Address, TxKind};
use heddle_primitives::Transaction;
use revm::context_interface::cfg::gas::{InitialAndFloorGas, calculate_initial_tx_gas};
use revm::context_interface::cfg::gas_params::Eip2780TxInfo;
use revm::primitives::{eip3860, eip7954, hardfork::SpecId};

/// The rules for transactions of the next block. Heddle chains start at Osaka, so only Amsterdam makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    chain_id: u64,
    min_tip: u128,
    gas_limit: u64,
    amsterdam: bool,
}

impl Rules {
    pub(crate) fn new(chain_id: u64, min_tip: u128, forks: &EthereumChainHardforks, head: &HeadInfo) -> Self {
        let amsterdam = forks.is_amsterdam_active_at_timestamp(head.timestamp);
        Self { chain_id, min_tip, gas_limit: head.gas_limit, amsterdam }
    }

    /// Checks everything that needs no sender: signatures are recovered only for what passes.
    pub(crate) fn check(&self, tx: &Transaction) -> Result<(), PoolError> {
        if tx.is_eip4844() {
            return Err(PoolError::BlobsDisabled);
        }
        self.check_init_code(tx)?;
        if self.gas_limit < tx.gas_limit() {
            return Err(PoolError::ExceedsBlockGasLimit);
        }
        let (fee_cap, tip) = (tx.max_fee_per_gas(), tx.priority_fee_or_price());
        if tip > fee_cap {
            return Err(PoolError::TipAboveFeeCap { tip, fee_cap });
        }
        // Without a chain id it is from before EIP-155, as some well-known deployment transactions are: valid anywhere.
        if let Some(have) = tx.chain_id().filter(|id| *id != self.chain_id) {
            return Err(PoolError::WrongChain { have, want: self.chain_id });
        }
        if tx.nonce() == u64::MAX {
            return Err(PoolError::NonceMax);
        }
        if tip < self.min_tip {
            return Err(PoolError::TipTooLow { tip, minimum: self.min_tip });
        }
        if tx.authorization_list().is_some_and(|list| list.is_empty()) {
            return Err(PoolError::EmptyAuthorizationList);
        }
        Ok(())
    }

    fn check_init_code(&self, tx: &Transaction) -> Result<(), PoolError> {
        let limit = if self.amsterdam { eip7954::MAX_INITCODE_SIZE } else { eip3860::MAX_INITCODE_SIZE };
        let size = tx.input().len();
        if tx.is_create() && size > limit {
            return Err(PoolError::InitCodeTooLarge { size, limit });
        }
        Ok(())
    }

    /// Checks the gas limit against what is paid before execution (less for a transfer to oneself, EIP-2780), and
    /// against the cap of one transaction.
    pub(crate) fn check_gas(&self, tx: &Transaction, sender: Address) -> Result<(), PoolError> {
        let (gas, cap) = (tx.gas_limit(), MAX_TX_GAS_LIMIT_OSAKA);
        let initial = self.initial_gas(tx, sender);
        // EIP-8037 (Amsterdam) caps only the part of the gas that is not for growth of the state.
        let capped = if self.amsterdam { initial.initial_total_gas().max(initial.floor_gas()) } else { gas };
        if capped > cap {
            return Err(PoolError::GasLimitTooHigh { cap, gas: capped });
        }
        if gas < initial.initial_total_gas() {
            return Err(PoolError::IntrinsicGas { gas, needed: initial.initial_total_gas() });
        }
        if gas < initial.floor_gas() {
            return Err(PoolError::FloorDataGas { gas, needed: initial.floor_gas() });
        }
        Ok(())
    }

    fn initial_gas(&self, tx: &Transaction, sender: Address) -> InitialAndFloorGas {
        let spec = if self.amsterdam { SpecId::AMSTERDAM } else { SpecId::OSAKA };
        let is_self_transfer = tx.kind() == TxKind::Call(sender);
        let eip2780 = self.amsterdam.then(|| Eip2780TxInfo { value: tx.value(), is_self_transfer });
        let access_list = tx.access_list().map(|list| list.0.as_slice()).unwrap_or_default();
        let slots: usize = access_list.iter().map(|item| item.storage_keys.len()).sum();
        let authorizations = tx.authorization_list().map_or(0, <[_]>::len);
        calculate_initial_tx_gas(
            spec,
            tx.input(),
            tx.is_create(),
            access_list.len() as u64,
            slots as u64,
            authorizations as u64,
            eip2780,
        )
    }
}
