//! Taking in what peers answer and what became of it.

use super::peers::{REST_BUSY, REST_INVALID, question};
use super::window::Stage;
use super::{Output, State};
use crate::{PeerFault, PeerId};
use heddle_primitives::{
    BlocksRequest, CertifiedHeader, FinalizedBlock, Height, Refusal, Request, RequestKind, Status, VerifiedHeader,
};
use std::time::Duration;

impl<B> State<B> {
    pub(super) fn on_status(&mut self, now: Duration, id: PeerId, status: Status, outputs: &mut Vec<Output<B>>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.pending.remove(&question(&Request::Status));
        if status.earliest > status.height.next() {
            peer.fail(now, Duration::ZERO);
            outputs.push(Output::Report(id, PeerFault::WrongAnswer));
        } else if peer.is_usable(now) {
            peer.status = Some(status);
        }
    }

    pub(super) fn on_headers(
        &mut self,
        now: Duration,
        id: PeerId,
        request: BlocksRequest,
        mut headers: Vec<CertifiedHeader>,
        outputs: &mut Vec<Output<B>>,
    ) {
        let numbers = headers.iter().map(|certified| certified.header.number);
        if let Some(fault) = fault_of(&request, numbers) {
            return self.on_failed(now, id, &Request::Headers(request), Some(fault), outputs);
        }
        let time = self.answered(now, &id, (RequestKind::Headers, request.from), headers.len());
        let Some((mut asked, _)) =
            self.headers.asked.take_if(|(asked, range)| range.from == request.from && asked.includes(&id))
        else {
            return;
        };
        self.usual_headers.took(time);
        self.outrun(asked.answered_by(&id), RequestKind::Headers);
        let tip = self.headers.tip().as_u64();
        headers.retain(|certified| certified.header.number > tip);
        self.verify(id, headers, outputs);
    }

    fn verify(&mut self, sender: PeerId, headers: Vec<CertifiedHeader>, outputs: &mut Vec<Output<B>>) {
        if let Some(last) = headers.last() {
            self.headers.verify(Height::new(last.header.number));
            outputs.push(Output::Verify(sender, headers));
        }
    }

    pub(super) fn on_blocks(
        &mut self,
        now: Duration,
        id: PeerId,
        request: BlocksRequest,
        blocks: Vec<FinalizedBlock>,
        outputs: &mut Vec<Output<B>>,
    ) {
        let numbers = blocks.iter().map(|block| block.proposed.block.header.number);
        if let Some(fault) = fault_of(&request, numbers) {
            return self.on_failed(now, id, &Request::Blocks(request), Some(fault), outputs);
        }
        let (from, count) = (request.from, blocks.len() as u64);
        let time = self.answered(now, &id, (RequestKind::Blocks, from), blocks.len());
        let Some(range) = self.window.0.get_mut(&from) else { return };
        if !matches!(range.stage, Stage::Requested) || !range.asked.includes(&id) {
            return;
        }
        // What a short answer leaves out is a gap, to be asked for again.
        (range.count, range.stage) = (count, Stage::Received(blocks));
        let slower = range.asked.answered_by(&id);
        self.usual_blocks.took(time);
        self.outrun(slower, RequestKind::Blocks);
        self.window.observe_head(self.head);
    }

    /// Keeps how long a peer took, and says it.
    fn answered(&mut self, now: Duration, id: &PeerId, question: (RequestKind, Height), count: usize) -> Duration {
        let Some(peer) = self.peers.get_mut(id) else { return Duration::ZERO };
        let since = peer.pending.remove(&question);
        let time = since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
        peer.pace(question.0).served(count as u64, time);
        time
    }

    fn outrun(&mut self, slower: Option<PeerId>, kind: RequestKind) {
        if let Some(peer) = slower.and_then(|id| self.peers.get_mut(&id)) {
            peer.pace(kind).was_outrun();
        }
    }

    /// Forgets that a peer was asked; what nobody else is asked for is to be asked again.
    fn close(&mut self, id: &PeerId, request: &Request) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.pending.remove(&question(request));
        }
        match request {
            Request::Headers(request) => {
                self.headers.asked.take_if(|(asked, range)| range.from == request.from && asked.failed(id));
            }
            Request::Blocks(request) => {
                let range = self.window.0.get_mut(&request.from);
                let requested = range.filter(|range| matches!(range.stage, Stage::Requested));
                if requested.is_some_and(|range| range.asked.failed(id)) {
                    self.window.0.remove(&request.from);
                }
            }
            _ => {}
        }
    }

    pub(super) fn on_failed(
        &mut self,
        now: Duration,
        id: PeerId,
        request: &Request,
        fault: Option<PeerFault>,
        outputs: &mut Vec<Output<B>>,
    ) {
        self.close(&id, request);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.fail(now, Duration::ZERO);
        }
        outputs.extend(fault.map(|fault| Output::Report(id, fault)));
    }

    pub(super) fn on_refused(&mut self, now: Duration, id: &PeerId, request: &Request, refusal: Refusal) {
        self.close(id, request);
        let Some(peer) = self.peers.get_mut(id) else { return };
        match refusal {
            Refusal::Busy => peer.rests_until = peer.rests_until.max(now + REST_BUSY),
            // What it serves is heard again when it has rested.
            Refusal::Gone => peer.fail(now, Duration::ZERO),
        }
    }

    pub(super) fn on_verified(
        &mut self,
        now: Duration,
        id: PeerId,
        result: Result<Vec<VerifiedHeader>, PeerFault>,
        outputs: &mut Vec<Output<B>>,
    ) {
        match result {
            Ok(headers) => {
                self.headers.verified(headers);
                self.forgive(&id);
                self.window.cut(self.headers.tip());
            }
            Err(fault) => {
                self.headers.refuted();
                self.punish(now, id, fault, outputs);
            }
        }
    }

    pub(super) fn on_prepared(
        &mut self,
        now: Duration,
        id: PeerId,
        from: Height,
        blocks: Vec<B>,
        fault: Option<PeerFault>,
        outputs: &mut Vec<Output<B>>,
    ) {
        if blocks.is_empty() {
            self.window.0.remove(&from);
        } else if let Some(range) = self.window.0.get_mut(&from) {
            (range.count, range.stage) = (blocks.len() as u64, Stage::Ready(blocks));
        }
        match fault {
            Some(fault) => self.punish(now, id, fault, outputs),
            None => self.forgive(&id),
        }
        self.window.observe_head(self.head);
    }

    pub(super) fn on_imported(
        &mut self,
        now: Duration,
        id: PeerId,
        from: Height,
        fault: Option<PeerFault>,
        outputs: &mut Vec<Output<B>>,
    ) {
        self.window.0.remove(&from);
        if let Some(fault) = fault {
            self.punish(now, id, fault, outputs);
        }
    }

    /// A peer delivered what can be relied on.
    fn forgive(&mut self, id: &PeerId) {
        if let Some(peer) = self.peers.get_mut(id) {
            peer.failures = 0;
        }
    }

    fn punish(&mut self, now: Duration, id: PeerId, fault: PeerFault, outputs: &mut Vec<Output<B>>) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.fail(now, REST_INVALID);
        }
        self.window.drop_from(&id);
        outputs.push(Output::Report(id, fault));
    }

    /// Blocks that came in advance of their headers bring these along.
    pub(super) fn verify_received(&mut self, outputs: &mut Vec<Output<B>>) {
        if self.headers.is_verifying() {
            return;
        }
        let tip = self.headers.tip();
        let next = self.window.0.iter().find(|(from, range)| range.last(**from) > tip);
        let Some((Stage::Received(blocks), sender)) = next.map(|(_, range)| (&range.stage, &range.asked.peer)) else {
            return;
        };
        let ahead = blocks.iter().filter(|block| block.proposed.block.header.number > tip.as_u64());
        let headers = ahead.map(|block| CertifiedHeader {
            header: block.proposed.block.header.clone(),
            certificate: block.certificate.clone(),
            members: None,
        });
        let (sender, headers) = (sender.clone(), headers.collect());
        self.verify(sender, headers, outputs);
    }

    /// Gives away what came for heights whose headers are final.
    pub(super) fn prepare_received(&mut self, outputs: &mut Vec<Output<B>>) {
        let tip = self.headers.tip();
        for (from, range) in &mut self.window.0 {
            if range.last(*from) > tip || !matches!(range.stage, Stage::Received(_)) {
                continue;
            }
            if let Stage::Received(blocks) = std::mem::replace(&mut range.stage, Stage::Preparing) {
                let headers = self.headers.range(*from, range.count);
                let blocks = blocks.into_iter().map(|block| block.proposed);
                let pairs = blocks.zip(headers.cloned()).collect();
                outputs.push(Output::Prepare(range.asked.peer.clone(), *from, pairs));
            }
        }
    }
}

/// What is wrong with an answer before anybody looks into it: it must hold consecutive heights from the first one on, as
/// many as asked for or fewer.
fn fault_of(request: &BlocksRequest, numbers: impl ExactSizeIterator<Item = u64>) -> Option<PeerFault> {
    let count = numbers.len() as u64;
    match numbers.zip(request.from.as_u64()..).all(|(number, expected)| number == expected) {
        true if count == 0 => Some(PeerFault::BrokenPromise),
        true if count <= request.count => None,
        _ => Some(PeerFault::WrongAnswer),
    }
}
