//! Adding several transactions under one lock, with accounts that were read before it was taken.

use crate::ports::{ChainReadError, ChainReader};
use crate::sender::{AccountCode, Entry, SenderAccount};
use crate::state::{Changes, Pool};
use crate::{MempoolMetrics, Origin, PoolError, PoolTransaction};
use alloy_primitives::{Address, TxHash};
use revm::bytecode::eip7702::EIP7702_MAGIC_BYTES;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Reads senders' accounts, each once.
pub(crate) struct Accounts<'a> {
    chain: &'a dyn ChainReader,
    read: HashMap<Address, SenderAccount>,
}

impl<'a> Accounts<'a> {
    pub(crate) fn new(chain: &'a dyn ChainReader) -> Self {
        Self { chain, read: HashMap::new() }
    }

    pub(crate) fn get(&mut self, sender: Address) -> Result<SenderAccount, ChainReadError> {
        if let Some(known) = self.read.get(&sender) {
            return Ok(*known);
        }
        let account = self.chain.account(sender)?;
        let code = if !account.has_code() {
            AccountCode::Empty
        } else if self.chain.code(account.code_hash)?.starts_with(EIP7702_MAGIC_BYTES) {
            AccountCode::Delegation
        } else {
            AccountCode::Contract
        };
        let account = SenderAccount { nonce: account.nonce, balance: account.balance, code };
        self.read.insert(sender, account);
        Ok(account)
    }

    /// Forgets what was read, so that it is read at the chain's present head.
    pub(crate) fn clear(&mut self) {
        self.read.clear();
    }

    pub(crate) fn read(&self) -> &HashMap<Address, SenderAccount> {
        &self.read
    }
}

/// A visit to the locked pool.
pub(crate) struct Additions<'a> {
    pub(crate) pool: &'a mut Pool,
    pub(crate) accounts: Accounts<'a>,
    pub(crate) metrics: &'a MempoolMetrics,
    pub(crate) origin: Origin,
    pub(crate) now: Instant,
    /// What became pending so far.
    pub(crate) promoted: Vec<Entry>,
}

impl Additions<'_> {
    /// Adds what decoding gave, and counts what comes of it.
    pub(crate) fn add(&mut self, decoded: Result<PoolTransaction, PoolError>) -> Result<TxHash, PoolError> {
        let result = decoded.and_then(|transaction| self.add_decoded(transaction));
        result.inspect_err(|error| self.metrics.on_refused(self.origin, error))
    }

    fn add_decoded(&mut self, transaction: PoolTransaction) -> Result<TxHash, PoolError> {
        let hash = transaction.hash();
        let account = self.accounts.get(transaction.sender())?;
        let Changes { promoted, removed } = self.pool.set_account(transaction.sender(), account);
        self.metrics.removed.inc_by(removed as u64);
        self.promoted.extend(promoted);
        let added = self.pool.add(Arc::new(transaction), account, self.origin, self.now)?;
        self.metrics.on_added(self.origin, added.replaced, added.evicted);
        self.promoted.extend(added.promoted);
        Ok(hash)
    }
}
