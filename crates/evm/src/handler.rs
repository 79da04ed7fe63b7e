//! How a transaction of a block is run: as revm does, noting whether it met the fee recipient.

use crate::machine::{Machine, MachineContext, MachineDatabase, MachineError};
use revm::{
    Inspector,
    context::result::HaltReason,
    handler::{FrameResult, Handler, MainnetHandler},
    inspector::InspectorHandler,
    interpreter::interpreter::EthInterpreter,
};
use std::marker::PhantomData;

/// revm's handler, except that the machine looks around before the fee recipient is paid: afterwards a payment cannot
/// be told from a look at the balance.
pub(crate) struct BlockHandler<D, I>(PhantomData<fn(D, I)>);

impl<D, I> Default for BlockHandler<D, I> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D: MachineDatabase, I> Handler for BlockHandler<D, I> {
    type Evm = Machine<D, I>;
    type Error = MachineError;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Machine<D, I>, result: &mut FrameResult) -> Result<(), MachineError> {
        evm.note_fee_recipient();
        MainnetHandler::default().reward_beneficiary(evm, result)
    }
}

impl<D: MachineDatabase, I: Inspector<MachineContext<D>>> InspectorHandler for BlockHandler<D, I> {
    type IT = EthInterpreter;
}
