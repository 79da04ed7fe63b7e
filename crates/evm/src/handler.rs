//! How a transaction of a block is run: as revm does, noting whether it met the fee recipient.

use crate::machine::{Machine, MachineDatabase, MachineError};
use revm::{
    context::result::HaltReason,
    handler::{FrameResult, Handler, MainnetHandler},
};
use std::marker::PhantomData;

/// revm's handler, except that the machine looks around before the fee recipient is paid: afterwards a payment cannot
/// be told from a look at the balance.
pub(crate) struct BlockHandler<D>(PhantomData<fn(D)>);

impl<D> Default for BlockHandler<D> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<D: MachineDatabase> Handler for BlockHandler<D> {
    type Evm = Machine<D>;
    type Error = MachineError;
    type HaltReason = HaltReason;

    fn reward_beneficiary(&self, evm: &mut Machine<D>, result: &mut FrameResult) -> Result<(), MachineError> {
        evm.note_fee_recipient();
        MainnetHandler::default().reward_beneficiary(evm, result)
    }
}
