//! `eth_sendRawTransactionSync`: sends a transaction and answers with its receipt (EIP-7966).

use super::transactions::{self, submit};
use crate::RpcLimits;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::obstacle::{self, Obstacle};
use crate::registry::Registry;
use crate::waiting::Waiting;
use alloy_primitives::{Bytes, TxHash};
use alloy_rpc_types_eth::{Index, TransactionReceipt};
use heddle_chain::CommittedBlock;
use jsonrpsee::server::RegisterMethodError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.waiting("eth_sendRawTransactionSync", &["transaction", "timeout"], serve)
}

async fn serve(call: Waiting) -> Result<TransactionReceipt, MethodError> {
    let (raw, wait) = {
        let mut arguments = call.arguments()?;
        let raw: Bytes = arguments.required()?;
        (raw, wait(&call.backend.limits, arguments.optional()?))
    };
    // From before anybody knows of the transaction: no block that has it is missed.
    let blocks = call.backend.chain.subscribe();
    let received = call.received;
    let hash = call.blocking(move |backend| submit_ready(backend, &raw, received)).await?;
    tokio::time::timeout(wait, mined(&call, blocks, hash))
        .await
        .map_err(|_| MethodError::NotMinedInTime { hash, milliseconds: wait.as_millis() as u64 })??;
    let receipt = call.blocking(move |backend| transactions::receipt_of(backend, hash)).await?;
    receipt.ok_or_else(|| MethodError::Internal(format!("no receipt of {hash}, which was just mined")))
}

/// How long to wait for who wants to wait so many milliseconds. The proposal says that what is out of range counts as not given.
fn wait(limits: &RpcLimits, wanted: Option<Index>) -> Duration {
    let wanted = wanted.map(|Index(wanted)| Duration::from_millis(wanted as u64));
    wanted.filter(|wanted| !wanted.is_zero() && *wanted <= limits.sync_wait_max).unwrap_or(limits.sync_wait)
}

/// Gives it to the mempool; an error when it is not the next of its sender there.
fn submit_ready(backend: &Backend, raw: &[u8], received: SystemTime) -> Result<TxHash, MethodError> {
    let hash = submit(backend, raw, received)?;
    // What is not in the pool any more has been mined meanwhile.
    let Some(transaction) = backend.mempool.get(&hash) else { return Ok(hash) };
    match obstacle::before_its_turn(backend, &transaction)? {
        Some(obstacle @ (Obstacle::NonceGap { .. } | Obstacle::InsufficientFunds { .. })) => {
            Err(MethodError::NotReady { hash, reason: obstacle.to_string() })
        }
        _ => Ok(hash),
    }
}

/// Resolves when a block has the transaction.
async fn mined(call: &Waiting, mut blocks: Receiver<Arc<CommittedBlock>>, hash: TxHash) -> Result<(), MethodError> {
    loop {
        match blocks.recv().await {
            Ok(block) => {
                if block.block.body.transactions.iter().any(|transaction| *transaction.tx_hash() == hash) {
                    return Ok(());
                }
            }
            // One of the missed blocks may have had it.
            Err(RecvError::Lagged(_)) => {
                if call.blocking(move |backend| Ok(backend.chain.transaction(hash)?)).await?.is_some() {
                    return Ok(());
                }
            }
            Err(RecvError::Closed) => return Err(MethodError::Internal("the chain has ended".to_owned())),
        }
    }
}
