//! Proposals whose block is still on its way.

use crate::future::FutureMessages;
use crate::{ConsensusHandle, Verdict, message};
use heddle_primitives::{Header, SignedProposal};

impl ConsensusHandle {
    /// What gossip should do with a proposal of which only the header is here: accepted, when the proposer of a round that
    /// may still decide signed the header's hash. Checks one signature and never waits; the proposal itself is to be
    /// delivered ([`Self::deliver`]) with its block.
    ///
    /// A proposer has few rounds that are accepted at a time: at the current height those up to Malachite's bound, at the next
    /// heights the first two.
    pub fn check_header(&self, signed: &SignedProposal, header: &Header) -> Verdict {
        let view = self.view.borrow().clone();
        let (height, round) = (signed.proposal.height, signed.proposal.round);
        if height < view.height {
            return Verdict::Ignore;
        }
        if let Err(fault) = message::check_header(signed, header, view.validators_of(height), &self.context) {
            tracing::debug!(%fault, %height, "proposal refused");
            self.metrics.messages_refused.inc();
            return if height == view.height { Verdict::Reject } else { Verdict::Ignore };
        }
        if height > view.height.next() {
            self.application.behind(height);
        }
        let ahead = height.as_u64().saturating_sub(view.height.as_u64());
        let is_too_far = match ahead {
            0 => self.is_round_beyond_lookahead(height, round),
            1..=FutureMessages::HEIGHTS_MAX => round >= FutureMessages::PROPOSAL_ROUND_END,
            _ => true,
        };
        if is_too_far { Verdict::Ignore } else { Verdict::Accept }
    }
}
