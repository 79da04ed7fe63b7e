//! `eth_simulateV1`.

use crate::arguments::{Arguments, read_twice};
use crate::backend::Backend;
use crate::convert::{self, RpcBlock};
use crate::error::{MethodError, revert_message};
use crate::quantities::{Argument, Shape};
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
use serde::{Deserialize, Deserializer};

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.execute("eth_simulateV1", &["simulation", "block"], simulate)
}

fn simulate(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Vec<Answer<RpcBlock>>, MethodError> {
    let Asked { payload, withdrawals } = arguments.required()?;
    let number = backend.state_number(arguments.optional()?)?;
    let is_full = payload.return_full_transactions;
    let request = request(payload, withdrawals, backend.chain.genesis().chain_id())?;
    let blocks = backend.limited(|limits| backend.chain.simulate(number, &request, limits))?;
    Ok(blocks.into_iter().map(|block| answer(block, is_full)).collect())
}

/// A simulation, with what the library's type of it leaves out.
struct Asked {
    payload: SimulatePayload,
    /// Of each block.
    withdrawals: Vec<Vec<Withdrawal>>,
}

impl Argument for Asked {
    const SHAPE: Shape = Shape::Object;
}

impl<'de> Deserialize<'de> for Asked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Blocks {
            block_state_calls: Vec<Block>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Block {
            block_overrides: Option<Overrides>,
        }
        #[derive(Deserialize)]
        struct Overrides {
            withdrawals: Option<Vec<Withdrawal>>,
        }
        let (payload, Blocks { block_state_calls }) = read_twice(deserializer)?;
        let withdrawals = |block: Block| block.block_overrides.and_then(|block| block.withdrawals).unwrap_or_default();
        Ok(Self { payload, withdrawals: block_state_calls.into_iter().map(withdrawals).collect() })
    }
}

fn request(
    payload: SimulatePayload,
    withdrawals: Vec<Vec<Withdrawal>>,
    chain_id: u64,
) -> Result<SimulationRequest, MethodError> {
    if payload.block_state_calls.is_empty() {
        return Err(MethodError::InvalidParams("empty input".to_owned()));
    }
    if payload.block_state_calls.len() as u64 > SIMULATED_BLOCKS_MAX {
        return Err(SimulationError::TooManyBlocks.into());
    }
    let block = |(block, withdrawals): (SimBlock, Vec<Withdrawal>)| {
        let overrides = Overrides {
            state: block.state_overrides.unwrap_or_default(),
            block: block.block_overrides.unwrap_or_default(),
        };
        let calls = block.calls.into_iter().map(|call| {
            let nonce = call.nonce;
            Ok(NumberedCall { request: convert::call_request(call, chain_id)?, nonce })
        });
        Ok(BlockRequest { overrides, calls: calls.collect::<Result<_, MethodError>>()?, withdrawals })
    };
    let blocks = payload.block_state_calls.into_iter().zip(withdrawals);
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
