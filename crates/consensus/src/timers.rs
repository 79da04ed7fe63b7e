//! The running timeouts.

use crate::Timeout;
use std::collections::BTreeMap;
use tokio::time::Instant;

/// When each scheduled timeout elapses. At most four are running: one of each kind for the current round.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    deadlines: BTreeMap<Timeout, Instant>,
}

impl Timers {
    /// Starts a timeout, or starts it again.
    pub(crate) fn schedule(&mut self, timeout: Timeout, deadline: Instant) {
        self.deadlines.insert(timeout, deadline);
    }

    /// Stops a timeout.
    pub(crate) fn cancel(&mut self, timeout: &Timeout) {
        self.deadlines.remove(timeout);
    }

    /// Stops all timeouts.
    pub(crate) fn clear(&mut self) {
        self.deadlines.clear();
    }

    /// The timeout that elapses next.
    pub(crate) fn next(&self) -> Option<(Timeout, Instant)> {
        self.deadlines.iter().min_by_key(|(_, deadline)| **deadline).map(|(timeout, deadline)| (*timeout, *deadline))
    }

    /// Returns the next timeout once it has elapsed, and forgets it; never, when none is running. Cancel-safe.
    pub(crate) async fn elapsed(&mut self) -> Timeout {
        match self.next() {
            None => std::future::pending().await,
            Some((timeout, deadline)) => {
                tokio::time::sleep_until(deadline).await;
                self.cancel(&timeout);
                timeout
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeoutKind;
    use heddle_primitives::{Height, Round};
    use std::time::Duration;

    #[test]
    fn the_earliest_comes_first_and_rescheduling_moves_it() {
        let now = Instant::now();
        let timeout = |kind| Timeout { height: Height::new(1), round: Round::ZERO, kind };
        let (propose, rebroadcast) = (timeout(TimeoutKind::Propose), timeout(TimeoutKind::Rebroadcast));
        let mut timers = Timers::default();
        timers.schedule(propose, now + Duration::from_secs(2));
        timers.schedule(rebroadcast, now + Duration::from_secs(1));
        assert_eq!(timers.next(), Some((rebroadcast, now + Duration::from_secs(1))));
        timers.schedule(rebroadcast, now + Duration::from_secs(3));
        assert_eq!(timers.next(), Some((propose, now + Duration::from_secs(2))));
        timers.cancel(&propose);
        assert_eq!(timers.next(), Some((rebroadcast, now + Duration::from_secs(3))));
        timers.clear();
        assert_eq!(timers.next(), None);
    }
}
