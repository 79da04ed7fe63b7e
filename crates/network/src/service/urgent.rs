//! How much of what consensus waits for is answered at once.

use heddle_primitives::RequestKind;
use libp2p::PeerId;
use std::collections::HashMap;

/// Requests that are answered at once: cheap ones, and those that consensus waits for.
const RUNNING_MAX: usize = 32;
/// Bytes answered that peers have not read yet: three full blocks.
const UNREAD_MAX: usize = 32 * 1024 * 1024;
/// Requests of one peer that are answered, or being read, at once; the status is so small that it does not count.
const UNFINISHED_MAX: usize = 4;

/// Bounds urgent answers. They do not wait: what exceeds a bound is refused, and asked of others.
#[derive(Debug, Default)]
pub(super) struct Urgent {
    running: usize,
    unread: usize,
    unfinished: HashMap<PeerId, usize>,
}

impl Urgent {
    /// Whether one more is answered; if so, [`Self::answered`] and [`Self::finished`] must follow.
    pub(super) fn accept(&mut self, peer: PeerId, kind: RequestKind) -> bool {
        if self.running == RUNNING_MAX {
            return false;
        }
        if kind != RequestKind::Status {
            let unfinished = self.unfinished.entry(peer).or_default();
            if *unfinished == UNFINISHED_MAX {
                return false;
            }
            *unfinished += 1;
        }
        self.running += 1;
        true
    }

    /// An answer is ready; whether there is room for its bytes, which are then unread.
    pub(super) fn answered(&mut self, bytes: usize) -> bool {
        self.running = self.running.saturating_sub(1);
        let fits = self.unread + bytes <= UNREAD_MAX;
        if fits {
            self.unread += bytes;
        }
        fits
    }

    /// An answer was read, or never will be; `bytes` are those that there was room for.
    pub(super) fn finished(&mut self, peer: PeerId, kind: RequestKind, bytes: usize) {
        self.unread = self.unread.saturating_sub(bytes);
        if kind == RequestKind::Status {
            return;
        }
        if let Some(unfinished) = self.unfinished.get_mut(&peer) {
            *unfinished -= 1;
            if *unfinished == 0 {
                self.unfinished.remove(&peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RequestKind::{BlockTransactions, Status};

    #[test]
    fn who_reads_nothing_is_answered_no_more() {
        let (mut urgent, slow, other) = (Urgent::default(), PeerId::random(), PeerId::random());
        for _ in 0..UNFINISHED_MAX {
            assert!(urgent.accept(slow, BlockTransactions) && urgent.answered(1_000));
        }
        assert!(!urgent.accept(slow, BlockTransactions), "four are unread");
        assert!(urgent.accept(slow, Status) && urgent.accept(other, BlockTransactions));
        urgent.finished(slow, BlockTransactions, 1_000);
        assert!(urgent.accept(slow, BlockTransactions), "one was read");
    }

    #[test]
    fn unread_bytes_of_all_peers_are_bounded() {
        let mut urgent = Urgent::default();
        let peers: Vec<_> = (0..5).map(|_| PeerId::random()).collect();
        let full = UNREAD_MAX / 4;
        let answered: Vec<_> =
            peers.iter().map(|peer| urgent.accept(*peer, BlockTransactions) && urgent.answered(full)).collect();
        assert_eq!(answered, [true, true, true, true, false]);
        urgent.finished(peers[4], BlockTransactions, 0);
        urgent.finished(peers[0], BlockTransactions, full);
        assert!(urgent.accept(peers[4], BlockTransactions) && urgent.answered(full), "room again");
        for peer in &peers[1..] {
            urgent.finished(*peer, BlockTransactions, full);
        }
        assert!(urgent.unfinished.is_empty() && urgent.unread == 0 && urgent.running == 0);
    }

    #[test]
    fn answers_at_once_are_bounded() {
        let mut urgent = Urgent::default();
        let accepted = (0..100).filter(|_| urgent.accept(PeerId::random(), Status)).count();
        assert_eq!(accepted, RUNNING_MAX);
    }
}
