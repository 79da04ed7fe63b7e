//! What the core wants done, and what must be true when it wants it.

use super::{Event, World, index};
use crate::state_sync::checks::{check_base, check_pivot, check_state, check_written_once};
use crate::state_sync::peer::Manner;
use crate::time::Micros;
use crate::trace::Trace;
use heddle_primitives::{Pivot, Request};
use heddle_sync::{PeerFault, StateOutcome, StateOutput, SyncedBase};

impl World {
    /// Does it.
    pub(super) fn carry_out(&mut self, output: StateOutput, trace: &mut Trace) -> Result<(), String> {
        match output {
            StateOutput::Ask(request, peer, what) => self.ask(request, index(&peer), &what, trace),
            StateOutput::Plan(pivot) => self.plan(pivot, trace),
            StateOutput::Accept(piece) => {
                let peer = index(&piece.peer);
                let found = self.wrong.iter().find(|((sender, _), sent)| *sender == peer && **sent == piece.response);
                let is_wrong = found.is_some();
                let delay = self.delay(1, 30);
                self.after(delay, Event::Store(Box::new(piece), is_wrong));
                Ok(())
            }
            StateOutput::Finish(base) => self.finish(&base, trace),
            StateOutput::Report(peer, fault) => self.name(index(&peer), &fault, trace),
            StateOutput::End(outcome) => self.end(outcome, trace),
        }
    }

    fn ask(&mut self, number: u64, peer: usize, request: &Request, trace: &mut Trace) -> Result<(), String> {
        if self.named.contains(&peer) {
            return Err(format!("peer {peer} was named, and is asked again"));
        }
        trace.note(self.now, peer, &format!("is asked for {:?}", request.kind()));
        let head = self.scenario.head_at(self.now);
        let answer = self.peers[peer].answer(head, request, &mut self.rng);
        let timeout = self.config.request_timeout.as_micros() as Micros;
        let delay = match self.peers[peer].manner {
            Manner::Slow => self.delay(1_000, 20_000),
            _ => self.delay(5, 150),
        };
        let is_late = answer.response.is_none() || delay > timeout;
        let (delay, response) = if is_late { (timeout, None) } else { (delay, answer.response) };
        self.after(delay, Event::Answer(number, peer, response, answer.is_wrong));
        Ok(())
    }

    fn plan(&mut self, pivot: Pivot, trace: &mut Trace) -> Result<(), String> {
        check_pivot(&self.chain, &pivot)?;
        let hash = self.chain.hash(pivot.height.as_u64());
        for (peer, offers) in &self.offered {
            let is_forger = offers.iter().any(|offer| offer.height == pivot.height && offer.hash != hash);
            if is_forger && self.connected.contains(peer) && !self.named.contains(peer) {
                return Err(format!("peer {peer} offered another block {}, and was not named", pivot.height));
            }
        }
        let tasks = self.joiner.staging.plan(pivot).map_err(|error| error.to_string())?;
        trace.note(self.now, 0, &format!("plans for block {}: {} tasks", pivot.height, tasks.len()));
        self.summary.moves += u64::from(self.planned.is_some_and(|planned| planned != pivot));
        self.planned = Some(pivot);
        self.last_pivot = Some(pivot.height);
        let delay = self.delay(1, 50);
        self.after(delay, Event::Planned(tasks));
        Ok(())
    }

    fn name(&mut self, peer: usize, fault: &PeerFault, trace: &mut Trace) -> Result<(), String> {
        let manner = self.peers[peer].manner;
        trace.note(self.now, peer, &format!("({manner:?}) is named: {fault}"));
        if !manner.may_be_blamed() {
            return Err(format!("peer {peer} is {manner:?}, and was named: {fault}"));
        }
        if *fault != PeerFault::BrokenPromise {
            self.named.insert(peer);
        }
        *self.summary.blamed.entry(manner).or_default() += 1;
        Ok(())
    }

    fn finish(&mut self, base: &SyncedBase, trace: &mut Trace) -> Result<(), String> {
        let height = base.pivot.header().number;
        trace.note(self.now, 0, &format!("has the state of block {height}"));
        check_base(&self.chain, base)?;
        check_state(&self.chain, &self.joiner, height)?;
        if self.joiner.is_of_one_state() {
            check_written_once(&self.chain, &self.joiner, height)?;
        }
        let delay = self.delay(1, 100);
        self.after(delay, Event::Finished);
        Ok(())
    }

    fn end(&mut self, outcome: StateOutcome, trace: &mut Trace) -> Result<(), String> {
        trace.note(self.now, 0, &format!("ends: {outcome:?}"));
        match outcome {
            StateOutcome::Synced(_) if !self.scenario.is_empty() => {}
            StateOutcome::NoSnapshots if self.scenario.is_empty() => self.summary.is_empty = true,
            outcome => return Err(format!("ended with {outcome:?}")),
        }
        self.ended = true;
        Ok(())
    }
}
