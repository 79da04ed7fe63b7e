//! What brings a halted height to its end: timeouts, messages sent again, and lost rounds left early.

use super::Core;
use crate::{CoreError, Output, Timeout, TimeoutKind, convert};
use heddle_primitives::{Bug, ConsensusMessage, Round, planted};
use malachitebft_core_consensus::Input as BftInput;
use malachitebft_core_types as bft;
use malachitebft_core_types::{Threshold, VoteType};

impl Core {
    pub(super) fn on_timeout(&mut self, timeout: Timeout) -> Result<(), CoreError> {
        if timeout.height != self.host.height || self.closed {
            return Ok(());
        }
        if planted(Bug::NoRebroadcast) && timeout.kind == TimeoutKind::Rebroadcast {
            return Ok(());
        }
        if matches!(timeout.kind, TimeoutKind::Propose | TimeoutKind::Prevote) && timeout.round == self.round() {
            self.waited = Some(timeout.round);
        }
        self.process(BftInput::TimeoutElapsed(bft_timeout(timeout.round, timeout.kind)))?;
        if timeout.kind == TimeoutKind::Rebroadcast && timeout.round == self.round() && !self.is_over() {
            self.send_again();
        }
        Ok(())
    }

    /// Malachite sends again our votes of the round and the certificate that led into it. Peers that were not connected
    /// need more: our proposal, and the polka of the value that we would propose, without which they neither follow a
    /// proposal that names it nor lock with us.
    fn send_again(&mut self) {
        if !self.host.is_validator() {
            return;
        }
        if let Some(valid) = self.bft.driver.valid_value()
            && let Some(certificate) = self.bft.polka_certificate(valid.round, &valid.value)
        {
            let certificate = convert::our_polka_certificate(certificate);
            self.host.outputs.push(Output::Publish(ConsensusMessage::PolkaCertificate(certificate)));
        }
        if let Some(proposal) = self.host.own_proposal.clone() {
            self.host.publish_proposal(&proposal);
        }
    }

    /// Leaves a round in which two thirds precommitted nil, where Malachite would wait for precommits that cannot decide
    /// any more. Only after a wait of this round, which keeps rounds that fail at once from following each other
    /// without a pause.
    pub(super) fn leave_lost_round(&mut self) -> Result<(), CoreError> {
        let round = self.bft.round();
        let nil_quorum = || self.bft.driver.votes().is_threshold_met(&round, VoteType::Precommit, Threshold::Nil);
        if self.is_over() || self.waited != Some(self.round()) || !nil_quorum() {
            return Ok(());
        }
        self.process(BftInput::TimeoutElapsed(bft_timeout(self.round(), TimeoutKind::Precommit)))
    }
}

/// A timeout as Malachite writes it.
pub(super) fn bft_timeout(round: Round, kind: TimeoutKind) -> bft::Timeout {
    let kind = match kind {
        TimeoutKind::Propose => bft::TimeoutKind::Propose,
        TimeoutKind::Prevote => bft::TimeoutKind::Prevote,
        TimeoutKind::Precommit => bft::TimeoutKind::Precommit,
        TimeoutKind::Rebroadcast => bft::TimeoutKind::Rebroadcast,
    };
    bft::Timeout::new(convert::round(round), kind)
}
