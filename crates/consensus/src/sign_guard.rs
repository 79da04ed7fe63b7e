//! The last line against double signing: what this key signed last, kept apart from the log.
//!
//! A message may be signed when its (height, round, step) is above the last one, or when it is the same message
//! again: ed25519 is deterministic, so that gives the same signature. Everything else is refused for ever.
//!
//! The log is durable before the sign state. A sign state that the log does not explain therefore means that the log
//! was lost, and with it what this validator is locked on: it signs nothing more at that height.

use crate::SignStateRecord;
use alloy_primitives::B256;
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use heddle_primitives::{Bug, Height, Proposal, Round, SigningContext, Vote, VoteKind, planted};

/// The steps of a round in which a validator signs, in the order in which it takes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SignStep {
    /// Proposing a block.
    Propose,
    /// Prevoting.
    Prevote,
    /// Precommitting.
    Precommit,
}

impl Encodable for SignStep {
    fn encode(&self, out: &mut dyn BufMut) {
        match self {
            Self::Propose => 1u8.encode(out),
            Self::Prevote => 2u8.encode(out),
            Self::Precommit => 3u8.encode(out),
        }
    }

    fn length(&self) -> usize {
        1
    }
}

impl Decodable for SignStep {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        match u8::decode(buf)? {
            1 => Ok(Self::Propose),
            2 => Ok(Self::Prevote),
            3 => Ok(Self::Precommit),
            _ => Err(alloy_rlp::Error::Custom("a signing step is 1, 2 or 3")),
        }
    }
}

/// One signature given: where, and over what digest. See [`SignStateRecord`] for the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub struct SignState {
    /// Height of the message.
    pub height: Height,
    /// Round of the message.
    pub round: Round,
    /// Step of the message.
    pub step: SignStep,
    /// Digest that was signed.
    pub digest: B256,
}

impl SignState {
    /// What signing this vote would record.
    pub fn of_vote(vote: &Vote, context: &SigningContext) -> Self {
        let step = match vote.kind {
            VoteKind::Prevote => SignStep::Prevote,
            VoteKind::Precommit => SignStep::Precommit,
        };
        Self { height: vote.height, round: vote.round, step, digest: vote.digest(context) }
    }

    /// What signing this proposal would record.
    pub fn of_proposal(proposal: &Proposal, context: &SigningContext) -> Self {
        Self {
            height: proposal.height,
            round: proposal.round,
            step: SignStep::Propose,
            digest: proposal.digest(context),
        }
    }

    fn position(&self) -> (Height, Round, SignStep) {
        (self.height, self.round, self.step)
    }
}

/// Why a signature was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "refused to sign {:?} at height {} round {}: signed {:?} at height {} round {} before{}",
    wanted.step, wanted.height, wanted.round, last.step, last.height, last.round,
    if *log_is_lost { ", and what else was signed at that height is not known here" } else { "" }
)]
pub struct Refusal {
    /// What was to be signed.
    pub wanted: SignState,
    /// What was signed last.
    pub last: SignState,
    /// Whether nothing is signed at that height because its log does not explain the last signature.
    pub log_is_lost: bool,
}

/// Remembers the last signature and refuses everything below or beside it.
#[derive(Clone, Debug)]
pub struct SignGuard {
    record: SignStateRecord,
    /// The record's last signature, while neither the log nor its replay has shown it.
    unexplained: bool,
    /// The log has been replayed: what it did not explain, it never will.
    replayed: bool,
}

impl SignGuard {
    /// A guard that knows what the sign-state file holds.
    pub fn open(record: SignStateRecord) -> Self {
        Self { record, unexplained: record.last.is_some() && !planted(Bug::ReplaySkipped), replayed: false }
    }

    /// Asks to sign. On success the caller must make [`Self::encoded`] durable before the signature leaves the node.
    ///
    /// # Errors
    /// [`Refusal`] when a signature here could contradict an earlier one.
    pub fn permit(&mut self, wanted: SignState) -> Result<(), Refusal> {
        if let Some(last) = self.record.last
            && !self.may_follow(wanted, last)
            && !planted(Bug::SignStateIgnored)
        {
            return Err(Refusal { wanted, last, log_is_lost: self.sits_out(wanted.height) });
        }
        self.record.last = Some(wanted);
        self.unexplained = false;
        Ok(())
    }

    fn may_follow(&self, wanted: SignState, last: SignState) -> bool {
        match (wanted.height > last.height, self.unexplained) {
            (true, _) => true,
            // A replay may derive what was signed before its record was written, and nothing else until then.
            (false, true) => !self.replayed && wanted == last,
            (false, false) => wanted == last || wanted.position() > last.position(),
        }
    }

    /// Learns of a signature given earlier, found in the log. True when it is above the last one known, which must
    /// then be made durable.
    pub fn observe(&mut self, signed: SignState) -> bool {
        let advances = self.record.raise(signed);
        if self.record.last == Some(signed) {
            self.unexplained = false;
        }
        advances
    }

    /// Learns of a signature of this key that a peer shows. True when this guard never permitted it, so that the key
    /// signs elsewhere, or signed and the sign state that knew it is lost: then nothing is signed up to and including
    /// its height any more, and [`Self::encoded`] must be made durable.
    ///
    /// What is below the last signature cannot be told from what was permitted, and need not be: nothing is signed
    /// there again.
    pub fn meet(&mut self, shown: SignState) -> bool {
        let permitted = self.record.last.is_some_and(|last| shown.position() < last.position() || shown == last);
        if permitted {
            return false;
        }
        self.record.last =
            Some(SignState { round: Round::new(u32::MAX), step: SignStep::Precommit, digest: B256::ZERO, ..shown });
        self.unexplained = true;
        true
    }

    /// Ends the replay of the log.
    pub fn end_replay(&mut self) {
        self.replayed = true;
    }

    /// Whether this validator signs nothing at `height`, because what was signed there is not known here.
    pub fn sits_out(&self, height: Height) -> bool {
        self.replayed && self.unexplained && self.record.last.is_some_and(|last| height <= last.height)
    }

    /// Whether this validator signs nothing at `height` any more: it sits it out, or signed at a later one.
    pub fn bars(&self, height: Height) -> bool {
        self.sits_out(height) || self.last_height().is_some_and(|last| height < last)
    }

    /// Height of the last signature known.
    pub fn last_height(&self) -> Option<Height> {
        self.record.last.map(|last| last.height)
    }

    /// The sign-state file's next content.
    pub fn encoded(&self) -> Vec<u8> {
        alloy_rlp::encode(self.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(height: u64, round: u32, step: SignStep, digest: u8) -> SignState {
        SignState { height: Height::new(height), round: Round::new(round), step, digest: B256::repeat_byte(digest) }
    }

    fn opened(last: Option<SignState>) -> SignGuard {
        SignGuard::open(SignStateRecord { last, ..SignStateRecord::fresh([7; 32]) })
    }

    #[test]
    fn permits_only_what_is_above_or_the_same() {
        use SignStep::{Precommit, Prevote, Propose};
        let last = state(5, 2, Prevote, 1);
        let table = [
            ("the same message again", last, true),
            ("another message in the same step", state(5, 2, Prevote, 2), false),
            ("a later step of the round", state(5, 2, Precommit, 2), true),
            ("an earlier step of the round", state(5, 2, Propose, 1), false),
            ("an earlier round, later step", state(5, 1, Precommit, 1), false),
            ("a later round, earlier step", state(5, 3, Propose, 2), true),
            ("a lower height, higher round", state(4, 9, Precommit, 1), false),
            ("a higher height, round 0", state(6, 0, Propose, 2), true),
        ];
        for (name, wanted, permitted) in table {
            let mut guard = SignGuard { unexplained: false, replayed: true, ..opened(Some(last)) };
            assert_eq!(guard.permit(wanted).is_ok(), permitted, "{name}");
            let remembered = if permitted { wanted } else { last };
            assert_eq!(guard.record.last, Some(remembered), "{name}");
        }
    }

    #[test]
    fn the_first_signature_is_free_and_survives_a_restart() {
        let mut guard = opened(None);
        guard.permit(state(1, 0, SignStep::Prevote, 7)).unwrap();
        let mut restarted = SignGuard::open(SignStateRecord::decode(&guard.encoded()).unwrap());
        let conflicting = state(1, 0, SignStep::Prevote, 8);
        let refusal = restarted.permit(conflicting).unwrap_err();
        assert_eq!(refusal.wanted, conflicting);
        restarted.permit(state(1, 0, SignStep::Prevote, 7)).unwrap();
    }

    #[test]
    fn only_a_signature_that_was_never_permitted_bars_its_height() {
        use SignStep::{Precommit, Prevote, Propose};
        let last = state(5, 2, Prevote, 1);
        let table = [
            ("the last one, come back", last, false),
            ("an earlier one", state(5, 1, Precommit, 9), false),
            ("an earlier height", state(4, 9, Precommit, 9), false),
            ("another one beside the last", state(5, 2, Prevote, 2), true),
            ("a later step", state(5, 2, Precommit, 1), true),
            ("a later round", state(5, 3, Propose, 1), true),
            ("a later height", state(9, 0, Propose, 1), true),
        ];
        for (name, shown, foreign) in table {
            let mut guard = SignGuard { unexplained: false, replayed: true, ..opened(Some(last)) };
            assert_eq!(guard.meet(shown), foreign, "{name}");
            assert!(!guard.meet(shown), "{name}: told once");
            assert_eq!(guard.sits_out(shown.height), foreign, "{name}");
            let mut reopened = SignStateRecord::decode(&guard.encoded()).map(SignGuard::open).unwrap();
            reopened.observe(last);
            reopened.end_replay();
            for mut guard in [guard, reopened] {
                let highest = state(shown.height.as_u64(), 1_000_000, Precommit, 1);
                assert_eq!(guard.permit(highest).is_err(), foreign || shown.height < last.height, "{name}");
                guard.permit(state(10, 0, Propose, 1)).unwrap();
            }
        }
    }

    #[test]
    fn the_log_can_raise_the_guard_but_never_lower_it() {
        let mut guard = opened(Some(state(5, 2, SignStep::Prevote, 1)));
        assert!(!guard.observe(state(5, 1, SignStep::Precommit, 3)));
        assert!(!guard.observe(state(5, 2, SignStep::Prevote, 3)));
        assert!(guard.observe(state(5, 2, SignStep::Precommit, 3)));
        assert!(guard.permit(state(5, 2, SignStep::Precommit, 4)).is_err());
    }

    #[test]
    fn a_height_whose_log_is_lost_is_sat_out() {
        let last = state(5, 2, SignStep::Prevote, 1);
        let mut guard = opened(Some(last));
        guard.observe(state(5, 0, SignStep::Precommit, 1));
        assert!(guard.permit(state(5, 2, SignStep::Precommit, 1)).is_err(), "a replay signs nothing above it");
        guard.end_replay();
        for wanted in [last, state(5, 2, SignStep::Precommit, 1), state(5, 9, SignStep::Propose, 1)] {
            assert!(guard.permit(wanted).unwrap_err().log_is_lost);
        }
        guard.permit(state(6, 0, SignStep::Propose, 1)).unwrap();
        guard.permit(state(6, 0, SignStep::Prevote, 1)).unwrap();
    }

    #[test]
    fn a_log_or_its_replay_explains_the_last_signature() {
        let last = state(5, 2, SignStep::Prevote, 1);
        let next = state(5, 2, SignStep::Precommit, 1);
        let explained: [fn(&mut SignGuard, SignState); 2] =
            [|guard, last| _ = guard.observe(last), |guard, last| guard.permit(last).unwrap()];
        for explain in explained {
            let mut guard = opened(Some(last));
            explain(&mut guard, last);
            guard.end_replay();
            guard.permit(next).unwrap();
        }
    }
}
