//! Receipts of our own types.

use alloy_consensus::{Eip658Value, Receipt as ReceiptBody, TransactionEnvelope};
use alloy_evm::{
    Evm,
    eth::receipt_builder::{ReceiptBuilder, ReceiptBuilderCtx},
};
use alloy_primitives::B256;
use heddle_primitives::{Receipt, Transaction};

/// Turns execution results into typed receipts with their blooms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypedReceipts;

impl ReceiptBuilder for TypedReceipts {
    type Transaction = Transaction;
    type Receipt = Receipt;

    fn build_receipt<E: Evm>(
        &self,
        context: ReceiptBuilderCtx<'_, <Transaction as TransactionEnvelope>::TxType, E>,
    ) -> Receipt {
        let body = ReceiptBody {
            status: Eip658Value::Eip658(context.result.is_success()),
            cumulative_gas_used: context.cumulative_gas_used,
            logs: context.result.into_logs(),
        };
        Receipt::from_typed(context.tx_type, body)
    }
}

/// Replaces a receipt's status by the state root after its transaction, as before Byzantium (EIP-658).
pub(crate) fn with_state_root(receipt: Receipt, root: B256) -> Receipt {
    let tx_type = receipt.tx_type();
    let status = Eip658Value::PostState(root);
    Receipt::from_typed(tx_type, ReceiptBody { status, ..receipt.into_receipt() })
}
