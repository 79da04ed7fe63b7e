//! Recently read blocks, decoded: a thousand clients that wait for their receipts ask for the same block.

use crate::error::MethodError;
use heddle_chain::ChainError;
use lru::LruCache;
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// How many are kept; a maximal block is some tens of megabytes when decoded.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(8).unwrap();

/// What blocks have, by block number. Blocks are final, so nothing kept ever becomes wrong.
pub(crate) struct Recent<T> {
    kept: Mutex<LruCache<u64, Arc<T>>>,
    /// Blocks of which a part was asked for.
    asked: Mutex<LruCache<u64, ()>>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { kept: Mutex::new(LruCache::new(KEPT_MAX)), asked: Mutex::new(LruCache::new(KEPT_MAX)) }
    }
}

impl<T> Recent<T> {
    /// What is kept for a block, or else what `load` finds. No lock is held while it loads.
    pub(crate) fn get_or_load(
        &self,
        number: u64,
        load: impl FnOnce(u64) -> Result<Option<T>, ChainError>,
    ) -> Result<Option<Arc<T>>, MethodError> {
        if let Some(kept) = self.kept.lock().get(&number) {
            return Ok(Some(Arc::clone(kept)));
        }
        let Some(loaded) = load(number)?.map(Arc::new) else { return Ok(None) };
        self.kept.lock().put(number, Arc::clone(&loaded));
        Ok(Some(loaded))
    }

    /// For who wants only a part of what a block has: the whole of it when it is kept, or loaded because a part was asked for
    /// before. `None` says that the part alone is less work.
    pub(crate) fn get_if_asked_again(
        &self,
        number: u64,
        load: impl FnOnce(u64) -> Result<Option<T>, ChainError>,
    ) -> Result<Option<Arc<T>>, MethodError> {
        let is_first = !self.kept.lock().contains(&number) && self.asked.lock().put(number, ()).is_none();
        if is_first { Ok(None) } else { self.get_or_load(number, load) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_once_is_kept_until_others_push_it_out() {
        let recent = Recent::default();
        let unread = |_| -> Result<Option<u64>, ChainError> { panic!("it is kept") };
        assert!(recent.get_or_load(1, |_| Ok(None::<u64>)).unwrap().is_none());
        assert_eq!(*recent.get_or_load(1, |number| Ok(Some(number))).unwrap().unwrap(), 1);
        assert_eq!(*recent.get_or_load(1, unread).unwrap().unwrap(), 1);
        for number in 2..=9 {
            recent.get_or_load(number, |number| Ok(Some(number))).unwrap();
        }
        assert!(recent.get_or_load(1, |_| Ok(None)).unwrap().is_none());
        assert!(recent.get_if_asked_again(1, unread).unwrap().is_none(), "the first time a part is less");
        assert_eq!(*recent.get_if_asked_again(1, |number| Ok(Some(number))).unwrap().unwrap(), 1);
        assert_eq!(*recent.get_if_asked_again(9, unread).unwrap().unwrap(), 9);
        assert_eq!(*recent.get_or_load(9, unread).unwrap().unwrap(), 9);
    }
}
