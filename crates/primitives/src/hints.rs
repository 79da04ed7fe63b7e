//! What a block's builder learned about which transactions wait for which.

use alloy_rlp::{RlpDecodableWrapper, RlpEncodableWrapper};

/// For each transaction of a block the distance back to the latest earlier one whose writes it reads: 0 for none, 1
/// for the transaction just before it. Nothing depends on a hint being right: a wrong or missing one costs time.
#[derive(Clone, Debug, Default, PartialEq, Eq, RlpEncodableWrapper, RlpDecodableWrapper)]
pub struct DependencyHints(Vec<u32>);

impl DependencyHints {
    /// Hints of the given distances, one a transaction.
    pub fn new(distances: Vec<u32>) -> Self {
        Self(distances)
    }

    /// The index of the transaction that transaction `index` waits for, if it is known to wait for one.
    pub fn dependency(&self, index: usize) -> Option<usize> {
        let distance = *self.0.get(index)? as usize;
        (distance > 0).then(|| index.checked_sub(distance)).flatten()
    }

    /// The same hints without those at the end that name nothing: a missing one says as much.
    pub fn without_trailing_zeros(&self) -> Self {
        let len = self.0.iter().rposition(|distance| *distance > 0).map_or(0, |last| last + 1);
        Self(self.0.iter().copied().take(len).collect())
    }

    /// Whether the last hint names nothing.
    pub(crate) fn ends_in_zero(&self) -> bool {
        self.0.last() == Some(&0)
    }

    /// How many transactions there are hints for.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no hint at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_that_name_nothing_at_the_end_say_nothing() {
        let trimmed = |distances: &[u32]| DependencyHints::new(distances.to_vec()).without_trailing_zeros();
        assert_eq!(trimmed(&[0, 1, 0, 0]), DependencyHints::new(vec![0, 1]));
        assert_eq!(trimmed(&[0, 0]), DependencyHints::default());
        assert_eq!(trimmed(&[3]), DependencyHints::new(vec![3]));
    }

    #[test]
    fn a_hint_names_an_earlier_transaction_or_none() {
        let hints = DependencyHints::new(vec![0, 1, 0, 9, 2]);
        let dependencies: Vec<_> = (0..6).map(|index| hints.dependency(index)).collect();
        assert_eq!(dependencies, [None, Some(0), None, None, Some(2), None]);
    }
}
