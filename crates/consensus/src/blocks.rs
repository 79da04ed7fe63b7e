//! The block bodies of the height being decided.

use alloy_primitives::B256;
use heddle_primitives::{ProposedBlock, Round, ValidatorAddress};
use std::collections::{BTreeMap, BTreeSet};

/// What the core knows about one block.
#[derive(Debug)]
struct Entry {
    block: ProposedBlock,
    /// The first round that proposed it: the bound on bodies evicts the oldest.
    round: Round,
    /// In the log, because a record names it.
    logged: bool,
    valid: bool,
    /// Whose fee recipient the application was asked to expect; a block is asked about once for each.
    asked: BTreeSet<ValidatorAddress>,
}

/// Block bodies by hash, a bounded number of them.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    entries: BTreeMap<B256, Entry>,
}

impl Blocks {
    /// Most bodies held at one height: several rounds of two proposals each, at most 10 MiB a body with all that comes along.
    pub(crate) const MAX: usize = 16;

    /// Holds a body on trial: [`Self::settle`] drops it again unless a record has named it.
    pub(crate) fn offer(&mut self, hash: B256, round: Round, block: ProposedBlock) {
        let entry = Entry { block, round, logged: false, valid: false, asked: BTreeSet::new() };
        self.entries.entry(hash).or_insert(entry);
    }

    /// The body, the first time that it must go to the log.
    pub(crate) fn log_once(&mut self, hash: B256) -> Option<ProposedBlock> {
        let entry = self.entries.get_mut(&hash).filter(|entry| !entry.logged)?;
        entry.logged = true;
        Some(entry.block.clone())
    }

    /// Drops an offered body that nothing refers to, then the oldest bodies above the bound, except those in `keep`.
    pub(crate) fn settle(&mut self, hash: B256, keep: &[B256]) {
        if self.entries.get(&hash).is_some_and(|entry| !entry.logged) {
            self.entries.remove(&hash);
        }
        while self.entries.len() > Self::MAX {
            let evictable = self.entries.iter().filter(|(hash, _)| !keep.contains(hash));
            let Some(oldest) = evictable.min_by_key(|(_, entry)| entry.round).map(|(hash, _)| *hash) else { return };
            self.entries.remove(&oldest);
        }
    }

    /// The body with this hash.
    pub(crate) fn get(&self, hash: &B256) -> Option<&ProposedBlock> {
        self.entries.get(hash).map(|entry| &entry.block)
    }

    /// The first round that proposed the block.
    pub(crate) fn round(&self, hash: &B256) -> Option<Round> {
        self.entries.get(hash).map(|entry| entry.round)
    }

    /// Whether the application called the block valid.
    pub(crate) fn is_valid(&self, hash: &B256) -> bool {
        self.entries.get(hash).is_some_and(|entry| entry.valid)
    }

    /// The valid block that was proposed last.
    pub(crate) fn newest_valid(&self) -> Option<B256> {
        let valid = self.entries.iter().filter(|(_, entry)| entry.valid);
        valid.max_by_key(|(_, entry)| entry.round).map(|(hash, _)| *hash)
    }

    /// Records that the application called the block valid.
    pub(crate) fn set_valid(&mut self, hash: &B256) {
        if let Some(entry) = self.entries.get_mut(hash) {
            entry.valid = true;
        }
    }

    /// True when the application must be asked about this block with this proposer, and was not yet.
    pub(crate) fn must_ask(&mut self, hash: &B256, proposer: ValidatorAddress) -> bool {
        self.entries.get_mut(hash).is_some_and(|entry| !entry.valid && entry.asked.insert(proposer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_primitives::Block;
    use std::sync::Arc;

    fn block() -> ProposedBlock {
        ProposedBlock::new(Arc::new(Block::default()), None)
    }

    fn hash(index: usize) -> B256 {
        B256::with_last_byte(index as u8)
    }

    #[test]
    fn a_body_that_no_record_names_is_dropped() {
        let mut blocks = Blocks::default();
        blocks.offer(hash(1), Round::ZERO, block());
        blocks.settle(hash(1), &[]);
        assert!(blocks.get(&hash(1)).is_none());

        blocks.offer(hash(1), Round::ZERO, block());
        assert!(blocks.log_once(hash(1)).is_some());
        assert!(blocks.log_once(hash(1)).is_none(), "written once");
        blocks.settle(hash(1), &[]);
        assert!(blocks.get(&hash(1)).is_some());
    }

    #[test]
    fn the_oldest_bodies_go_first_but_never_the_kept_one() {
        let mut blocks = Blocks::default();
        for index in 0..Blocks::MAX + 2 {
            blocks.offer(hash(index), Round::new(index as u32), block());
            blocks.log_once(hash(index));
            blocks.settle(hash(index), &[hash(0)]);
        }
        assert_eq!(blocks.entries.len(), Blocks::MAX);
        assert!(blocks.get(&hash(0)).is_some(), "kept");
        assert!(blocks.get(&hash(1)).is_none());
        assert!(blocks.get(&hash(Blocks::MAX + 1)).is_some());
    }

    #[test]
    fn the_application_is_asked_once_for_each_proposer_until_valid() {
        let mut blocks = Blocks::default();
        let (first, second) = (ValidatorAddress::repeat_byte(1), ValidatorAddress::repeat_byte(2));
        blocks.offer(hash(1), Round::ZERO, block());
        assert!(blocks.must_ask(&hash(1), first));
        assert!(!blocks.must_ask(&hash(1), first));
        assert!(blocks.must_ask(&hash(1), second));
        blocks.set_valid(&hash(1));
        assert!(!blocks.must_ask(&hash(1), ValidatorAddress::repeat_byte(3)));
        assert!(blocks.is_valid(&hash(1)));
    }
}
