//! What became pending last: for those who ask now and then, each from where it stopped.

use alloy_primitives::TxHash;
use std::collections::VecDeque;

/// How many hashes are kept.
const KEPT_MAX: usize = 65_536;

/// The hashes of the transactions that became pending last, in order, each with a position that no other ever has.
#[derive(Debug, Default)]
pub(crate) struct Announced {
    /// The position after the last.
    next: u64,
    hashes: VecDeque<TxHash>,
}

impl Announced {
    pub(crate) fn push(&mut self, hash: TxHash) {
        if self.hashes.len() == KEPT_MAX {
            self.hashes.pop_front();
        }
        self.hashes.push_back(hash);
        self.next += 1;
    }

    /// The position after the last.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Those at `position` and after it, as far as they are kept.
    pub(crate) fn since(&self, position: u64) -> Vec<TxHash> {
        let wanted = usize::try_from(self.next.saturating_sub(position)).unwrap_or(usize::MAX);
        let passed = self.hashes.len().saturating_sub(wanted);
        self.hashes.iter().skip(passed).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;

    fn hash(number: usize) -> TxHash {
        U256::from(number).into()
    }

    #[test]
    fn each_reads_on_from_where_it_stopped() {
        let mut announced = Announced::default();
        assert_eq!((announced.next(), announced.since(0)), (0, vec![]));
        announced.push(hash(0));
        announced.push(hash(1));
        assert_eq!((announced.next(), announced.since(0)), (2, vec![hash(0), hash(1)]));
        assert_eq!((announced.since(1), announced.since(2), announced.since(9)), (vec![hash(1)], vec![], vec![]));
    }

    #[test]
    fn only_the_last_are_kept() {
        let mut announced = Announced::default();
        for number in 0..KEPT_MAX + 2 {
            announced.push(hash(number));
        }
        let all = announced.since(0);
        assert_eq!((all.len(), all[0]), (KEPT_MAX, hash(2)));
        assert_eq!(announced.since(announced.next() - 1), [hash(KEPT_MAX + 1)]);
    }
}
