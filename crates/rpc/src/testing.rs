//! The `testing` namespace: building blocks that nobody proposes.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_consensus::Transaction as _;
use alloy_eips::Decodable2718;
use alloy_primitives::{Bytes, U256};
use alloy_rpc_types_engine::{BlobsBundleV2, ExecutionPayloadEnvelopeV5, ExecutionPayloadV3, PayloadAttributes};
use heddle_chain::{BlockTemplate, DraftedBlock};
use heddle_primitives::Transaction;
use jsonrpsee::server::RegisterMethodError;

const BUILD_ARGUMENTS: &[&str] = &["parentBlockHash", "payloadAttributes", "transactions", "extraData"];

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("testing_buildBlockV1", BUILD_ARGUMENTS, build_block)
}

/// The block that would come after the head with these transactions, or with the mempool's where none are given.
/// Nothing is kept of it. For plain Ethereum chains: on others, consensus alone builds.
fn build_block(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<ExecutionPayloadEnvelopeV5, MethodError> {
    let (parent, attributes) = (arguments.hash()?, arguments.required::<PayloadAttributes>()?);
    let transactions: Option<Vec<Bytes>> = arguments.optional()?;
    let extra_data: Option<Bytes> = arguments.optional()?;
    let head = backend.chain.head();
    if head.hash() != parent {
        let rule = "a block can be built on the head only";
        return Err(MethodError::Rejected(format!("{rule}, which is {}, not on {parent}", head.hash())));
    }
    if attributes.timestamp <= head.header.timestamp {
        let (found, parent) = (attributes.timestamp, head.header.timestamp);
        return Err(MethodError::Rejected(format!("invalid timestamp: {found}, the parent's is {parent}")));
    }
    let mut template = BlockTemplate {
        timestamp: attributes.timestamp,
        fee_recipient: attributes.suggested_fee_recipient,
        prev_randao: attributes.prev_randao,
        parent_beacon_block_root: attributes.parent_beacon_block_root.unwrap_or_default(),
        gas_limit_target: Some(backend.chain.genesis().header().gas_limit),
        extra_data: extra_data.unwrap_or_default(),
        withdrawals: attributes.withdrawals.unwrap_or_default().into(),
        ..BlockTemplate::default()
    };
    let drafted = match transactions {
        Some(raw) => {
            template.transactions = raw.iter().map(decode).collect::<Result<_, _>>()?;
            backend.chain.draft(template, None)?
        }
        None => backend.chain.draft(template, Some(&mut backend.mempool.best()))?,
    };
    Ok(envelope(drafted))
}

fn decode(raw: &Bytes) -> Result<Transaction, MethodError> {
    Transaction::decode_2718_exact(raw)
        .map_err(|error| MethodError::InvalidParams(format!("invalid argument 2 (transactions): {error}")))
}

fn envelope(drafted: DraftedBlock) -> ExecutionPayloadEnvelopeV5 {
    ExecutionPayloadEnvelopeV5 {
        execution_payload: ExecutionPayloadV3::from_block_unchecked(drafted.header.seal(), &drafted.block),
        block_value: value(&drafted),
        blobs_bundle: BlobsBundleV2::default(),
        should_override_builder: false,
        execution_requests: drafted.requests,
    }
}

/// The tips that the block earns its fee recipient, in wei.
fn value(drafted: &DraftedBlock) -> U256 {
    let base_fee = drafted.header.base_fee_per_gas.unwrap_or_default();
    let mut gas_before = 0;
    let tips = drafted.block.body.transactions.iter().zip(&drafted.receipts).map(|(transaction, receipt)| {
        let gas_used = receipt.cumulative_gas_used() - gas_before;
        gas_before = receipt.cumulative_gas_used();
        U256::from(transaction.effective_tip_per_gas(base_fee).unwrap_or_default()) * U256::from(gas_used)
    });
    tips.fold(U256::ZERO, U256::saturating_add)
}
