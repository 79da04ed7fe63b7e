//! Constantinople without Petersburg, which revm does not know: EIP-1283's gas for SSTORE.

use crate::machine::{MachineContext, MachineDatabase};
use revm::{
    context_interface::cfg::{
        GasId, GasParams,
        gas::{SSTORE_RESET, SSTORE_SET},
    },
    interpreter::{
        Host, InstructionContext, InstructionExecResult, InstructionResult,
        instructions::host::sstore_with_gas_accounting, interpreter::EthInterpreter,
    },
    primitives::hardfork::SpecId,
};

/// EIP-1283 is EIP-2200 with Constantinople's price of a read, and without the gas that EIP-2200 asks to be left.
pub(crate) fn gas_params(spec: SpecId) -> GasParams {
    const SLOAD: u64 = 200;
    let mut gas = GasParams::new_spec(spec);
    gas.override_gas([
        (GasId::sstore_static(), SLOAD),
        (GasId::sstore_set_without_load_cost(), SSTORE_SET - SLOAD),
        (GasId::sstore_reset_without_cold_load_cost(), SSTORE_RESET - SLOAD),
        (GasId::sstore_set_refund(), SSTORE_SET - SLOAD),
        (GasId::sstore_reset_refund(), SSTORE_RESET - SLOAD),
    ]);
    gas
}

pub(crate) fn sstore<D: MachineDatabase>(
    context: InstructionContext<'_, MachineContext<D>, EthInterpreter>,
) -> InstructionExecResult {
    sstore_with_gas_accounting(context, |context, _, load| {
        let gas = context.host.gas_params();
        let (cost, refund) = (gas.sstore_dynamic_gas(true, &load.data, false), gas.sstore_refund(true, &load.data));
        if !context.interpreter.gas.record_regular_cost(cost) {
            return Err(InstructionResult::OutOfGas);
        }
        context.interpreter.gas.record_refund(refund);
        Ok(())
    })
}
