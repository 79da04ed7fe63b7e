//! Headers: the checkpoint's, those that may become the pivot, and those before it; one goal at a time.

use super::{Asked, Output, Purpose, Stage, StateSync, SyncedBase};
use crate::states::fault::{CheckpointError, Outcome, StateFault};
use crate::{PeerFault, PeerId};
use alloy_primitives::{B256, Sealable};
use heddle_primitives::{
    BlocksRequest, Bug, CertifiedHeader, Epoch, EpochStep, Height, Refusal, Request, Response, VerifiedHeader, planted,
};
use std::collections::BTreeSet;
use std::time::Duration;

/// How many headers before the pivot a chain needs: as far as `BLOCKHASH` reaches.
const ANCESTORS: u64 = 256;
/// How many of them are asked for at once.
pub(super) const ANCESTORS_AT_ONCE: u64 = 64;
/// How long to wait when nobody could help.
const REST: Duration = Duration::from_secs(1);

/// What headers are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    Checkpoint(Height),
    /// A height that is offered.
    Pivot(Height),
    /// The headers before this height, which is known.
    Ancestors(Height),
}

impl Goal {
    fn height(self) -> Height {
        match self {
            Self::Checkpoint(height) | Self::Pivot(height) | Self::Ancestors(height) => height,
        }
    }
}

/// A goal, and who was asked to help.
#[derive(Debug)]
pub(super) struct Errand {
    number: u64,
    goal: Goal,
    /// Since the last step ahead.
    tried: BTreeSet<PeerId>,
    in_flight: usize,
    asked_at: Duration,
}

impl StateSync {
    /// Finds out whether this height's offers are true; if so it becomes the pivot.
    pub(super) fn prove(&mut self, height: Height) {
        self.begin(Goal::Pivot(height));
    }

    fn begin(&mut self, goal: Goal) {
        self.errands += 1;
        let (number, tried) = (self.errands, BTreeSet::new());
        self.errand = Some(Errand { number, goal, tried, in_flight: 0, asked_at: Duration::ZERO });
    }

    /// Asks for what is needed next; somebody else as well when the last one is late.
    pub(super) fn run_errands(&mut self, now: Duration) {
        if self.errand.is_none() && now >= self.errand_after {
            self.choose(now);
        }
        let Some(errand) = &mut self.errand else { return };
        if errand.in_flight > 0 && now < errand.asked_at + self.config.patience {
            return;
        }
        let goal = errand.goal;
        if let Some(peer) = self.peers.for_headers(now, goal.height(), &errand.tried) {
            errand.tried.insert(peer.clone());
            errand.in_flight += 1;
            errand.asked_at = now;
            let purpose = Purpose::Headers(errand.number);
            let request = self.request(goal);
            self.ask(now, peer, purpose, request);
        } else if errand.in_flight == 0 && !errand.tried.is_empty() {
            self.errand = None;
            self.errand_after = now + REST;
            self.despair(now, goal);
        }
    }

    fn choose(&mut self, now: Duration) {
        if let Some(checkpoint) = self.checkpoint {
            return self.begin(Goal::Checkpoint(checkpoint.height));
        }
        match self.stage {
            Stage::Seeking if self.next_pivot.is_none() && self.has_heard(now) => {
                let resumed = self.config.resumed.take().filter(|height| self.peers.class(*height) > 0);
                if let Some(height) = resumed.or_else(|| self.peers.best(now, None)) {
                    self.prove(height);
                }
            }
            Stage::Linking => self.link(),
            _ => {}
        }
    }

    /// Whether everybody has said what it offers, or was waited for.
    fn has_heard(&self, now: Duration) -> bool {
        let has_waited = self.unserved_since.is_some_and(|since| now >= since + self.config.patience);
        has_waited || (self.peers.has_answers() && !self.peers.has_unheard())
    }

    fn request(&self, goal: Goal) -> Request {
        match goal {
            Goal::Ancestors(height) => {
                let count = self.ancestors_at_once.min(self.ancestors_missing());
                let from = Height::new(height.as_u64().saturating_sub(count));
                Request::Headers(BlocksRequest { from, count })
            }
            Goal::Checkpoint(height) | Goal::Pivot(height) if self.trust.reaches(height) => {
                Request::Headers(BlocksRequest { from: height, count: 1 })
            }
            goal => Request::EpochSteps(self.trust.steps_towards(goal.height())),
        }
    }

    /// Nobody could help: offers that nobody can prove are forgotten.
    fn despair(&mut self, now: Duration, goal: Goal) {
        match goal {
            Goal::Pivot(height) if self.trust.reaches(height) => self.peers.forget(height),
            Goal::Pivot(_) => self.peers.forget_above(now, self.trust.last_reached()),
            Goal::Checkpoint(_) | Goal::Ancestors(_) => {}
        }
    }

    /// Notes that a request of this errand ended; whether it is still the current one.
    pub(super) fn errand_answered(&mut self, number: u64) -> bool {
        let Some(errand) = self.errand.as_mut().filter(|errand| errand.number == number) else { return false };
        errand.in_flight = errand.in_flight.saturating_sub(1);
        true
    }

    pub(super) fn on_headers(&mut self, now: Duration, number: u64, asked: &Asked, response: Response) {
        if !self.errand_answered(number) {
            return;
        }
        let peer = &asked.peer;
        match (&asked.request, response) {
            (_, Response::Refused(Refusal::Busy)) => self.peers.busy(now, peer),
            (Request::EpochSteps(request), Response::EpochSteps(steps)) => match steps.len() as u64 {
                0 => {}
                n if n > request.count => self.blame(peer, PeerFault::WrongAnswer),
                _ => self.on_steps(peer, request.from, &steps),
            },
            (Request::Headers(request), Response::Headers(headers)) if !headers.is_empty() => {
                let heights = request.from.as_u64()..request.from.as_u64().saturating_add(request.count);
                let are_asked_for = headers.len() as u64 <= request.count;
                if are_asked_for && headers.iter().zip(heights).all(|(header, height)| header.header.number == height) {
                    self.on_right_headers(now, peer, request, headers);
                } else {
                    self.blame(peer, PeerFault::WrongAnswer);
                }
            }
            (Request::Headers(_), _) => self.on_no_header(now, peer),
            _ => {}
        }
    }

    /// Whoever offers the state after a block has its header.
    fn on_no_header(&mut self, now: Duration, peer: &PeerId) {
        if let Some(Goal::Pivot(height)) = self.errand.as_ref().map(|errand| errand.goal)
            && self.peers.offers(peer, height)
        {
            self.peers.failed(now, peer);
            self.outputs.push(Output::Report(peer.clone(), PeerFault::BrokenPromise));
        }
    }

    fn on_steps(&mut self, peer: &PeerId, from: Epoch, steps: &[EpochStep]) {
        let before = self.trust.epoch();
        let followed = self.trust.follow(from, steps);
        if self.trust.epoch() > before {
            self.peers.helped(peer);
            self.step_ahead();
        }
        if let Err(error) = followed {
            self.blame(peer, StateFault::InvalidHeader(error.to_string()).into());
        }
    }

    /// Everybody may be asked for the next thing.
    fn step_ahead(&mut self) {
        if let Some(goal) = self.errand.as_ref().map(|errand| errand.goal) {
            self.begin(goal);
        }
    }

    fn on_right_headers(
        &mut self,
        now: Duration,
        peer: &PeerId,
        request: &BlocksRequest,
        mut headers: Vec<CertifiedHeader>,
    ) {
        let Some(goal) = self.errand.as_ref().map(|errand| errand.goal) else { return };
        if let Goal::Ancestors(height) = goal {
            return self.on_ancestors(peer, request, height, headers);
        }
        let Some(verified) = headers.pop().map(|header| self.trust.verify(header)) else { return };
        match verified {
            Ok(header) => self.on_final(now, goal, header),
            Err(error) => self.blame(peer, StateFault::InvalidHeader(error.to_string()).into()),
        }
    }

    fn on_final(&mut self, now: Duration, goal: Goal, header: VerifiedHeader) {
        self.errand = None;
        let (height, hash) = (goal.height(), header.header().seal());
        self.final_hashes.insert(height, hash);
        if self.final_hashes.len() > super::FINAL_HASHES_MAX {
            self.final_hashes.pop_first();
        }
        for (peer, offered) in self.peers.forgers(height, hash) {
            self.blame_forger(peer, height, offered, hash);
        }
        match goal {
            Goal::Checkpoint(_) => self.on_checkpoint(&header),
            _ if self.peers.serving(height) > 0 => {
                self.delivered_at = now;
                self.next_pivot = Some(header);
            }
            _ => {}
        }
    }

    fn on_checkpoint(&mut self, header: &VerifiedHeader) {
        let Some(checkpoint) = self.checkpoint.take() else { return };
        let (height, hash, timestamp) = (checkpoint.height, header.header().seal(), header.header().timestamp);
        if hash != checkpoint.hash {
            let expected = checkpoint.hash;
            self.end(Outcome::Refused(CheckpointError::Contradicted { height, hash, expected }));
        } else if timestamp < self.config.checkpoint_not_before {
            let not_before = self.config.checkpoint_not_before;
            self.end(Outcome::Refused(CheckpointError::TooOld { height, timestamp, not_before }));
        }
    }

    /// Asks for more headers before the pivot, or hands everything over when there are enough.
    fn link(&mut self) {
        let Some(pivot) = &self.pivot else { return };
        if self.ancestors_missing() > 0 {
            let lowest = self.ancestors.last().map_or(pivot.header().number, |header| header.number);
            return self.begin(Goal::Ancestors(Height::new(lowest)));
        }
        let ancestors = self.ancestors.iter().rev().cloned().collect();
        let validator_sets = self.trust.sets(Height::new(pivot.header().number));
        let base = SyncedBase { pivot: pivot.clone(), ancestors, validator_sets };
        self.stage = Stage::Finishing;
        self.outputs.push(Output::Finish(Box::new(base)));
    }

    fn ancestors_missing(&self) -> u64 {
        let before = self.pivot_height().map_or(0, |pivot| pivot.as_u64().saturating_sub(1));
        before.min(ANCESTORS).saturating_sub(self.ancestors.len() as u64)
    }

    fn on_ancestors(&mut self, peer: &PeerId, request: &BlocksRequest, above: Height, headers: Vec<CertifiedHeader>) {
        if request.from.as_u64().saturating_add(request.count) != above.as_u64() {
            return;
        }
        let came = headers.len() as u64;
        if came < request.count {
            // Nothing binds what came to the pivot.
            self.ancestors_at_once = came;
            return;
        }
        self.ancestors_at_once = came.saturating_mul(2).min(ANCESTORS_AT_ONCE);
        for header in headers.into_iter().rev() {
            let header = header.header.seal_slow();
            if Some(header.seal()) != self.parent_of_lowest() && !planted(Bug::AncestorsUnlinked) {
                let fault = format!("header {} is not the parent of the next one", header.number);
                self.blame(peer, StateFault::InvalidHeader(fault).into());
                break;
            }
            self.ancestors.push(header);
        }
        self.errand = None;
    }

    fn parent_of_lowest(&self) -> Option<B256> {
        let lowest = self.ancestors.last().or(self.pivot.as_ref().map(VerifiedHeader::header));
        lowest.map(|header| header.parent_hash)
    }
}
