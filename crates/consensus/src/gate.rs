//! The wait before a validator takes part: it catches up with its peers first, and listens when it may have forgotten
//! what it signed.

use heddle_primitives::Height;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Where this node stands among its peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// Connected peers that have announced a height.
    pub peers: usize,
    /// The head.
    pub head: Height,
    /// What most of them have reached; at least `head`. Not proven.
    pub common: Height,
}

impl CatchUp {
    /// A peer may commit a block a moment before this node does: one block is no gap.
    fn is_behind(&self) -> bool {
        self.common > self.head.next()
    }
}

/// Opens once, and stays open: whoever takes part goes on while its peers come and go.
#[derive(Debug)]
pub struct Gate {
    /// Height of the last signature known.
    signed: Option<Height>,
    /// The sign state was made anew, at the operator's word.
    is_forgetful: bool,
    peers: CatchUp,
    /// Until when `peers` has been accounted for.
    now: Duration,
    /// For how long some peer was connected since then.
    listened: Duration,
    /// When the head moved last.
    moved: Duration,
    /// Since when this node stands where its peers stand, and at which height they stood then.
    caught_up: Option<(Duration, Height)>,
    open: bool,
}

impl Gate {
    /// How long a validator with a past waits for more peers' heights before it believes to stand where they stand.
    pub const SETTLE: Duration = Duration::from_secs(1);
    /// How long a validator whose last signature is older than its head listens to peers, unless they go on without it: its
    /// sign state may come from a backup, and what it signed since then is in what peers send again, or at a height that
    /// is over once they have committed two more blocks.
    pub const LISTEN: Duration = Duration::from_secs(10);
    /// A head that stands still for so long is waited for no more: the greater height may be a lie.
    pub const STALLED: Duration = Duration::from_secs(30);

    /// A closed gate for a validator that signed last at this height. `is_forgetful`: its sign state was made anew for a
    /// key that may have signed before.
    pub fn closed(signed: Option<Height>, is_forgetful: bool) -> Self {
        let zero = Duration::ZERO;
        Self {
            signed,
            is_forgetful,
            peers: CatchUp::default(),
            now: zero,
            listened: zero,
            moved: zero,
            caught_up: None,
            open: false,
        }
    }

    /// A gate for nobody.
    pub fn open() -> Self {
        Self { open: true, ..Self::closed(None, false) }
    }

    /// Takes in what holds from `now` on, a time since the start; the gate opens when its time has come.
    pub fn observe(&mut self, now: Duration, peers: CatchUp) {
        if self.peers.peers > 0 && self.caught_up.is_some() {
            self.listened += now.saturating_sub(self.now);
        }
        if peers.head > self.peers.head {
            self.moved = now;
        }
        (self.now, self.peers) = (now, peers);
        if peers.is_behind() {
            // What it believed before, and heard while it could not judge it, counts for nothing.
            (self.caught_up, self.listened) = (None, Duration::ZERO);
        } else if peers.peers > 0 {
            self.caught_up.get_or_insert((now, peers.common));
        }
        self.open |= self.opens_at().is_some_and(|at| at <= now);
    }

    /// Whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// When the gate opens if nothing changes any more; `None` when something must: without peers nothing can be decided.
    pub fn opens_at(&self) -> Option<Duration> {
        let head = self.peers.head;
        if self.peers.peers == 0 {
            return None;
        }
        // An earlier life of this node signed at no height after the one that its peers worked on when it came back.
        let is_new = self.caught_up.is_some_and(|(_, height)| head > height.next());
        let is_older = self.signed.map_or(head > Height::GENESIS, |signed| signed < head);
        let listen = match !is_new && (is_older || self.is_forgetful) {
            true => Self::LISTEN.saturating_sub(self.listened),
            false => Duration::ZERO,
        };
        let has_past = self.is_forgetful || self.signed.is_some() || head > Height::GENESIS;
        let settle = if has_past { Self::SETTLE } else { Duration::ZERO };
        match self.caught_up {
            None => Some((self.moved + Self::STALLED).max(self.now + listen)),
            Some((since, _)) => Some((since + settle).max(self.now + listen)),
        }
    }

    /// Returns when the gate is open. Cancel-safe.
    pub(crate) async fn opened(&mut self, start: Instant, peers: &mut watch::Receiver<CatchUp>) {
        while !self.open {
            self.observe(start.elapsed(), *peers.borrow_and_update());
            if self.open {
                tracing::info!(head = %self.peers.head, peers = self.peers.peers, "taking part in consensus");
                return;
            }
            let timer = async {
                match self.opens_at() {
                    Some(at) => sleep_until(start + at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = timer => {}
                changed = peers.changed() => if changed.is_err() {
                    // Sync is gone, and the node ends for it.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn peers(count: usize, head: u64, common: u64) -> CatchUp {
        CatchUp { peers: count, head: Height::new(head), common: Height::new(common) }
    }

    /// When the gate opens after these observations, one a second from the start.
    fn opens_at(signed: Option<u64>, is_forgetful: bool, observations: &[CatchUp]) -> Option<Duration> {
        let mut gate = Gate::closed(signed.map(Height::new), is_forgetful);
        for (second, observation) in observations.iter().enumerate() {
            gate.observe(SECOND * second as u32, *observation);
        }
        gate.opens_at()
    }

    #[test]
    fn it_opens_when_nothing_is_to_be_gained_by_waiting() {
        let [nobody, answer] = [0, 1].map(|count| peers(count, 0, 0));
        let [alone, there, ahead] = [peers(0, 20, 20), peers(1, 20, 20), peers(1, 20, 21)];
        let behind = peers(1, 9, 20);
        let table = [
            ("a new network, nobody there", None, vec![nobody], None),
            ("a new network, a peer answers", None, vec![nobody, answer], Some(SECOND)),
            ("a restart of all", Some(20), vec![there], Some(Gate::SETTLE)),
            ("a restart in the middle of a height", Some(21), vec![ahead], Some(Gate::SETTLE)),
            ("the first peer to answer was behind", Some(10), vec![peers(1, 9, 9), behind], Some(Gate::STALLED)),
            ("behind", Some(9), vec![peers(1, 9, 1_000)], Some(Gate::LISTEN.max(Gate::STALLED))),
            ("wiped, and behind", None, vec![peers(1, 0, 1_000)], Some(Gate::STALLED)),
            ("a sign state older than the head, alone", Some(9), vec![alone], None),
            ("no sign state on an old chain", None, vec![there], Some(Gate::LISTEN)),
            (
                "only time with a peer counts, from when it stood where that stood",
                Some(9),
                vec![behind, there, alone, alone, ahead],
                Some(SECOND * 4 + Gate::LISTEN - SECOND),
            ),
            ("one block more: it may be of an earlier life", Some(9), vec![there, peers(1, 21, 21)], {
                Some(Gate::LISTEN)
            }),
            ("two blocks more", Some(9), vec![there, peers(1, 22, 22)], Some(SECOND)),
            ("two blocks by sync", Some(9), vec![behind, peers(1, 22, 22)], Some(SECOND + Gate::LISTEN)),
            (
                "blocks after the first peer to answer, which was behind",
                Some(9),
                vec![peers(1, 9, 9), behind, peers(1, 20, 20)],
                Some(SECOND * 2 + Gate::LISTEN),
            ),
        ];
        for (name, signed, observations, expected) in table {
            assert_eq!(opens_at(signed, false, &observations), expected, "{name}");
        }
        assert_eq!(opens_at(None, true, &[answer]), Some(Gate::LISTEN), "a sign state made anew");
    }

    #[test]
    fn a_height_that_is_never_reached_holds_it_back_only_while_the_head_moves() {
        let lie = |head| peers(1, head, u64::MAX);
        assert_eq!(opens_at(Some(9), false, &[lie(9), lie(10), lie(10)]), Some(SECOND + Gate::STALLED));
    }
}
