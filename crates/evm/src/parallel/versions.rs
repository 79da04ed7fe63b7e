//! Values by the transaction that wrote them, in block order.

use smallvec::SmallVec;

/// A location's values, sorted by index in the block's access list: 0 before the transactions, 1 for the first one.
///
/// Most locations of a block are written once: these take no room of their own.
#[derive(Debug)]
pub(crate) struct Versions<T>(SmallVec<[(u32, T); 1]>);

impl<T> Default for Versions<T> {
    fn default() -> Self {
        Self(SmallVec::new())
    }
}

impl<T> Versions<T> {
    /// What was written before `index`.
    pub(crate) fn before(&self, index: u32) -> &[(u32, T)] {
        &self.0[..self.position(index)]
    }

    /// The value that `index` wrote.
    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.0.get(self.position(index)).filter(|(at, _)| *at == index).map(|(_, value)| value)
    }

    /// Writes a value at `index`, in place of what is there.
    pub(crate) fn insert(&mut self, index: u32, value: T) {
        let position = self.position(index);
        match self.0.get_mut(position) {
            Some((at, old)) if *at == index => *old = value,
            _ => self.0.insert(position, (index, value)),
        }
    }

    /// Writes a value at `index` if there is one.
    pub(crate) fn replace(&mut self, index: u32, value: T) {
        let position = self.position(index);
        if let Some((_, old)) = self.0.get_mut(position).filter(|(at, _)| *at == index) {
            *old = value;
        }
    }

    /// Removes the value at `index` if it is such a one.
    pub(crate) fn remove_if(&mut self, index: u32, is_such: impl FnOnce(&T) -> bool) {
        let position = self.position(index);
        if self.0.get(position).is_some_and(|(at, value)| *at == index && is_such(value)) {
            self.0.remove(position);
        }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &(u32, T)> {
        self.0.iter()
    }

    /// Where `index` stands or would stand. Most questions are about the end.
    fn position(&self, index: u32) -> usize {
        match self.0.last() {
            Some((last, _)) if *last >= index => self.0.partition_point(|(at, _)| *at < index),
            _ => self.0.len(),
        }
    }
}
