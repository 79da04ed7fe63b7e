//! When something became true of an account.

use crate::backend::Backend;
use crate::error::MethodError;
use alloy_primitives::Address;
use heddle_chain::ChainError;
use heddle_primitives::Account;

/// The first block after which `holds` is true of an account, for what stays true once it is; `None` when it never is.
///
/// # Errors
/// When it was so in the oldest state that this node has, which is not the chain's first.
pub(crate) fn first_block(
    backend: &Backend,
    address: Address,
    holds: impl Fn(&Account) -> bool,
) -> Result<Option<u64>, MethodError> {
    let holds_after = |number: u64| -> Result<bool, MethodError> {
        let account = backend.chain.state_at(number)?.account(address).map_err(ChainError::from)?;
        Ok(account.as_ref().is_some_and(&holds))
    };
    let oldest = backend.chain.states_from()?;
    let (mut low, mut high) = (oldest, backend.head_number());
    if !holds_after(high)? {
        return Ok(None);
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if holds_after(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    if high == oldest && oldest > backend.chain.genesis().header().number {
        return Err(MethodError::Rejected(format!(
            "it was in block {oldest} or before it: older states are not in this node's database"
        )));
    }
    Ok(Some(high))
}
