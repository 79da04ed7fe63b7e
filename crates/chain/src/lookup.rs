//! Single transactions and receipts, cut out of their blocks' rows.

use crate::block_store::missing;
use crate::rlp_rows::{RawBody, damaged, raw_receipts};
use crate::{Chain, ChainError, TransactionLocation};
use alloy_primitives::Address;
use alloy_rlp::{Decodable, Error};
use heddle_primitives::{Receipt, SealedHeader, Transaction};
use heddle_storage::Table;

/// A committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedTransaction {
    /// The header of its block.
    pub header: SealedHeader,
    /// The transaction.
    pub transaction: Transaction,
    /// Who signed it.
    pub sender: Address,
}

/// The receipt of a committed transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MinedReceipt {
    /// The receipt.
    pub receipt: Receipt,
    /// Gas that the transactions before it in the block used together.
    pub gas_before: u64,
    /// How many logs they emitted.
    pub logs_before: u64,
}

impl Chain {
    /// The transaction at a place, without decoding the others of its block; `None` when there is none.
    ///
    /// # Errors
    /// The database's, or a damaged row.
    pub fn transaction_at(&self, location: TransactionLocation) -> Result<Option<MinedTransaction>, ChainError> {
        let number = location.number;
        let cut = |row: &[u8]| {
            let Some((item, sender)) = RawBody::read(row)?.transaction(location.index as usize)? else {
                return Ok(None);
            };
            Ok(Some((Transaction::decode(&mut { item.rlp })?, sender)))
        };
        let cut = self.inner.database.with_row(Table::Bodies, number.to_be_bytes(), cut)?;
        let Some((transaction, sender)) = cut.transpose().map_err(damaged("body", number))?.flatten() else {
            return Ok(None);
        };
        let header = self.header(number)?.ok_or_else(|| missing("header", number))?;
        Ok(Some(MinedTransaction { header, transaction, sender }))
    }

    /// The receipt at a place, without decoding the others of its block; `None` when there is none.
    ///
    /// # Errors
    /// The database's, or a damaged row.
    pub fn receipt_at(&self, location: TransactionLocation) -> Result<Option<MinedReceipt>, ChainError> {
        let TransactionLocation { number, index } = location;
        let cut = |row: &[u8]| cut_receipt(row, index);
        let cut = self.inner.database.with_row(Table::Receipts, number.to_be_bytes(), cut)?;
        Ok(cut.transpose().map_err(damaged("receipts", number))?.flatten())
    }
}

fn cut_receipt(row: &[u8], index: u64) -> Result<Option<MinedReceipt>, Error> {
    let (mut gas_before, mut logs_before) = (0, 0);
    for (place, receipt) in (0..).zip(raw_receipts(row)?) {
        let receipt = receipt?;
        if place == index {
            let receipt = Receipt::decode(&mut { receipt.rlp })?;
            return Ok(Some(MinedReceipt { receipt, gas_before, logs_before }));
        }
        gas_before = receipt.cumulative_gas;
        logs_before += receipt.log_count();
    }
    Ok(None)
}
