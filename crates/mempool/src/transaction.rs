//! A transaction that passed every check that needs no account.

use crate::{PoolError, rules::Rules};
use alloy_consensus::{Transaction as _, transaction::SignerRecoverable};
use alloy_eips::eip2718::{Decodable2718, EIP2930_TX_TYPE_ID, EIP4844_TX_TYPE_ID, EIP7702_TX_TYPE_ID, Encodable2718};
use alloy_primitives::{Address, Bytes, TxHash, U256};
use alloy_rlp::{EMPTY_LIST_CODE, EMPTY_STRING_CODE};
use heddle_primitives::{MAX_TRANSACTION_BYTES, RecoveredTransaction, Transaction, TransactionAnnouncement};

/// A transaction with its sender and whatever else the pool asks for more than once.
#[derive(Debug)]
pub struct PoolTransaction {
    recovered: RecoveredTransaction,
    hash: TxHash,
    size: usize,
    cost: U256,
    authorities: Vec<Address>,
}

impl PoolTransaction {
    /// Decodes, checks and recovers: the only way to one.
    pub(crate) fn decode(raw: &[u8], rules: &Rules) -> Result<Self, PoolError> {
        let transaction = decode(raw)?;
        rules.check(&transaction)?;
        let sender = transaction.recover_signer().map_err(|_| PoolError::InvalidSignature)?;
        rules.check_gas(&transaction, sender)?;
        // An authorization that names nobody is skipped by execution, and so it is here. The gas just checked pays
        // for each, which bounds their number.
        let authorizations = transaction.authorization_list().unwrap_or_default();
        let authorities = authorizations.iter().filter_map(|signed| signed.recover_authority().ok()).collect();
        let fees = U256::from(transaction.gas_limit()) * U256::from(transaction.max_fee_per_gas());
        Ok(Self {
            hash: *transaction.tx_hash(),
            size: raw.len(),
            cost: fees.saturating_add(transaction.value()),
            authorities,
            recovered: RecoveredTransaction::new_unchecked(transaction, sender),
        })
    }

    /// Checks everything that needs no account again, by other rules than it was decoded by.
    pub(crate) fn check(&self, rules: &Rules) -> Result<(), PoolError> {
        rules.check(&self.recovered)?;
        rules.check_gas(&self.recovered, self.sender())
    }

    /// The transaction's hash.
    pub fn hash(&self) -> TxHash {
        self.hash
    }

    /// Who signed it.
    pub fn sender(&self) -> Address {
        self.recovered.signer()
    }

    /// The sender's nonce that it uses.
    pub fn nonce(&self) -> u64 {
        self.recovered.nonce()
    }

    /// The transaction with its sender.
    pub fn recovered(&self) -> &RecoveredTransaction {
        &self.recovered
    }

    /// Bytes of its EIP-2718 encoding.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The most that it can take from its sender, in wei: gas limit times fee cap, and the value. Saturates.
    pub fn cost(&self) -> U256 {
        self.cost
    }

    /// What names it to other pools.
    pub fn announcement(&self) -> TransactionAnnouncement {
        // The largest transaction is far below the limit of the number.
        TransactionAnnouncement { hash: self.hash, bytes: self.size as u32 }
    }

    /// Its EIP-2718 encoding.
    pub fn encoded(&self) -> Bytes {
        self.recovered.encoded_2718().into()
    }

    /// The accounts whose code it would set (EIP-7702).
    pub(crate) fn authorities(&self) -> &[Address] {
        &self.authorities
    }

    /// What a unit of its gas would cost at this base fee, in wei; the fee cap when that is less.
    pub(crate) fn price(&self, base_fee: u64) -> u128 {
        let tip_price = self.recovered.priority_fee_or_price().saturating_add(u128::from(base_fee));
        tip_price.min(self.recovered.max_fee_per_gas())
    }

    /// Whether both fees exceed those of `other` by at least `percent`.
    pub(crate) fn outbids(&self, other: &Self, percent: u64) -> bool {
        let factor = U256::from(100 + u128::from(percent));
        let raised = |new: u128, old: u128| new > old && U256::from(new) >= U256::from(old) * factor / U256::from(100);
        let (new, old) = (&self.recovered, &other.recovered);
        raised(new.max_fee_per_gas(), old.max_fee_per_gas())
            && raised(new.priority_fee_or_price(), old.priority_fee_or_price())
    }
}

fn decode(raw: &[u8]) -> Result<Transaction, PoolError> {
    match raw.first() {
        None => Err(PoolError::Decode(alloy_rlp::Error::InputTooShort.into())),
        // Before its size: with its blobs, it is larger than the limit and not in the encoding that blocks hold.
        Some(&EIP4844_TX_TYPE_ID) => Err(PoolError::BlobsDisabled),
        Some(&(EMPTY_STRING_CODE..EMPTY_LIST_CODE)) => {
            Err(PoolError::Decode(alloy_rlp::Error::UnexpectedString.into()))
        }
        Some(&kind) if kind < EMPTY_STRING_CODE && !(EIP2930_TX_TYPE_ID..=EIP7702_TX_TYPE_ID).contains(&kind) => {
            Err(PoolError::UnknownType(kind))
        }
        _ if raw.len() > MAX_TRANSACTION_BYTES => {
            Err(PoolError::Oversized { size: raw.len(), limit: MAX_TRANSACTION_BYTES })
        }
        _ => Transaction::decode_2718_exact(raw).map_err(PoolError::Decode),
    }
}
