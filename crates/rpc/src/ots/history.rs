//! Who made an account's code, and which of its transactions has a nonce.

use crate::account_history::first_block;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace::block_traces;
use crate::trace_budget::TraceBudget;
use alloy_consensus::Transaction;
use alloy_primitives::{Address, TxHash};
use alloy_rpc_types_trace::{
    otterscan::ContractCreator,
    parity::{Action, LocalizedTransactionTrace, TraceOutput},
};
use heddle_primitives::Account;
use jsonrpsee::server::RegisterMethodError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("ots_getTransactionBySenderAndNonce", &["sender", "nonce"], by_sender_and_nonce)?;
    registry.trace("ots_getContractCreator", &["address"], contract_creator)
}

fn by_sender_and_nonce(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<TxHash>, MethodError> {
    let (sender, nonce): (Address, u64) = (arguments.required()?, arguments.required()?);
    let Some(number) = first_block(backend, sender, |account| account.nonce > nonce)? else { return Ok(None) };
    let Some(stored) = backend.block_at(number)? else { return Ok(None) };
    let mut of_sender = stored.block.body.transactions.iter().zip(&stored.senders).filter(|(_, of)| **of == sender);
    let found = of_sender.find(|(transaction, _)| Transaction::nonce(*transaction) == nonce);
    Ok(found.map(|(transaction, _)| *transaction.tx_hash()))
}

fn contract_creator(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Option<ContractCreator>, MethodError> {
    let address: Address = arguments.required()?;
    let Some(number) = first_block(backend, address, Account::has_code)? else { return Ok(None) };
    let traces = block_traces(backend, number, &TraceBudget::new(&backend.limits))?;
    // It may have been destroyed and created again in the block.
    Ok(traces.iter().rev().find_map(|trace| creator(trace, address)))
}

fn creator(trace: &LocalizedTransactionTrace, created: Address) -> Option<ContractCreator> {
    match (&trace.trace.action, &trace.trace.result) {
        (Action::Create(create), Some(TraceOutput::Create(output))) if output.address == created => {
            Some(ContractCreator { hash: trace.transaction_hash?, creator: create.from })
        }
        _ => None,
    }
}
