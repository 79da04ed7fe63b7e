//! The access list with which a message has nothing cold to touch: `eth_createAccessList`.

use crate::call::{CallOutcome, Simulation, outcome};
use crate::{CallError, CallLimits, CallRequest, ChainRules, Overrides, StateReader};
use alloy_eips::eip2930::AccessList;
use heddle_primitives::Header;
use revm_inspectors::access_list::AccessListInspector;

/// Runs a message on the state after `header` until the accounts and slots that it touches are those of its access list:
/// with another list it may have other gas left, and touch others. Its sender, its callee and precompiles are warm
/// anyway, and not listed.
///
/// Gives the list, and how the run with it ended: also a message that fails has one.
///
/// # Errors
/// As [`crate::call`]; [`CallError::Timeout`] also when lists go round in circles.
pub fn create_access_list(
    rules: &ChainRules,
    reader: &dyn StateReader,
    header: &Header,
    request: &CallRequest,
    overrides: &Overrides,
    limits: &CallLimits<'_>,
) -> Result<(AccessList, CallOutcome), CallError> {
    let gas_limit = request.gas.unwrap_or(limits.gas).min(limits.gas);
    let mut list = request.access_list.clone().unwrap_or_default();
    let request = &CallRequest { access_list: Some(list.clone()), ..request.clone() };
    let simulation = Simulation::new(rules, reader, header, request, overrides, limits)?;
    let mut simulation = simulation.inspected_by(AccessListInspector::default());
    loop {
        *simulation.inspector_mut() = AccessListInspector::new(list.clone());
        simulation.set_access_list(list.clone())?;
        let result = simulation.run(gas_limit).map_err(|error| simulation.explain(error))?;
        let touched = simulation.inspector_mut().access_list();
        if touched == list {
            return Ok((list, outcome(result)));
        }
        list = touched;
    }
}
