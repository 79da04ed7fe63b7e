//! Final headers ahead of the head.

use super::peers::Asked;
use heddle_primitives::{BlocksRequest, Height, VerifiedHeader};
use std::collections::VecDeque;

/// The headers behind the head, one after the other, and what is under way to lengthen them.
#[derive(Debug)]
pub(super) struct Headers {
    head: Height,
    ahead: VecDeque<VerifiedHeader>,
    /// Who is asked for what follows.
    pub(super) asked: Option<(Asked, BlocksRequest)>,
    /// The last one of those that are being verified.
    verifying: Option<Height>,
    /// Behind this height the validators are known only when it is the head.
    known_to: Option<Height>,
}

impl Headers {
    pub(super) fn new(head: Height) -> Self {
        Self { head, ahead: VecDeque::new(), asked: None, verifying: None, known_to: None }
    }

    /// The last height whose header is known to be final.
    pub(super) fn tip(&self) -> Height {
        Height::new(self.head.as_u64().saturating_add(self.ahead.len() as u64))
    }

    pub(super) fn len(&self) -> u64 {
        self.ahead.len() as u64
    }

    pub(super) fn observe_head(&mut self, head: Height) {
        let moved = head.as_u64().saturating_sub(self.head.as_u64());
        let passed = usize::try_from(moved).unwrap_or(usize::MAX).min(self.ahead.len());
        self.ahead.drain(..passed);
        self.head = self.head.max(head);
        self.known_to = self.known_to.filter(|height| *height > self.head);
    }

    /// Whether more headers are neither on their way nor useless.
    pub(super) fn may_grow(&self) -> bool {
        self.asked.is_none() && self.verifying.is_none() && self.known_to.is_none()
    }

    pub(super) fn is_verifying(&self) -> bool {
        self.verifying.is_some()
    }

    /// Headers up to this height are given away to be verified.
    pub(super) fn verify(&mut self, last: Height) {
        self.verifying = Some(last);
    }

    /// Verification ended, with these.
    pub(super) fn verified(&mut self, headers: Vec<VerifiedHeader>) {
        let last = self.verifying.take();
        for header in headers {
            if header.header().number == self.tip().next().as_u64() {
                self.ahead.push_back(header);
            }
        }
        let tip = self.tip();
        // Nobody said who decides the next epoch: the chain will, when it is there.
        self.known_to = last.filter(|last| *last > tip && tip > self.head).map(|_| tip);
    }

    /// Verification ended without any.
    pub(super) fn refuted(&mut self) {
        self.verifying = None;
    }

    /// The headers from a height on, up to `count`.
    pub(super) fn range(&self, from: Height, count: u64) -> impl Iterator<Item = &VerifiedHeader> {
        let skip = from.as_u64().saturating_sub(self.head.next().as_u64());
        let [skip, count] = [skip, count].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        self.ahead.iter().skip(skip).take(count)
    }
}
