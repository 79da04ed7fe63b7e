//! An account's versions: what each transaction of the block leaves of it.

use super::sync::{AtomicBool, Ordering, RwLock};
use super::versions::Versions;
use alloy_primitives::{Address, B256, U256};
use heddle_primitives::Account;

/// A transaction before this one will write here again: what it wrote at its last try is only a guess that it will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitFor(pub(crate) u32);

/// What a transaction does to a balance. Credits and debits of transactions that did not look at the balance commute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BalanceWrite {
    #[default]
    Keep,
    Credit(U256),
    Debit(U256),
    Set(U256),
}

impl BalanceWrite {
    /// The write that leads from one balance to another without naming either.
    pub(crate) fn difference(before: U256, after: U256) -> Self {
        match after.cmp(&before) {
            std::cmp::Ordering::Equal => Self::Keep,
            std::cmp::Ordering::Greater => Self::Credit(after - before),
            std::cmp::Ordering::Less => Self::Debit(before - after),
        }
    }

    /// The balance after the write; `None` where it leaves the range of balances.
    fn apply(self, balance: U256) -> Option<U256> {
        match self {
            Self::Keep => Some(balance),
            Self::Credit(amount) => balance.checked_add(amount),
            Self::Debit(amount) => balance.checked_sub(amount),
            Self::Set(balance) => Some(balance),
        }
    }
}

/// What a transaction does to an account that it touches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountWrite {
    pub(crate) balance: BalanceWrite,
    pub(crate) nonce: Option<u64>,
    pub(crate) code_hash: Option<B256>,
    /// The account and all its storage are gone.
    pub(crate) is_destroyed: bool,
}

impl AccountWrite {
    /// The account after the write: none when it is empty (EIP-161). `Err` where the balance leaves its range.
    pub(crate) fn apply(&self, before: Option<Account>) -> Result<Option<Account>, OutOfRange> {
        if self.is_destroyed {
            return Ok(None);
        }
        let before = before.unwrap_or_default();
        let account = Account {
            nonce: self.nonce.unwrap_or(before.nonce),
            balance: self.balance.apply(before.balance).ok_or(OutOfRange)?,
            code_hash: self.code_hash.unwrap_or(before.code_hash),
        };
        Ok((!account.is_empty()).then_some(account))
    }
}

/// Credits or debits that were never possible together: speculation went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange;

/// The account with a fee added to its balance. A fee that does not fit is not paid, as revm has it.
pub(crate) fn credited(account: Option<Account>, fee: U256) -> Option<Account> {
    let mut account = account.unwrap_or_default();
    account.balance = account.balance.checked_add(fee).unwrap_or(account.balance);
    (!account.is_empty()).then_some(account)
}

/// What a transaction leaves of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Written at the last try; another try is under way.
    Estimate,
    /// Speculative, relative to what is before it.
    Pending(AccountWrite),
    /// For good.
    Final(Option<Account>),
}

/// One account with all its versions.
#[derive(Debug)]
pub(crate) struct AccountCell {
    pub(crate) address: Address,
    /// Before the block.
    pub(crate) base: Option<Account>,
    /// Lets the many accounts that nobody writes be read without a lock.
    is_written: AtomicBool,
    is_accessed: AtomicBool,
    history: RwLock<History>,
}

#[derive(Debug, Default)]
struct History {
    versions: Versions<Version>,
    /// The transactions after which the account's storage was empty.
    wiped: Vec<u32>,
}

impl AccountCell {
    pub(crate) fn new(address: Address, base: Option<Account>) -> Self {
        Self {
            address,
            base,
            is_written: AtomicBool::new(false),
            is_accessed: AtomicBool::new(false),
            history: RwLock::new(History::default()),
        }
    }

    /// The account as the versions before `index` leave it.
    pub(crate) fn read(&self, index: u32) -> Result<Option<Account>, WaitFor> {
        if !self.is_written.load(Ordering::Acquire) {
            return Ok(self.base);
        }
        self.history.read().resolve(self.base, index)
    }

    /// Publishes what `index` speculatively does.
    pub(crate) fn publish(&self, index: u32, write: AccountWrite) {
        let mut history = self.history.write();
        history.versions.insert(index, Version::Pending(write));
        if write.is_destroyed {
            history.wipe(index);
        }
        self.is_written.store(true, Ordering::Release);
    }

    /// Writes the account after `index` for good, as `after` makes it of the one before.
    pub(crate) fn settle<E: From<WaitFor>>(
        &self,
        index: u32,
        after: impl FnOnce(Option<Account>) -> Result<Option<Account>, E>,
    ) -> Result<(), E> {
        let mut history = self.history.write();
        let before = history.resolve(self.base, index)?;
        let after = after(before)?;
        history.versions.insert(index, Version::Final(after));
        if after.is_none() {
            history.wipe(index);
        }
        self.is_written.store(true, Ordering::Release);
        Ok(())
    }

    /// Adds a fee to the account after `index`, for good.
    pub(crate) fn credit(&self, index: u32, fee: U256) -> Result<(), WaitFor> {
        let mut history = self.history.write();
        let before = history.resolve(self.base, index.saturating_add(1))?;
        let after = credited(before, fee);
        if after != before {
            history.versions.insert(index, Version::Final(after));
            self.is_written.store(true, Ordering::Release);
        }
        if after.is_some() {
            // Empty before the fee is not empty after the transaction.
            history.wiped.retain(|wiped| *wiped != index);
        } else if before.is_some() {
            history.wipe(index);
        }
        Ok(())
    }

    /// Turns what `index` wrote into an estimate, for the time of its next try.
    pub(crate) fn retract(&self, index: u32) {
        let mut history = self.history.write();
        history.versions.replace(index, Version::Estimate);
        history.wiped.retain(|wiped| *wiped != index);
    }

    /// Removes what `index` wrote at its last try, if it did not write it again.
    pub(crate) fn forget(&self, index: u32) {
        self.history.write().versions.remove_if(index, |version| *version == Version::Estimate);
    }

    /// The account after `index`, if that wrote it for good.
    pub(crate) fn at(&self, index: u32) -> Option<Option<Account>> {
        if !self.is_written.load(Ordering::Acquire) {
            return None;
        }
        match self.history.read().versions.at(index)? {
            Version::Final(account) => Some(*account),
            Version::Estimate | Version::Pending(_) => None,
        }
    }

    /// The last transaction before `index` that left the account without storage.
    pub(crate) fn wiped_before(&self, index: u32) -> Option<u32> {
        if !self.is_written.load(Ordering::Acquire) {
            return None;
        }
        self.history.read().wiped.iter().rev().find(|wiped| **wiped < index).copied()
    }

    /// Notes that a transaction of the block accessed the account, whether or not it wrote to it.
    pub(crate) fn access(&self) {
        if !self.is_accessed.load(Ordering::Relaxed) {
            self.is_accessed.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn is_accessed(&self) -> bool {
        self.is_accessed.load(Ordering::Relaxed)
    }

    /// Whether an account that was there before the block lost its storage in it.
    pub(crate) fn is_wiped(&self) -> bool {
        self.base.is_some() && !self.history.read().wiped.is_empty()
    }

    /// The account after each transaction that wrote it, once all are final.
    pub(crate) fn history(&self) -> Vec<(u32, Option<Account>)> {
        let finals = |(index, version): &(u32, Version)| match version {
            Version::Final(account) => Some((*index, *account)),
            Version::Estimate | Version::Pending(_) => None,
        };
        self.history.read().versions.iter().filter_map(finals).collect()
    }
}

impl History {
    fn wipe(&mut self, index: u32) {
        if let Err(place) = self.wiped.binary_search(&index) {
            self.wiped.insert(place, index);
        }
    }

    fn resolve(&self, base: Option<Account>, index: u32) -> Result<Option<Account>, WaitFor> {
        let before = self.versions.before(index);
        let mut settled = base;
        let mut pending = 0;
        for (index, version) in before.iter().rev() {
            match version {
                Version::Estimate => return Err(WaitFor(*index)),
                Version::Pending(_) => pending += 1,
                Version::Final(account) => {
                    settled = *account;
                    break;
                }
            }
        }
        for (_, version) in before.iter().skip(before.len() - pending) {
            if let Version::Pending(write) = version {
                // Out of range is a speculation that will fail: any value does until then.
                settled = write.apply(settled).unwrap_or(settled);
            }
        }
        Ok(settled)
    }
}
