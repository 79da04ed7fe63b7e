//! What a caller pretends about the state and the block.

use crate::database::ReaderDatabase;
use crate::machine::MachineDatabaseError;
use crate::{CallError, ChainRules, Code};
use alloy_evm::precompiles::PrecompilesMap;
use alloy_primitives::{Address, B256, U256, keccak256, map::AddressSet};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use heddle_primitives::Header;
use revm::{
    Database,
    context::BlockEnv,
    context_interface::block::BlobExcessGasAndPrice,
    database::{State, bal::EvmDatabaseError},
    state::{Account, AccountInfo, EvmStorageSlot, TransactionId},
};
use std::borrow::Cow;

/// What a caller pretends, in the types of the JSON-RPC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overrides {
    /// About accounts.
    pub state: StateOverride,
    /// About the block that the call runs in.
    pub block: BlockOverrides,
}

impl Overrides {
    /// The header of the block to pretend: a committed one's, with other values.
    ///
    /// # Errors
    /// [`CallError::Rejected`] for what only simulated blocks can have.
    pub(crate) fn header(&self, rules: &ChainRules, header: &Header) -> Result<Header, CallError> {
        let block = &self.block;
        if block.beacon_root.is_some() {
            return Err(rejected(r#"block override "beaconRoot" is not supported for this RPC method"#));
        }
        let timestamp = block.time.unwrap_or(header.timestamp);
        Ok(Header {
            number: block.number.map_or(header.number, |number| number.saturating_to()),
            timestamp,
            difficulty: block.difficulty.unwrap_or(header.difficulty),
            gas_limit: block.gas_limit.unwrap_or(header.gas_limit),
            beneficiary: block.coinbase.unwrap_or(header.beneficiary),
            mix_hash: block.random.unwrap_or(header.mix_hash),
            base_fee_per_gas: block.base_fee.map(|fee| fee.saturating_to()).or(header.base_fee_per_gas),
            // A time after Cancun needs it.
            excess_blob_gas: header.excess_blob_gas.or(rules.blob_params(timestamp).map(|_| 0)),
            ..header.clone()
        })
    }
}

/// Pretends about the price of blob gas.
pub(crate) fn apply_blob_fee(overrides: &BlockOverrides, block: &mut BlockEnv) {
    let Some(fee) = overrides.blob_base_fee else { return };
    let excess_blob_gas = block.blob_excess_gas_and_price.map_or(0, |blob| blob.excess_blob_gas);
    let blob_gasprice = fee.saturating_to();
    block.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice { excess_blob_gas, blob_gasprice });
}

/// Pretends about the hashes of earlier blocks.
pub(crate) fn apply_block_hashes(overrides: &BlockOverrides, state: &mut State<ReaderDatabase<'_>>) {
    for (number, hash) in overrides.block_hash.iter().flatten() {
        state.block_hashes.insert(*number, *hash);
    }
}

/// Pretends about accounts, in the order of their addresses. Like go-ethereum: any override of a precompile takes its
/// native code away, and an account that is left empty exists.
///
/// # Errors
/// [`CallError::Rejected`] for overrides that contradict each other.
pub(crate) fn apply_state(
    overrides: &StateOverride,
    state: &mut State<ReaderDatabase<'_>>,
    precompiles: &mut PrecompilesMap,
) -> Result<(), CallError> {
    let mut accounts = Vec::from_iter(overrides);
    accounts.sort_unstable_by_key(|(address, _)| **address);
    move_precompiles(overrides, &accounts, precompiles)?;
    for (address, wanted) in accounts {
        apply_account(*address, wanted, state)?;
    }
    Ok(())
}

fn move_precompiles(
    overrides: &StateOverride,
    accounts: &[(&Address, &AccountOverride)],
    precompiles: &mut PrecompilesMap,
) -> Result<(), CallError> {
    let native: AddressSet = precompiles.addresses().copied().collect();
    let mut moved = Vec::new();
    for (address, wanted) in accounts {
        let destination = wanted.move_precompile_to;
        if destination.is_some() && !native.contains(*address) {
            return Err(rejected(format!("account {address} is not a precompile")));
        }
        if let Some(taken) = destination.filter(|destination| overrides.contains_key(destination)) {
            return Err(rejected(format!("account {taken} is already overridden")));
        }
        if native.contains(*address) {
            precompiles.apply_precompile(address, |precompile| {
                moved.extend(destination.zip(precompile));
                None
            });
        }
    }
    for (destination, precompile) in moved {
        precompiles.apply_precompile(&destination, |_| Some(precompile));
    }
    Ok(())
}

fn apply_account(
    address: Address,
    wanted: &AccountOverride,
    state: &mut State<ReaderDatabase<'_>>,
) -> Result<(), CallError> {
    if wanted.state.is_some() && wanted.state_diff.is_some() {
        return Err(rejected(format!("account {address} has both 'state' and 'stateDiff'")));
    }
    let mut info = state.basic(address).map_err(reading)?.unwrap_or_default();
    change_info(&mut info, wanted, state);
    if wanted.state.is_some() {
        // What the account stored is gone; what is put in its place below is new.
        let cached = state.load_cache_account(address)?;
        let destroyed = cached.selfdestruct();
        state.apply_transition(destroyed.map(|transition| (address, transition)));
    }
    let mut account = Account::from(info);
    for (slot, value) in wanted.state.iter().chain(&wanted.state_diff).flatten() {
        let original = if wanted.state.is_some() { U256::ZERO } else { stored(address, *slot, state)? };
        let present = U256::from_be_bytes(value.0);
        let changed = EvmStorageSlot::new_changed(original, present, TransactionId::ZERO);
        account.storage.insert(U256::from_be_bytes(slot.0), changed);
    }
    // By hand, because a commit would remove an account that is empty.
    let transition = state.load_cache_account(address)?.change(Cow::Owned(account));
    state.apply_transition([(address, transition)]);
    Ok(())
}

fn change_info(info: &mut AccountInfo, wanted: &AccountOverride, state: &mut State<ReaderDatabase<'_>>) {
    info.balance = wanted.balance.unwrap_or(info.balance);
    info.nonce = wanted.nonce.unwrap_or(info.nonce);
    if let Some(code) = &wanted.code {
        let bytecode = Code::new(code.clone()).into_bytecode();
        info.code_hash = keccak256(code);
        info.code = Some(bytecode.clone());
        state.cache.contracts.insert(info.code_hash, bytecode);
    }
}

fn stored(address: Address, slot: B256, state: &mut State<ReaderDatabase<'_>>) -> Result<U256, CallError> {
    Database::storage(state, address, U256::from_be_bytes(slot.0)).map_err(reading)
}

fn reading(error: MachineDatabaseError) -> CallError {
    match error {
        EvmDatabaseError::Database(error) => CallError::State(error),
        EvmDatabaseError::Bal(error) => CallError::Internal(error.to_string()),
    }
}

fn rejected(reason: impl Into<String>) -> CallError {
    CallError::Rejected(reason.into())
}
