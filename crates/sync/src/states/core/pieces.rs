//! Pieces of the state: whom to ask, and what to make of the answers.

use super::{Asked, Output, Piece, Purpose, StateSync};
use crate::PeerId;
use crate::states::fault::StateFault;
use crate::states::tasks::{TaskId, is_unfinished};
use alloy_rlp::Encodable;
use heddle_primitives::{Height, Refusal, Response, StateTask};
use std::time::Duration;

impl StateSync {
    /// Asks as many peers as may be asked, each for the next task; when none waits, again for those that are late.
    pub(super) fn ask_for_pieces(&mut self, now: Duration) {
        let Some(height) = self.pivot_height() else { return };
        let is_piece = |asked: &&Asked| matches!(asked.purpose, Purpose::Piece(_));
        let in_flight = self.requests.values().filter(is_piece).count();
        for _ in in_flight + self.tasks.verifying()..self.config.requests_max {
            let Some((id, peer, task)) = self.next_piece(now, height) else { return };
            self.ask(now, peer, Purpose::Piece(id), task.request(height));
        }
    }

    fn next_piece(&mut self, now: Duration, height: Height) -> Option<(TaskId, PeerId, StateTask)> {
        let (peers, at_once) = (&mut self.peers, self.config.requests_per_peer);
        let next = self.tasks.start(now, || peers.for_piece(now, height, at_once, None));
        if next.is_some() {
            return next;
        }
        let again = |slow: &PeerId| peers.for_piece(now, height, at_once, Some(slow));
        let (id, peer, task, slow) = self.tasks.start_again(now, self.config.patience, again)?;
        self.peers.late(&slow);
        Some((id, peer, task))
    }

    pub(super) fn on_refusal(&mut self, now: Duration, task: TaskId, peer: &PeerId, refusal: Refusal) {
        match (refusal, self.pivot_height()) {
            (Refusal::Gone, Some(pivot)) => self.peers.gone(peer, pivot),
            _ => self.peers.busy(now, peer),
        }
        self.tasks.fail(task, peer);
    }

    pub(super) fn on_piece(&mut self, now: Duration, id: TaskId, asked: Asked, response: Response) {
        let (Some(pivot), Asked { peer, since, .. }) = (self.target(), asked) else { return };
        let took = now.saturating_sub(since);
        if let Some(task) = self.tasks.verify(id, peer.clone(), response.length(), took) {
            self.outputs.push(Output::Accept(Piece { id, peer, pivot, task, response }));
        }
    }

    pub(super) fn on_accepted(&mut self, now: Duration, id: TaskId, following: Vec<StateTask>) {
        let Some(piece) = self.tasks.verified(id) else { return };
        self.delivered_at = now;
        // One who answers with crumbs would keep us busy for ever.
        if is_unfinished(&piece.task, &following) && piece.bytes < self.config.answer_bytes_min {
            self.peers.failed(now, &piece.peer);
        } else {
            self.peers.delivered(&piece.peer, piece.bytes, piece.took, self.config.patience);
        }
        self.tasks.add(following);
    }

    pub(super) fn on_refuted(&mut self, id: TaskId, reason: String) {
        let Some(piece) = self.tasks.verified(id) else { return };
        self.tasks.add(vec![piece.task]);
        self.blame(&piece.peer, StateFault::InvalidPiece(reason).into());
    }
}
