//! The least gas limit with which a message succeeds: `eth_estimateGas`, as go-ethereum searches for it.

use crate::call::{Simulation, halt_text};
use crate::machine::MachineError;
use crate::{CallError, CallLimits, CallRequest, ChainRules, Overrides, StateReader};
use alloy_eips::eip7825::MAX_TX_GAS_LIMIT_OSAKA;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::U256;
use heddle_primitives::Header;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction, OutOfGasError};

/// Gas of a plain transfer.
const TRANSFER_GAS: u64 = 21_000;
/// Gas that a call with value gives its callee for free.
const CALL_STIPEND: u64 = 2_300;
/// The search ends when the bounds are nearer than this share of the upper one (in thousandths): what changes on the
/// chain until the transaction runs makes more precision pointless.
const ERROR_PER_MILLE: u64 = 15;

/// Finds a gas limit for a message on the state after `header`, at most 1.5 % above the least that works.
///
/// The search is bounded by the request's gas, the block's gas limit, EIP-7825, what the sender can pay, and `limits`.
///
/// # Errors
/// [`CallError::Reverted`], [`CallError::Halted`] or [`CallError::GasAllowance`] when no allowed limit works, otherwise
/// as [`crate::call`].
pub fn estimate_gas(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    request: &CallRequest,
    overrides: &Overrides,
    limits: &CallLimits<'_>,
) -> Result<u64, CallError> {
    let mut simulation = Simulation::new(rules, reader, header, request, overrides, limits)?;
    let allowance = allowance(rules, request, &mut simulation)?.min(limits.gas);
    if simulation.is_plain_transfer()?
        && allowance >= TRANSFER_GAS
        && matches!(attempt(&mut simulation, TRANSFER_GAS), Ok(Attempt::Success { .. }))
    {
        return Ok(TRANSFER_GAS);
    }
    match attempt(&mut simulation, allowance)? {
        Attempt::Success { gas_used, gas_peak } => search(&mut simulation, gas_used, gas_peak, allowance),
        Attempt::OutOfGas => Err(CallError::GasAllowance(allowance)),
        Attempt::Failed(error) => Err(error),
    }
}

/// The greatest gas limit to try.
fn allowance(rules: &ChainRules, request: &CallRequest, simulation: &mut Simulation<'_>) -> Result<u64, CallError> {
    let block = simulation.block();
    let mut allowance = request.gas.filter(|gas| *gas >= TRANSFER_GAS).unwrap_or(block.gas_limit);
    if rules.is_osaka_active_at_timestamp(block.timestamp.saturating_to()) {
        allowance = allowance.min(MAX_TX_GAS_LIMIT_OSAKA);
    }
    let fee_cap = request.fee_cap();
    if fee_cap == 0 {
        return Ok(allowance);
    }
    let balance = simulation.sender_balance()?;
    let spendable = balance
        .checked_sub(request.value)
        .filter(|rest| request.value.is_zero() || !rest.is_zero())
        .ok_or_else(|| CallError::Rejected("insufficient funds for transfer".to_owned()))?;
    Ok(allowance.min((spendable / U256::from(fee_cap)).saturating_to()))
}

/// Narrows the limit between one that failed and one that succeeded.
fn search(simulation: &mut Simulation<'_>, gas_used: u64, gas_peak: u64, allowance: u64) -> Result<u64, CallError> {
    let mut fails = gas_used.saturating_sub(1);
    let mut succeeds = allowance;
    // What the first run needed at its peak, with what EIP-150 withholds from inner calls, is often just enough.
    let likely = u64::try_from((u128::from(gas_peak) + u128::from(CALL_STIPEND)) * 64 / 63).unwrap_or(u64::MAX);
    let mut next = Some(likely).filter(|likely| *likely < succeeds);
    while fails + 1 < succeeds {
        let limit = match next.take() {
            Some(limit) => limit,
            None if (succeeds - fails).saturating_mul(1000) < succeeds.saturating_mul(ERROR_PER_MILLE) => break,
            // Most messages need little more than they used: search near the lower bound first.
            None => fails.midpoint(succeeds).min(fails.saturating_mul(2)),
        };
        match attempt(simulation, limit)? {
            Attempt::Success { .. } => succeeds = limit,
            Attempt::OutOfGas | Attempt::Failed(_) => fails = limit,
        }
    }
    Ok(succeeds)
}

enum Attempt {
    Success { gas_used: u64, gas_peak: u64 },
    OutOfGas,
    Failed(CallError),
}

fn attempt(simulation: &mut Simulation<'_>, gas_limit: u64) -> Result<Attempt, CallError> {
    match simulation.run(gas_limit) {
        Ok(ExecutionResult::Success { gas, .. }) => {
            Ok(Attempt::Success { gas_used: gas.tx_gas_used(), gas_peak: gas.total_gas_spent().max(gas.floor_gas()) })
        }
        Ok(ExecutionResult::Revert { output, .. }) => Ok(Attempt::Failed(CallError::Reverted(output))),
        Ok(ExecutionResult::Halt { reason: HaltReason::OutOfGas(cause), .. })
            if cause != OutOfGasError::MemoryLimit =>
        {
            Ok(Attempt::OutOfGas)
        }
        Ok(ExecutionResult::Halt { reason, .. }) => Ok(Attempt::Failed(CallError::Halted(halt_text(&reason)))),
        Err(error) if is_intrinsic_gas(&error) => Ok(Attempt::OutOfGas),
        Err(error) => Err(simulation.explain(error)),
    }
}

fn is_intrinsic_gas(error: &MachineError) -> bool {
    matches!(
        error,
        EVMError::Transaction(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
                | InvalidTransaction::GasFloorMoreThanGasLimit { .. }
        )
    )
}
