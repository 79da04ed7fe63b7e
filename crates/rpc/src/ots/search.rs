//! The transactions of an address, page by page.

use super::blocks::{receipts, without_logs};
use super::changes::changing;
use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::convert::{self, RpcTransaction};
use crate::error::MethodError;
use crate::registry::Registry;
use crate::trace_budget::TraceBudget;
use alloy_primitives::{Address, BloomInput};
use alloy_rpc_types_eth::TransactionReceipt;
use alloy_rpc_types_trace::otterscan::{OtsTransactionReceipt, TransactionsWithReceipts};
use heddle_chain::StoredBlock;
use jsonrpsee::server::RegisterMethodError;

/// Most blocks that one search looks at.
const BLOCKS_MAX: usize = 10_000;
/// Most transactions on a page, not counting the rest of the last one's block.
const PAGE_MAX: usize = 100;

pub(super) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.scan("ots_searchTransactionsBefore", &["address", "blockNumber", "pageSize"], before)?;
    registry.scan("ots_searchTransactionsAfter", &["address", "blockNumber", "pageSize"], after)
}

type Page = TransactionsWithReceipts<RpcTransaction>;

/// Newest first, from the block before the one named; from the head when that is 0.
fn before(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Page, MethodError> {
    let (address, number, page_size) = (arguments.required()?, arguments.required::<u64>()?, arguments.required()?);
    let head = backend.head_number();
    let end = if number == 0 { head.saturating_add(1) } else { number.min(head.saturating_add(1)) };
    let found = search(backend, address, (backend.chain.blocks_from()..end).rev(), page_size)?;
    Ok(found.page(number == 0, |found| found.is_exhausted))
}

/// Newest first, up to the head, from the block after the one named; from the beginning when that is 0.
fn after(backend: &Backend, arguments: &mut Arguments<'_>) -> Result<Page, MethodError> {
    let (address, number, page_size) = (arguments.required()?, arguments.required::<u64>()?, arguments.required()?);
    let first = if number == 0 { 0 } else { number.saturating_add(1) }.max(backend.chain.blocks_from());
    let mut found = search(backend, address, first..=backend.head_number(), page_size)?;
    found.transactions.reverse();
    let is_exhausted = found.is_exhausted;
    Ok(found.page(is_exhausted, |_| number == 0))
}

/// What a search has found, and whether it has looked at all there is.
struct Found {
    transactions: Vec<(RpcTransaction, OtsTransactionReceipt)>,
    is_exhausted: bool,
}

impl Found {
    fn page(self, first_page: bool, is_last: impl FnOnce(&Self) -> bool) -> Page {
        let last_page = is_last(&self);
        let (txs, receipts) = self.transactions.into_iter().unzip();
        TransactionsWithReceipts { txs, receipts, first_page, last_page }
    }
}

/// Looks at blocks in the order given until a page is full.
fn search(
    backend: &Backend,
    address: Address,
    blocks: impl Iterator<Item = u64>,
    page_size: usize,
) -> Result<Found, MethodError> {
    let budget = TraceBudget::new(&backend.limits);
    let mut transactions = Vec::new();
    for (looked_at, number) in blocks.enumerate() {
        if transactions.len() >= page_size.clamp(1, PAGE_MAX) {
            return Ok(Found { transactions, is_exhausted: false });
        }
        if looked_at >= BLOCKS_MAX || budget.check().is_err() {
            let text = format!("no transaction of {address} in {looked_at} blocks up to block {number}: go on there");
            let is_empty = transactions.is_empty();
            let found = Found { transactions, is_exhausted: false };
            return if is_empty { Err(MethodError::LimitExceeded(text)) } else { Ok(found) };
        }
        if let Some(stored) = backend.block_at(number)? {
            transactions.extend(of_block(backend, &stored, address)?);
        }
    }
    Ok(Found { transactions, is_exhausted: true })
}

/// The transactions of a block that the address takes part in, that change it, or whose logs name it; last first.
fn of_block(
    backend: &Backend,
    stored: &StoredBlock,
    address: Address,
) -> Result<Vec<(RpcTransaction, OtsTransactionReceipt)>, MethodError> {
    let bloom = &stored.header.logs_bloom;
    let may_log = bloom.contains_input(BloomInput::Raw(address.as_slice()))
        || bloom.contains_input(BloomInput::Raw(address.into_word().as_slice()));
    let changing = changing(backend, stored, address)?;
    let takes_part = |index: usize| {
        let sends = stored.senders.get(index) == Some(&address);
        let transaction = stored.block.body.transactions.get(index);
        sends
            || changing.contains(&index)
            || transaction
                .is_some_and(|transaction| alloy_consensus::Transaction::kind(transaction).to() == Some(&address))
    };
    let has_creations = stored.block.body.transactions.iter().any(alloy_consensus::Transaction::is_create);
    let count = stored.block.body.transactions.len();
    if !may_log && !has_creations && !(0..count).any(takes_part) {
        return Ok(Vec::new());
    }
    let receipts = receipts(backend, stored)?.into_iter().enumerate().rev();
    let wanted = receipts.filter(|(index, receipt)| takes_part(*index) || names(receipt, address));
    let placed = wanted.filter_map(|(index, receipt)| {
        Some((convert::mined_transaction(stored, index)?, without_logs(receipt, stored.header.timestamp)))
    });
    Ok(placed.collect())
}

/// Whether a receipt is of a creation of the address, or has a log of it or with it as a topic.
fn names(receipt: &TransactionReceipt, address: Address) -> bool {
    let word = address.into_word();
    receipt.contract_address == Some(address)
        || receipt.logs().iter().any(|log| log.address() == address || log.topics().contains(&word))
}
