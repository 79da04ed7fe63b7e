//! `eth_simulateV1`.

use crate::arguments::{Arguments, Twice};
use crate::backend::Backend;
use crate::convert::{self, RpcBlock};
use crate::error::{MethodError, revert_message};
use crate::registry::Registry;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Bytes, Sealable};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{
    Log,
    simulate::{SimBlock, SimCallResult, SimulateError, SimulatePayload, SimulatedBlock as Answer},
};
use heddle_chain::{
    BlockRequest, CallStatus, NumberedCall, Overrides, SIMULATED_BLOCKS_MAX, SimulatedBlock, SimulatedCall,
    SimulationError, SimulationRequest, StoredBlock,
};
use jsonrpsee::server::RegisterMethodError;
use serde::Deserialize;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.execute("eth_simulateV1", &["simulation", "block"], simulate)
}

fn simulate(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<Answer<RpcBlock>>, MethodError> {
    let Twice(payload, beside): Twice<SimulatePayload, Beside> = arguments.required()?;
    let number = backend.state_number(arguments.optional()?)?;
    let is_full = payload.return_full_transactions;
    let request = request(payload, beside, backend.chain.genesis().chain_id())?;
    let blocks = backend.limited(|limits| backend.chain.simulate(number, &request, limits))?;
    Ok(blocks.into_iter().map(|block| answer(block, is_full)).collect())
}

/// What the library's type of a simulation leaves out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Beside {
    block_state_calls: Vec<BlockBeside>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockBeside {
    block_overrides: Option<OverridesBeside>,
}

#[derive(Deserialize)]
struct OverridesBeside {
    withdrawals: Option<Vec<Withdrawal>>,
}

impl BlockBeside {
    fn withdrawals(self) -> Vec<Withdrawal> {
        self.block_overrides.and_then(|overrides| overrides.withdrawals).unwrap_or_default()
    }
}

fn request(payload: SimulatePayload, beside: Beside, chain_id: u64) -> Result<SimulationRequest, MethodError> {
    if payload.block_state_calls.is_empty() {
        return Err(MethodError::InvalidParams("empty input".to_owned()));
    }
    if payload.block_state_calls.len() as u64 > SIMULATED_BLOCKS_MAX {
        return Err(SimulationError::TooManyBlocks.into());
    }
    let block = |(block, beside): (SimBlock, BlockBeside)| {
        let overrides = Overrides {
            state: block.state_overrides.unwrap_or_default(),
            block: block.block_overrides.unwrap_or_default(),
        };
        let calls = block.calls.into_iter().map(|call| {
            let nonce = call.nonce;
            Ok(NumberedCall { request: convert::call_request(call, chain_id)?, nonce })
        });
        Ok(BlockRequest {
            overrides,
            calls: calls.collect::<Result<_, MethodError>>()?,
            withdrawals: beside.withdrawals(),
        })
    };
    let blocks = payload.block_state_calls.into_iter().zip(beside.block_state_calls);
    Ok(SimulationRequest {
        blocks: blocks.map(block).collect::<Result<_, MethodError>>()?,
        is_validated: payload.validation,
        traces_transfers: payload.trace_transfers,
    })
}

/// In go-ethereum's shape.
fn answer(simulated: SimulatedBlock, is_full: bool) -> Answer<RpcBlock> {
    let SimulatedBlock { block, senders, calls, .. } = simulated;
    let stored = StoredBlock { header: block.header.clone().seal_slow(), size: block.length(), block, senders };
    let mut log_index = 0;
    let call = |(index, call)| call_result(&stored, index, call, &mut log_index);
    let calls = calls.into_iter().enumerate().map(call).collect();
    Answer { inner: convert::block(&stored, is_full), calls }
}

fn call_result(stored: &StoredBlock, index: usize, call: SimulatedCall, log_index: &mut u64) -> SimCallResult {
    let SimulatedCall { outcome, gas_peak } = call;
    let transaction_hash = stored.block.body.transactions.get(index).map(|transaction| *transaction.tx_hash());
    let logs = outcome.logs.into_iter().map(|inner| {
        let log_index = std::mem::replace(log_index, *log_index + 1);
        Log {
            inner,
            block_hash: Some(stored.header.seal()),
            block_number: Some(stored.header.number),
            block_timestamp: Some(stored.header.timestamp),
            transaction_hash,
            transaction_index: Some(index as u64),
            log_index: Some(log_index),
            removed: false,
        }
    });
    let logs = logs.collect();
    let (return_data, error) = match outcome.status {
        CallStatus::Success => (outcome.output, None),
        CallStatus::Revert => (Bytes::new(), Some(reverted(outcome.output))),
        CallStatus::Halt(message) => {
            let code = SimulateError::VM_EXECUTION_ERROR_CODE;
            (Bytes::new(), Some(SimulateError { code, message, data: None }))
        }
    };
    let (gas_used, status) = (outcome.gas_used, error.is_none());
    SimCallResult { return_data, logs, gas_used, max_used_gas: Some(gas_peak), status, error }
}

fn reverted(output: Bytes) -> SimulateError {
    let message = revert_message(&output);
    SimulateError { code: SimulateError::EXECUTION_REVERTED_CODE, message, data: Some(output) }
}
