//! Memory for requests that were read and answers that wait for their readers, shared by all callers of a kind.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What is reserved at a time, in bytes.
const UNIT: usize = 1024;

/// A number of bytes that may be held at a time; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Budget(Arc<Semaphore>);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new((bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Reserves nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation { budget: self.clone(), permits: None }
    }
}

/// Bytes of a [`Budget`], given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Budget,
    permits: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Whether it covers this many bytes afterwards. It never shrinks.
    pub(crate) fn covers(&mut self, bytes: usize) -> bool {
        let held = self.permits.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = bytes.div_ceil(UNIT).saturating_sub(held);
        if more == 0 {
            return true;
        }
        let Ok(more) = u32::try_from(more) else { return false };
        let Ok(permit) = Arc::clone(&self.budget.0).try_acquire_many_owned(more) else { return false };
        match &mut self.permits {
            Some(permits) => permits.merge(permit),
            None => self.permits = Some(permit),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_bounded_and_given_back() {
        let budget = Budget::new(3 * UNIT);
        let (mut one, mut two) = (budget.reservation(), budget.reservation());
        assert!(one.covers(0) && one.covers(1) && one.covers(UNIT) && one.covers(2 * UNIT));
        assert!(two.covers(UNIT) && !two.covers(UNIT + 1) && two.covers(UNIT));
        drop(one);
        assert!(two.covers(3 * UNIT) && !two.covers(3 * UNIT + 1) && !two.covers(usize::MAX));
    }
}
