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
    /// More than a running chain grows between two looks at the peers.
    const FAR: u64 = 64;

    /// A peer may commit a block a moment before this node does: one block is no gap.
    fn is_behind(&self) -> bool {
        self.common > self.head.next()
    }

    fn is_far_behind(&self) -> bool {
        self.common.as_u64().saturating_sub(self.head.as_u64()) > Self::FAR
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
    /// When peers answered first, or showed last how far away they are, and which height they had reached then.
    found: Option<(Duration, Height)>,
    /// For how long some peer was connected since then.
    listened: Duration,
    /// When the head moved last.
    moved: Duration,
    open: bool,
}

impl Gate {
    /// How long a validator with a past waits for the heights of more peers than the first.
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
            found: None,
            listened: zero,
            moved: zero,
            open: false,
        }
    }

    /// A gate for nobody.
    pub fn open() -> Self {
        Self { open: true, ..Self::closed(None, false) }
    }

    /// Takes in what holds from `now` on, a time since the start; the gate opens when its time has come.
    pub fn observe(&mut self, now: Duration, peers: CatchUp) {
        if self.peers.peers > 0 {
            self.listened += now.saturating_sub(self.now);
        }
        if peers.head > self.peers.head {
            self.moved = now;
        }
        (self.now, self.peers) = (now, peers);
        if peers.peers > 0 {
            self.find(now, peers);
        }
        self.open |= self.opens_at().is_some_and(|at| at <= now);
    }

    /// What peers had reached when this node came back. A running chain goes on meanwhile, so that a small gap opens and
    /// closes again and again; a large one shows that the first peers knew little.
    fn find(&mut self, now: Duration, peers: CatchUp) {
        match &mut self.found {
            Some((since, height)) if !peers.is_far_behind() => {
                if now < *since + Self::SETTLE {
                    *height = peers.common.max(*height);
                }
            }
            found => {
                *found = Some((now, peers.common));
                self.listened = Duration::ZERO;
            }
        }
    }

    /// Whether the gate is open.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// When the gate opens if nothing changes any more; `None` when something must: without peers nothing can be decided.
    pub fn opens_at(&self) -> Option<Duration> {
        let head = self.peers.head;
        let (since, height) = self.found.filter(|_| self.peers.peers > 0)?;
        // An earlier life of this node signed at no height after the one that its peers worked on when it came back.
        let is_new = head > height.next();
        let is_older = self.signed.map_or(head > Height::GENESIS, |signed| signed < head);
        let listen = match !is_new && (is_older || self.is_forgetful) {
            true => Self::LISTEN.saturating_sub(self.listened),
            false => Duration::ZERO,
        };
        let has_past = self.is_forgetful || self.signed.is_some() || head > Height::GENESIS;
        let settle = if has_past { Self::SETTLE } else { Duration::ZERO };
        let wait = if self.peers.is_behind() { self.moved + Self::STALLED } else { since + settle };
        Some(wait.max(self.now + listen))
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
                "only time with a peer counts",
                Some(9),
                vec![behind, there, alone, alone, ahead],
                Some(SECOND * 4 + Gate::LISTEN - SECOND * 2),
            ),
            ("one block more: it may be of an earlier life", Some(9), vec![there, peers(1, 21, 21)], {
                Some(Gate::LISTEN)
            }),
            ("two blocks more", Some(9), vec![there, peers(1, 22, 22)], Some(SECOND)),
            (
                "two blocks more than the first peer had, which knew little",
                Some(9),
                vec![peers(1, 9, 9), peers(1, 9, 1_000), peers(1, 1_000, 1_000)],
                Some(SECOND + Gate::LISTEN),
            ),
        ];
        for (name, signed, observations, expected) in table {
            assert_eq!(opens_at(signed, false, &observations), expected, "{name}");
        }
        assert_eq!(opens_at(None, true, &[answer]), Some(Gate::LISTEN), "a sign state made anew");
    }

    #[test]
    fn a_fast_chain_is_caught_up_with_though_it_never_stands_still() {
        let mut gate = Gate::closed(Some(Height::new(9)), false);
        for step in 0..10u32 {
            let [head, next] = [9, 12].map(|height| height + 3 * u64::from(step));
            gate.observe(SECOND * step / 4, peers(3, head, next));
            assert!(!gate.is_open(), "it is behind");
            gate.observe(SECOND * step / 4, peers(3, next, next));
            if gate.is_open() {
                return;
            }
        }
        panic!("never open: {gate:?}");
    }

    #[test]
    fn a_height_that_is_never_reached_holds_it_back_only_while_the_head_moves() {
        let lie = |head| peers(1, head, u64::MAX);
        assert_eq!(opens_at(Some(9), false, &[lie(9), lie(10), lie(10)]), Some(SECOND + Gate::STALLED));
    }
}
