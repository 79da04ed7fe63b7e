//! From the node's types to the RPC's, in the JSON shapes of go-ethereum.

use crate::error::MethodError;
use alloy_consensus::{Transaction as _, transaction::TransactionInfo};
use alloy_eips::eip7840::BlobParams;
use alloy_network_primitives::BlockTransactions;
use alloy_primitives::{Address, B256, Sealable, TxKind, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth as rpc;
use alloy_serde::JsonStorageKey;
use heddle_chain::{CallRequest, LogEntry, StoredBlock};
use heddle_mempool::PoolTransaction;
use heddle_primitives::{Header, Receipt, RecoveredTransaction, SealedHeader, Transaction};
use serde::Serialize;

/// A transaction with its place in the chain.
pub(crate) type RpcTransaction = rpc::Transaction<Transaction>;
/// A block with its transactions, or only their hashes.
pub(crate) type RpcBlock = rpc::Block<RpcTransaction>;

/// A header without a body, as `newHeads` sends it.
pub(crate) fn header(header: &SealedHeader) -> rpc::Header {
    rpc::Header::from_sealed(header.clone())
}

/// A block, with whole transactions or only their hashes.
pub(crate) fn block(stored: &StoredBlock, full: bool) -> RpcBlock {
    let body = &stored.block.body;
    let transactions = if full {
        let places = 0..body.transactions.len();
        BlockTransactions::Full(places.filter_map(|index| mined_transaction(stored, index)).collect())
    } else {
        BlockTransactions::Hashes(body.transactions.iter().map(|tx| *tx.tx_hash()).collect())
    };
    rpc::Block {
        header: rpc::Header { size: Some(U256::from(stored.size)), ..header(&stored.header) },
        uncles: body.ommers.iter().map(Header::hash_slow).collect(),
        transactions,
        withdrawals: body.withdrawals.clone(),
    }
}

/// An uncle: a header that has no block here.
pub(crate) fn uncle(uncle: Header) -> RpcBlock {
    let block = heddle_primitives::Block { header: uncle, ..Default::default() };
    let size = Some(U256::from(block.length()));
    let sealed = block.header.seal_slow();
    rpc::Block {
        header: rpc::Header { size, ..header(&sealed) },
        uncles: Vec::new(),
        transactions: BlockTransactions::Uncle,
        withdrawals: None,
    }
}

/// The transaction at a place of a block; `None` beyond the last.
pub(crate) fn mined_transaction(stored: &StoredBlock, index: usize) -> Option<RpcTransaction> {
    let (transaction, sender) = transaction_at(stored, index)?;
    Some(placed_transaction(&stored.header, index, transaction.clone(), sender))
}

/// A transaction at a place of the block with this header.
pub(crate) fn placed_transaction(
    header: &SealedHeader,
    index: usize,
    transaction: Transaction,
    sender: Address,
) -> RpcTransaction {
    let info = TransactionInfo {
        hash: Some(*transaction.tx_hash()),
        index: Some(index as u64),
        block_hash: Some(header.seal()),
        block_number: Some(header.number),
        base_fee: header.base_fee_per_gas,
        block_timestamp: Some(header.timestamp),
    };
    RpcTransaction::from_transaction(RecoveredTransaction::new_unchecked(transaction, sender), info)
}

/// A transaction, in a block or on its way to one.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum FoundTransaction {
    Mined(Box<RpcTransaction>),
    Waiting(Box<WaitingTransaction>),
}

/// A transaction that waits in the mempool: its block is `null`, and so is all that a block would say.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WaitingTransaction {
    #[serde(flatten)]
    transaction: RpcTransaction,
    block_timestamp: (),
}

/// A transaction that waits in the mempool.
pub(crate) fn pending_transaction(transaction: &PoolTransaction) -> WaitingTransaction {
    let recovered = transaction.recovered().clone();
    let transaction = RpcTransaction::from_transaction(recovered, TransactionInfo::default());
    WaitingTransaction { transaction, block_timestamp: () }
}

/// What was found in a block, or else in the mempool.
pub(crate) fn found(mined: Option<RpcTransaction>, pooled: Option<&PoolTransaction>) -> Option<FoundTransaction> {
    match mined {
        Some(mined) => Some(FoundTransaction::Mined(Box::new(mined))),
        None => pooled.map(|pooled| FoundTransaction::Waiting(Box::new(pending_transaction(pooled)))),
    }
}

fn transaction_at(stored: &StoredBlock, index: usize) -> Option<(&Transaction, Address)> {
    Some((stored.block.body.transactions.get(index)?, *stored.senders.get(index)?))
}

/// The receipts of a whole block.
pub(crate) fn receipts(
    stored: &StoredBlock,
    receipts: &[Receipt],
    blob_params: Option<BlobParams>,
) -> Vec<rpc::TransactionReceipt> {
    let mut before = Before::default();
    let mut answers = Vec::with_capacity(receipts.len());
    let header = &stored.header;
    let transactions = stored.block.body.transactions.iter().zip(&stored.senders);
    for (index, ((transaction, sender), receipt)) in transactions.zip(receipts).enumerate() {
        let place = Place { header, index, transaction, sender: *sender };
        answers.push(placed_receipt(&place, receipt.clone(), before, blob_params));
        before.pass(receipt);
    }
    answers
}

/// The receipt at a place of a block; `None` beyond the last.
pub(crate) fn receipt(
    stored: &StoredBlock,
    receipts: &[Receipt],
    index: usize,
    blob_params: Option<BlobParams>,
) -> Option<rpc::TransactionReceipt> {
    let mut before = Before::default();
    for receipt in receipts.iter().take(index) {
        before.pass(receipt);
    }
    let (transaction, sender) = transaction_at(stored, index)?;
    let place = Place { header: &stored.header, index, transaction, sender };
    Some(placed_receipt(&place, receipts.get(index)?.clone(), before, blob_params))
}

/// What the earlier transactions of the block add up to.
#[derive(Clone, Copy, Default)]
pub(crate) struct Before {
    /// Gas used.
    pub(crate) gas: u64,
    /// Number of logs.
    pub(crate) logs: u64,
}

/// A transaction and where it stands.
pub(crate) struct Place<'a> {
    pub(crate) header: &'a SealedHeader,
    pub(crate) index: usize,
    pub(crate) transaction: &'a Transaction,
    pub(crate) sender: Address,
}

impl Before {
    fn pass(&mut self, receipt: &Receipt) {
        self.gas = receipt.cumulative_gas_used();
        self.logs += receipt.logs().len() as u64;
    }
}

/// The receipt of the transaction at a place, behind those before it.
pub(crate) fn placed_receipt(
    place: &Place<'_>,
    receipt: Receipt,
    before: Before,
    blob_params: Option<BlobParams>,
) -> rpc::TransactionReceipt {
    let Place { header, index, transaction, sender } = *place;
    let gas_used = receipt.cumulative_gas_used().saturating_sub(before.gas);
    let transaction_hash = *transaction.tx_hash();
    let mut log_index = before.logs..;
    let inner = receipt.map_logs(|log| rpc::Log {
        inner: log,
        block_hash: Some(header.seal()),
        block_number: Some(header.number),
        block_timestamp: Some(header.timestamp),
        transaction_hash: Some(transaction_hash),
        transaction_index: Some(index as u64),
        log_index: log_index.next(),
        removed: false,
    });
    let blob_gas_used = transaction.blob_gas_used();
    rpc::TransactionReceipt {
        inner,
        transaction_hash,
        transaction_index: Some(index as u64),
        block_hash: Some(header.seal()),
        block_number: Some(header.number),
        gas_used,
        effective_gas_price: transaction.effective_gas_price(header.base_fee_per_gas),
        blob_gas_used,
        blob_gas_price: blob_gas_used.and(blob_params).and_then(|params| header.blob_fee(params)),
        from: sender,
        to: transaction.to(),
        contract_address: transaction.is_create().then(|| sender.create(transaction.nonce())),
    }
}

/// A log with its place in the chain.
pub(crate) fn log(entry: LogEntry) -> rpc::Log {
    rpc::Log {
        inner: entry.log,
        block_hash: Some(entry.block_hash),
        block_number: Some(entry.block_number),
        block_timestamp: Some(entry.block_timestamp),
        transaction_hash: Some(entry.transaction_hash),
        transaction_index: Some(entry.transaction_index),
        log_index: Some(entry.log_index),
        removed: false,
    }
}

/// A slot as go-ethereum reads it: up to 32 bytes in hexadecimal, with or without `0x` and zeros in front.
pub(crate) fn storage_key(text: &str) -> Result<JsonStorageKey, MethodError> {
    const BYTES_MAX: usize = 32;
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    let invalid = |reason: &str| MethodError::InvalidParams(format!("{reason}: \"{text:.80}\""));
    if digits.len() > 2 * BYTES_MAX {
        return Err(invalid("storage key too long (want at most 32 bytes)"));
    }
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(invalid("invalid hex in storage key"));
    }
    let value = format!("0x{digits:0>64}").parse::<B256>().map_err(|_| invalid("invalid hex in storage key"))?;
    let is_whole = digits.len().div_ceil(2) == BYTES_MAX;
    Ok(if is_whole { JsonStorageKey::Hash(value) } else { JsonStorageKey::Number(value.into()) })
}

/// The call that a transaction object describes, on the chain with this id.
pub(crate) fn call_request(request: rpc::TransactionRequest, chain_id: u64) -> Result<CallRequest, MethodError> {
    if let Some(theirs) = request.chain_id.filter(|theirs| *theirs != chain_id) {
        let message = format!("chainId does not match node's (have={theirs}, want={chain_id})");
        return Err(MethodError::Rejected(message));
    }
    if request.sidecar.is_some() {
        return Err(MethodError::Rejected("a call takes blobVersionedHashes, not blobs".to_owned()));
    }
    let data = request.input.try_into_unique_input().map_err(|_| {
        let rule = r#"both "data" and "input" are set and not equal"#;
        MethodError::Rejected(format!(r#"{rule}. Please use "input" to pass transaction call data"#))
    })?;
    Ok(CallRequest {
        from: request.from.unwrap_or_default(),
        to: request.to.and_then(TxKind::into_to),
        value: request.value.unwrap_or_default(),
        data: data.unwrap_or_default(),
        gas: request.gas,
        gas_price: request.gas_price,
        max_fee_per_gas: request.max_fee_per_gas,
        max_priority_fee_per_gas: request.max_priority_fee_per_gas,
        access_list: request.access_list,
        authorization_list: request.authorization_list.unwrap_or_default(),
        blob_hashes: request.blob_versioned_hashes.unwrap_or_default(),
        max_fee_per_blob_gas: request.max_fee_per_blob_gas,
    })
}
