//! Whether the database is what this chain made it: `heddle db check`.
//!
//! Every header is hashed and linked, every body, receipt and certificate is held against what the headers bind, every
//! index is followed both ways, and the state is computed anew ([`heddle_state::check`]). All of it reads one snapshot.

mod access_lists;
mod blocks;
mod indices;
mod membership;

use crate::block::BlockId;
use crate::block_store::{
    META_ACCESS_LISTS_FROM, META_BLOCKS_FROM, META_GENESIS, META_GENESIS_FILE, META_HEAD, META_HEADERS_FROM,
    META_TOTAL_DIFFICULTY,
};
use crate::{Chain, ChainError, log_index};
use blocks::Last;
use heddle_state::{CheckObserver, Findings, META_KEYS};
use heddle_storage::{META_FORMAT_KEY, Snapshot, Table};

impl Chain {
    /// Checks every row of every table. What is wrong is in the findings; none means that nothing is.
    ///
    /// # Errors
    /// The disk's: a file that cannot be read, or whose checksums do not match.
    pub fn check(&self, observer: CheckObserver<'_>) -> Result<Findings, ChainError> {
        let snapshot = self.inner.database.snapshot();
        let mut findings = Findings::default();
        let last = blocks::check(self, &snapshot, &mut findings, observer)?;
        indices::check(&snapshot, &last, &mut findings, observer)?;
        access_lists::check(self, &snapshot, &last, &mut findings, observer)?;
        log_index::check(&snapshot, |number| last.has_body(number), &mut findings, observer)?;
        membership::check(self, &snapshot, &last, &mut findings, observer)?;
        self.check_meta(&snapshot, &last, &mut findings)?;
        heddle_state::check(&snapshot, last.number, last.state_root, &mut findings, observer)?;
        Ok(findings)
    }

    /// The single rows; those of the state are checked with it.
    fn check_meta(&self, snapshot: &Snapshot, last: &Last, findings: &mut Findings) -> Result<(), ChainError> {
        let genesis = &self.inner.genesis;
        let head = alloy_rlp::encode(BlockId { number: last.number, hash: last.hash });
        let mut expected = vec![(META_GENESIS, alloy_rlp::encode(genesis.hash())), (META_HEAD, head)];
        if !last.total_difficulty.is_zero() {
            expected.push((META_TOTAL_DIFFICULTY, alloy_rlp::encode(last.total_difficulty)));
        }
        for (key, row) in &expected {
            if snapshot.get(Table::Meta, key)?.as_ref() != Some(row) {
                findings.add(Table::Meta, key, "not what the blocks say");
            }
        }
        if let Err(error) = self.inner.blocks.genesis_file() {
            findings.add(Table::Meta, META_GENESIS_FILE, error);
        }
        if let Err(error) = self.inner.database.check_format() {
            findings.add(Table::Meta, META_FORMAT_KEY, error);
        }
        for row in snapshot.scan(Table::Meta, &[])? {
            let (key, _) = row?;
            let known =
                [META_GENESIS_FILE, META_ACCESS_LISTS_FROM, META_FORMAT_KEY, META_HEADERS_FROM, META_BLOCKS_FROM];
            let mut known = known.iter().chain(&META_KEYS).chain(expected.iter().map(|(key, _)| key));
            if !known.any(|known| *known == key) {
                findings.add(Table::Meta, &key, "not a row of this version");
            }
        }
        Ok(())
    }
}
