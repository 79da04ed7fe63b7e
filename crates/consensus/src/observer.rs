//! Takes snapshots of the loop for whoever looks, beside its work: a flood of messages makes no more of them.

use crate::CheckedMessage;
use crate::snapshot::{ConsensusSnapshot, LastVote, Present, Step, ValidatorView};
use heddle_primitives::{ConsensusMessage, Height, Round, ValidatorAddress, ValidatorSet};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long after a change the snapshot shows it: a round of a hundred validators is read ten times a second at most.
const DELAY: Duration = Duration::from_millis(100);

/// Publishes snapshots, and remembers what the core does not: when it was, and who was heard last.
pub(crate) struct Observer {
    own: Option<ValidatorAddress>,
    published: watch::Sender<Option<Arc<ConsensusSnapshot>>>,
    due: Option<Instant>,
    last_votes: BTreeMap<ValidatorAddress, LastVote>,
    /// Up to which height nothing is signed, and why.
    refusal: Option<(Height, String)>,
}

impl Observer {
    /// An observer with what it publishes; the first snapshot is due at once.
    pub(crate) fn new(
        own: Option<ValidatorAddress>,
        now: Instant,
    ) -> (Self, watch::Receiver<Option<Arc<ConsensusSnapshot>>>) {
        let (published, snapshot) = watch::channel(None);
        (Self { own, published, due: Some(now), last_votes: BTreeMap::new(), refusal: None }, snapshot)
    }

    /// Something may have changed.
    pub(crate) fn touch(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + DELAY);
    }

    /// Returns when a snapshot is due; never while nothing has changed. Cancel-safe.
    pub(crate) async fn due(&self) {
        match self.due {
            Some(due) => sleep_until(due).await,
            None => std::future::pending().await,
        }
    }

    /// A peer's vote came, whether or not it still matters.
    pub(crate) fn hear(&mut self, message: &CheckedMessage) {
        if let ConsensusMessage::Vote(signed) = message.get() {
            self.voted(signed.vote.validator, signed.vote.height, signed.vote.round, SystemTime::now());
        }
    }

    /// Nothing is signed up to and including `height`.
    pub(crate) fn refused(&mut self, height: Height, reason: String) {
        self.refusal = Some((height, reason));
    }

    fn voted(&mut self, validator: ValidatorAddress, height: Height, round: Round, at: SystemTime) {
        let last = self.last_votes.entry(validator).or_insert(LastVote { height, round, at });
        // An old message that somebody repeats shows nothing of its validator.
        if (height, round) >= (last.height, last.round) {
            *last = LastVote { height, round, at };
        }
    }

    /// Publishes what is there now.
    pub(crate) fn publish(&mut self, present: Present, validators: &ValidatorSet) {
        self.due = None;
        let now = SystemTime::now();
        let own = self.own.filter(|own| present.votes.contains_key(own) && present.step != Step::Commit);
        if let Some(own) = own {
            // Our own votes do not come from peers; while they are repeated they are as fresh as those.
            self.voted(own, present.height, present.round, now);
        }
        self.last_votes.retain(|validator, _| validators.get(validator).is_some());
        let snapshot = self.snapshot(present, validators, now);
        self.published.send_replace(Some(Arc::new(snapshot)));
    }

    fn snapshot(&self, present: Present, validators: &ValidatorSet, now: SystemTime) -> ConsensusSnapshot {
        let Present { height, round, step, proposer, proposal, votes } = present;
        let previous = self.published.borrow().clone();
        let same = |is_same: fn(&ConsensusSnapshot, (Height, Round, Step)) -> bool| {
            previous.as_deref().filter(|previous| is_same(previous, (height, round, step)))
        };
        let height_since = same(|previous, (height, ..)| previous.height == height);
        let since = same(|previous, now| (previous.height, previous.round, previous.step) == now);
        let view = |member: &heddle_primitives::Validator| ValidatorView {
            address: member.address,
            power: member.power,
            is_own: self.own == Some(member.address),
            votes: votes.get(&member.address).copied().unwrap_or_default(),
            last_vote: self.last_votes.get(&member.address).copied(),
        };
        ConsensusSnapshot {
            height,
            round,
            step,
            height_since: height_since.map_or(now, |previous| previous.height_since),
            since: since.map_or(now, |previous| previous.since),
            proposer,
            proposal,
            total_power: validators.total_power(),
            validators: validators.validators().iter().map(view).collect(),
            refusal: self.refusal.as_ref().filter(|(barred, _)| *barred >= height).map(|(_, reason)| reason.clone()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::snapshot::{Ballot, RoundVotes};
    use alloy_primitives::Address;
    use heddle_primitives::{ConsensusKey, Validator};

    fn set() -> ValidatorSet {
        let member = |seed| Validator::new(ConsensusKey::from_bytes(&[seed; 32]).public_key(), 1, Address::ZERO);
        ValidatorSet::new([1, 2].map(member).to_vec()).unwrap()
    }

    fn present(height: u64, round: u32, step: Step) -> Present {
        let (height, proposer) = (Height::new(height), set().validators()[0].address);
        Present { height, round: Round::new(round), step, proposer, proposal: None, votes: BTreeMap::new() }
    }

    #[tokio::test]
    async fn times_last_as_long_as_what_they_are_of() {
        let (mut observer, snapshot) = Observer::new(None, Instant::now());
        let mut shown = |present| {
            observer.publish(present, &set());
            snapshot.borrow().clone().unwrap()
        };
        let first = shown(present(3, 0, Step::Propose));
        let again = shown(present(3, 0, Step::Propose));
        assert_eq!((again.since, again.height_since), (first.since, first.height_since));
        let next = shown(present(3, 0, Step::Prevote));
        assert!(next.since > first.since && next.height_since == first.height_since);
        let other = shown(present(4, 0, Step::Prevote));
        assert!(other.since > next.since && other.height_since == other.since);
    }

    #[tokio::test]
    async fn the_last_vote_is_the_highest_and_belongs_to_a_member() {
        let own = set().validators()[1].address;
        let (mut observer, snapshot) = Observer::new(Some(own), Instant::now());
        let [other, stranger] = [set().validators()[0].address, ValidatorAddress::default()];
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        for (validator, height, round, seconds) in
            [(other, 5, 1, 10), (other, 5, 0, 11), (other, 4, 9, 12), (stranger, 9, 9, 13)]
        {
            observer.voted(validator, Height::new(height), Round::new(round), at(seconds));
        }
        let vote = RoundVotes { prevote: Some(Ballot::Nil), precommit: None };
        observer.publish(Present { votes: [(own, vote)].into(), ..present(6, 2, Step::Prevote) }, &set());
        let shown = snapshot.borrow().clone().unwrap();
        let expected = LastVote { height: Height::new(5), round: Round::new(1), at: at(10) };
        assert_eq!(shown.validators[0].last_vote, Some(expected));
        assert!(shown.validators[1].is_own && shown.validators[1].votes == vote);
        assert_eq!(shown.validators[1].last_vote.unwrap().height, Height::new(6));
        assert_eq!(observer.last_votes.len(), 2);
    }

    #[tokio::test]
    async fn a_refusal_is_told_up_to_its_height() {
        let (mut observer, snapshot) = Observer::new(None, Instant::now());
        observer.refused(Height::new(7), "why".to_owned());
        for (height, told) in [(6, true), (7, true), (8, false)] {
            observer.publish(present(height, 0, Step::Propose), &set());
            assert_eq!(snapshot.borrow().as_ref().unwrap().refusal.is_some(), told, "{height}");
        }
    }

    #[tokio::test]
    async fn it_is_due_once_however_much_changes() {
        let (mut observer, _snapshot) = Observer::new(None, Instant::now());
        observer.due().await;
        observer.publish(present(1, 0, Step::Propose), &set());
        assert_eq!(observer.due, None);
        observer.touch();
        let due = observer.due;
        assert!(due.is_some());
        observer.touch();
        assert_eq!(observer.due, due);
    }
}
