//! The flat tables and the tries over them.

use super::findings::{CheckObserver, Findings, Meter};
use crate::StateError;
use crate::rebuild::Rebuild;
use crate::rows::{AccountKey, TrieId, encode_value};
use alloy_primitives::{B256, KECCAK256_EMPTY, U256};
use alloy_trie::{Nibbles, TrieAccount};
use heddle_storage::{Row, Rows, Snapshot, Table};
use std::cmp::Ordering;
use std::iter::Peekable;

/// Tags of the two kinds of tries in [`Table::TrieNodes`] (see [`TrieId::node_key`]).
const ACCOUNTS_TAG: &[u8] = &[0];
const STORAGE_TAG: &[u8] = &[1];
const OTHER_TAGS: &[u8] = &[2];

pub(super) fn check(
    snapshot: &Snapshot,
    state_root: B256,
    findings: &mut Findings,
    observer: CheckObserver<'_>,
) -> Result<(), StateError> {
    let mut check = Check {
        slots: snapshot.scan(Table::Storage, &[])?.peekable(),
        account_rows: StoredRows::new(snapshot.prefix_scan(Table::TrieNodes, ACCOUNTS_TAG)?),
        storage_rows: StoredRows::new(snapshot.prefix_scan(Table::TrieNodes, STORAGE_TAG)?),
        snapshot,
    };
    let mut accounts = Rebuild::default();
    let mut meter = Meter::new(Table::Accounts, observer);
    for row in snapshot.scan(Table::Accounts, &[])? {
        let (key, leaf) = row?;
        meter.add();
        let Some((hash, account)) = read_account(&key, &leaf) else {
            findings.add(Table::Accounts, &key, "not an account under a hash");
            continue;
        };
        check.account(hash, &account, findings)?;
        let rows = &mut check.account_rows;
        accounts.add(hash, leaf, &mut |path, row| rows.expect(TrieId::Accounts, path, &row, findings))?;
    }
    let rows = &mut check.account_rows;
    let root = accounts.finish(&mut |path, row| rows.expect(TrieId::Accounts, path, &row, findings))?;
    if root != state_root {
        findings.add(Table::Accounts, &[], format!("the accounts make the state root {root}, expected {state_root}"));
    }
    check.finish(findings)
}

struct Check<'a> {
    snapshot: &'a Snapshot,
    slots: Peekable<Rows<'a>>,
    account_rows: StoredRows<'a>,
    storage_rows: StoredRows<'a>,
}

impl Check<'_> {
    fn account(&mut self, hash: B256, account: &TrieAccount, findings: &mut Findings) -> Result<(), StateError> {
        let code = account.code_hash;
        if code != KECCAK256_EMPTY && self.snapshot.get(Table::Code, code)?.is_none() {
            findings.add(Table::Code, code.as_slice(), format!("the row is missing; account {hash} has this code"));
        }
        let root = self.storage(AccountKey(hash), findings)?;
        if root != account.storage_root {
            let problem = format!("the slots make the storage root {root}, expected {}", account.storage_root);
            findings.add(Table::Accounts, hash.as_slice(), problem);
        }
        Ok(())
    }

    /// Builds the storage trie of the next account from the slots up to its last.
    fn storage(&mut self, owner: AccountKey, findings: &mut Findings) -> Result<B256, StateError> {
        let id = TrieId::Storage(owner);
        let mut trie = Rebuild::default();
        while let Some((key, row)) = next_up_to(&mut self.slots, owner)? {
            match read_slot(owner, &key, &row) {
                Some((slot, leaf)) => {
                    let rows = &mut self.storage_rows;
                    trie.add(slot, leaf, &mut |path, row| rows.expect(id, path, &row, findings))?;
                }
                None => findings.add(Table::Storage, &key, "not a slot of an account"),
            }
        }
        let rows = &mut self.storage_rows;
        trie.finish(&mut |path, row| rows.expect(id, path, &row, findings))
    }

    fn finish(mut self, findings: &mut Findings) -> Result<(), StateError> {
        for row in self.slots {
            findings.add(Table::Storage, &row?.0, "not a slot of an account");
        }
        self.account_rows.finish(findings)?;
        self.storage_rows.finish(findings)?;
        for row in self.snapshot.scan(Table::TrieNodes, OTHER_TAGS)? {
            findings.add(Table::TrieNodes, &row?.0, "a row of no trie");
        }
        Ok(())
    }
}

/// The next slot whose key is not behind those of an account: rows of accounts that do not exist come with the next one.
fn next_up_to(slots: &mut Peekable<Rows<'_>>, owner: AccountKey) -> Result<Option<Row>, StateError> {
    let is_behind = |key: &[u8]| !key.starts_with(owner.as_ref()) && key > owner.as_ref();
    let next = slots.next_if(|row| row.as_ref().map_or(true, |(key, _)| !is_behind(key)));
    Ok(next.transpose()?)
}

/// Reads an account that is written as this version writes it.
fn read_account(key: &[u8], leaf: &[u8]) -> Option<(B256, TrieAccount)> {
    let account: TrieAccount = alloy_rlp::decode_exact(leaf).ok()?;
    (alloy_rlp::encode(account) == leaf).then_some((B256::try_from(key).ok()?, account))
}

/// Reads a slot of an account, written as this version writes it, as a leaf.
fn read_slot(owner: AccountKey, key: &[u8], row: &[u8]) -> Option<(B256, Vec<u8>)> {
    let slot = B256::try_from(key.strip_prefix(owner.as_ref())?).ok()?;
    let value = U256::try_from_be_slice(row).filter(|value| !value.is_zero())?;
    (encode_value(value).as_ref() == row).then(|| (slot, alloy_rlp::encode(value)))
}

/// The stored rows of tries, each after those below it: the order in which [`Rebuild`] gives them.
struct StoredRows<'a> {
    rows: Peekable<Rows<'a>>,
    /// Rows read whose subtries are not through, each above the next.
    above: Vec<Row>,
}

impl<'a> StoredRows<'a> {
    fn new(rows: Rows<'a>) -> Self {
        Self { rows: rows.peekable(), above: Vec::new() }
    }

    fn next(&mut self) -> Result<Option<Row>, StateError> {
        loop {
            let above = &self.above;
            let is_below = |key: &[u8]| above.last().is_none_or(|(last, _)| key.starts_with(last));
            match self.rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| is_below(key))) {
                Some(row) => self.above.push(row?),
                None => return Ok(self.above.pop()),
            }
        }
    }

    /// Takes the stored row at a path, which must be this one, and reports those before it, which no trie has.
    fn expect(&mut self, id: TrieId, path: &Nibbles, row: &[u8], findings: &mut Findings) -> Result<(), StateError> {
        let key = id.node_key(path);
        while let Some((found, stored)) = self.next()? {
            match post_order(&found, &key) {
                Ordering::Less => findings.add(Table::TrieNodes, &found, "a row of no trie"),
                Ordering::Equal => {
                    if stored != row {
                        findings.add(Table::TrieNodes, &key, "not the branch that the flat tables make");
                    }
                    return Ok(());
                }
                Ordering::Greater => {
                    self.above.push((found, stored));
                    break;
                }
            }
        }
        findings.add(Table::TrieNodes, &key, "the row is missing");
        Ok(())
    }

    fn finish(&mut self, findings: &mut Findings) -> Result<(), StateError> {
        while let Some((key, _)) = self.next()? {
            findings.add(Table::TrieNodes, &key, "a row of no trie");
        }
        Ok(())
    }
}

/// The order of keys in which what is below a path comes before it.
fn post_order(one: &[u8], other: &[u8]) -> Ordering {
    match (one.starts_with(other), other.starts_with(one)) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => one.cmp(other),
    }
}
