//! Parts of stored rows, found by walking over RLP headers: a row of ten thousand transactions or receipts is not decoded
//! for one of them.

use crate::{ChainError, LogMatcher};
use alloy_primitives::{Address, B256, Bytes, Log, keccak256};
use alloy_rlp::{Decodable, Error, Header};

type Walked<T> = Result<T, Error>;

/// An item of an RLP list.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    /// With its header.
    pub(crate) rlp: &'a [u8],
    payload: &'a [u8],
    is_list: bool,
}

impl<'a> Item<'a> {
    /// The items of this list.
    fn list(self) -> Walked<Items<'a>> {
        if self.is_list { Ok(Items(self.payload)) } else { Err(Error::UnexpectedString) }
    }

    fn string(self) -> Walked<&'a [u8]> {
        if self.is_list { Err(Error::UnexpectedList) } else { Ok(self.payload) }
    }

    /// Of a transaction or receipt as it stands in a block: a legacy one is a list, another one a string of its type and a
    /// list.
    fn envelope(self) -> Walked<Items<'a>> {
        if self.is_list {
            return self.list();
        }
        let (_type, mut list) = self.payload.split_first().ok_or(Error::InputTooShort)?;
        take(&mut list)?.list()
    }
}

/// The items of an RLP list, in order; none behind one that cannot be read.
#[derive(Clone, Copy)]
pub(crate) struct Items<'a>(&'a [u8]);

impl<'a> Items<'a> {
    /// The items of the list that a row is.
    pub(crate) fn of_row(mut row: &'a [u8]) -> Walked<Self> {
        take(&mut row)?.list()
    }

    fn required(&mut self) -> Walked<Item<'a>> {
        self.next().unwrap_or(Err(Error::InputTooShort))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Walked<Item<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let item = take(&mut self.0);
        if item.is_err() {
            self.0 = &[];
        }
        Some(item)
    }
}

fn take<'a>(buffer: &mut &'a [u8]) -> Walked<Item<'a>> {
    let start = *buffer;
    let header = Header::decode(buffer)?;
    let (payload, rest) = buffer.split_at_checked(header.payload_length).ok_or(Error::InputTooShort)?;
    *buffer = rest;
    let rlp = start.get(..start.len() - rest.len()).unwrap_or_default();
    Ok(Item { rlp, payload, is_list: header.list })
}

/// A receipt in the row of its block.
pub(crate) struct RawReceipt<'a> {
    /// As it is encoded.
    pub(crate) rlp: &'a [u8],
    /// Gas used up to and including its transaction.
    pub(crate) cumulative_gas: u64,
    logs: Items<'a>,
}

impl<'a> RawReceipt<'a> {
    fn read(item: Item<'a>) -> Walked<Self> {
        let mut fields = item.envelope()?;
        let _status = fields.required()?;
        let cumulative_gas = u64::decode(&mut fields.required()?.rlp)?;
        let _bloom = fields.required()?;
        Ok(Self { rlp: item.rlp, cumulative_gas, logs: fields.required()?.list()? })
    }

    /// Its logs.
    pub(crate) fn logs(&self) -> impl Iterator<Item = Walked<RawLog<'a>>> + use<'a> {
        self.logs.map(|item| RawLog::read(item?))
    }

    /// How many logs it has.
    pub(crate) fn log_count(&self) -> u64 {
        self.logs.count() as u64
    }
}

/// The receipts in the row of a block.
pub(crate) fn raw_receipts(row: &[u8]) -> Walked<impl Iterator<Item = Walked<RawReceipt<'_>>>> {
    Ok(Items::of_row(row)?.map(|item| RawReceipt::read(item?)))
}

/// A log in a receipt.
pub(crate) struct RawLog<'a> {
    /// Who emitted it.
    pub(crate) address: Address,
    topics: [B256; 4],
    topic_count: usize,
    /// What it says.
    pub(crate) data: &'a [u8],
}

impl<'a> RawLog<'a> {
    fn read(item: Item<'a>) -> Walked<Self> {
        let mut fields = item.list()?;
        let address = Address::decode(&mut fields.required()?.rlp)?;
        let (mut topics, mut topic_count) = ([B256::ZERO; 4], 0);
        for topic in fields.required()?.list()? {
            let place = topics.get_mut(topic_count).ok_or(Error::UnexpectedLength)?;
            *place = B256::decode(&mut topic?.rlp)?;
            topic_count += 1;
        }
        Ok(Self { address, topics, topic_count, data: fields.required()?.string()? })
    }

    /// Its topics.
    pub(crate) fn topics(&self) -> &[B256] {
        self.topics.get(..self.topic_count).unwrap_or_default()
    }

    /// Whether a search wants it; its block is not looked at.
    pub(crate) fn is_wanted(&self, matcher: &LogMatcher) -> bool {
        matcher.wants(&self.address, self.topics())
    }

    /// The same, of its own.
    pub(crate) fn to_log(&self) -> Log {
        Log::new_unchecked(self.address, self.topics().to_vec(), Bytes::copy_from_slice(self.data))
    }
}

/// The row of a block's body.
pub(crate) struct RawBody<'a> {
    transactions: Items<'a>,
    senders: Items<'a>,
}

impl<'a> RawBody<'a> {
    pub(crate) fn read(row: &'a [u8]) -> Walked<Self> {
        let mut fields = Items::of_row(row)?;
        let transactions = fields.required()?.list()?.required()?.list()?;
        Ok(Self { transactions, senders: fields.required()?.list()? })
    }

    /// The transaction at a place, with its sender; `None` beyond the last.
    pub(crate) fn transaction(&self, index: usize) -> Walked<Option<(Item<'a>, Address)>> {
        let (mut transactions, mut senders) = (self.transactions, self.senders);
        let Some(transaction) = transactions.nth(index).transpose()? else { return Ok(None) };
        let sender = senders.nth(index).unwrap_or(Err(Error::InputTooShort))?;
        Ok(Some((transaction, Address::decode(&mut { sender.rlp })?)))
    }

    /// The hashes of the transactions at these places, which ascend.
    pub(crate) fn hashes(&self, indices: impl IntoIterator<Item = usize>) -> Walked<Vec<B256>> {
        let (mut transactions, mut passed) = (self.transactions, 0);
        let hash = |index: usize| {
            let transaction = transactions.nth(index - passed).unwrap_or(Err(Error::InputTooShort))?;
            passed = index + 1;
            // Of a typed one its type and its fields are hashed, without the header of the string that they are here.
            Ok(keccak256(if transaction.is_list { transaction.rlp } else { transaction.payload }))
        };
        indices.into_iter().map(hash).collect()
    }
}

/// The bloom in the row of a header.
pub(crate) fn header_bloom(row: &[u8]) -> Walked<&[u8; 256]> {
    /// Fields before it: hashes of parent and ommers, beneficiary, three roots.
    const PLACE: usize = 6;
    let bloom = Items::of_row(row)?.nth(PLACE).unwrap_or(Err(Error::InputTooShort))?.string()?;
    bloom.try_into().map_err(|_| Error::UnexpectedLength)
}

/// The timestamp in the row of a header.
pub(crate) fn header_timestamp(row: &[u8]) -> Walked<u64> {
    /// Fields before it: those before the bloom, the bloom, difficulty, number, gas limit, gas used.
    const PLACE: usize = 11;
    let timestamp = Items::of_row(row)?.nth(PLACE).unwrap_or(Err(Error::InputTooShort))?;
    u64::decode(&mut { timestamp.rlp })
}

/// What a row that cannot be walked means.
pub(crate) fn damaged(what: &str, number: u64) -> impl FnOnce(Error) -> ChainError {
    move |error| ChainError::Corrupt(format!("{what} row of block {number}: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use crate::block_store::BodyRowRef;
    use alloy_consensus::{BlockBody, Eip658Value, ReceiptWithBloom, SignableTransaction, TxEip1559, TxLegacy};
    use alloy_primitives::{Bloom, Signature, TxKind};
    use heddle_primitives::{Receipt, Transaction};

    fn transactions() -> Vec<Transaction> {
        let signature = || Signature::test_signature();
        let legacy = TxLegacy { to: TxKind::Create, input: vec![1; 300].into(), ..TxLegacy::default() };
        let dynamic = TxEip1559 { nonce: 7, ..TxEip1559::default() };
        vec![
            legacy.clone().into_signed(signature()).into(),
            dynamic.into_signed(signature()).into(),
            legacy.into_signed(signature()).into(),
        ]
    }

    fn receipts() -> Vec<Receipt> {
        let log = |n: u8| {
            let topics = (0..n).map(B256::repeat_byte).collect();
            Log::new_unchecked(Address::repeat_byte(n), topics, vec![n; usize::from(n) * 40].into())
        };
        let receipt = |gas, logs: Vec<Log>| {
            let status = Eip658Value::Eip658(true);
            let receipt = alloy_consensus::Receipt { status, cumulative_gas_used: gas, logs };
            ReceiptWithBloom { logs_bloom: Bloom::repeat_byte(3), receipt }
        };
        let before_byzantium = alloy_consensus::Receipt {
            status: Eip658Value::PostState(B256::repeat_byte(9)),
            cumulative_gas_used: 90_000,
            logs: vec![log(3)],
        };
        vec![
            Receipt::Legacy(receipt(21_000, vec![])),
            Receipt::Eip1559(receipt(70_000, vec![log(0), log(4)])),
            Receipt::Legacy(ReceiptWithBloom { logs_bloom: Bloom::ZERO, receipt: before_byzantium }),
        ]
    }

    #[test]
    fn receipts_and_their_logs_are_found_in_the_row() {
        let receipts = receipts();
        let mut row = Vec::new();
        alloy_rlp::encode_list(&receipts, &mut row);
        let found: Vec<_> = raw_receipts(&row).unwrap().map(Result::unwrap).collect();
        assert_eq!(found.len(), receipts.len());
        for (raw, receipt) in found.iter().zip(&receipts) {
            assert_eq!(alloy_rlp::decode_exact::<Receipt>(raw.rlp).as_ref(), Ok(receipt));
            assert_eq!(raw.cumulative_gas, receipt.cumulative_gas_used());
            assert_eq!(raw.log_count(), receipt.logs().len() as u64);
            let logs: Vec<_> = raw.logs().map(|log| log.unwrap().to_log()).collect();
            assert_eq!(logs, receipt.logs());
        }
    }

    #[test]
    fn transactions_are_found_in_the_row() {
        let transactions = transactions();
        let senders: Vec<_> = (1..=3).map(Address::repeat_byte).collect();
        let body =
            BlockBody { transactions: transactions.clone(), ommers: vec![], withdrawals: Some(Default::default()) };
        let row = alloy_rlp::encode(BodyRowRef { body: &body, senders: senders.clone() });
        let raw = RawBody::read(&row).unwrap();
        for (index, transaction) in transactions.iter().enumerate() {
            let (item, sender) = raw.transaction(index).unwrap().unwrap();
            assert_eq!(alloy_rlp::decode_exact::<Transaction>(item.rlp).as_ref(), Ok(transaction));
            assert_eq!(sender, senders[index]);
        }
        assert!(raw.transaction(3).unwrap().is_none());
        let hashes: Vec<_> = transactions.iter().map(|transaction| *transaction.tx_hash()).collect();
        assert_eq!(raw.hashes(0..3).unwrap(), hashes);
        assert_eq!(raw.hashes([0, 2]).unwrap(), [hashes[0], hashes[2]]);
        assert!(raw.hashes([3]).is_err());
    }

    #[test]
    fn a_cut_row_is_an_error() {
        let mut row = Vec::new();
        alloy_rlp::encode_list(&receipts(), &mut row);
        for length in 0..row.len() {
            let cut = &row[..length];
            let walked = raw_receipts(cut).and_then(|mut receipts| receipts.try_for_each(|receipt| receipt.map(drop)));
            assert!(walked.is_err(), "{length}");
        }
    }
}
