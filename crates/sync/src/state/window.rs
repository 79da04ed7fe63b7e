//! The ranges of blocks between the head and the last final header.

use super::peers::Asked;
use crate::PeerId;
use heddle_primitives::{FinalizedBlock, Height};
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) enum Stage<B> {
    /// Nobody has answered.
    Requested,
    /// These came, and are not yet held against their headers.
    Received(Vec<FinalizedBlock>),
    /// They are.
    Preparing,
    /// They only have to be executed.
    Ready(Vec<B>),
    /// They are.
    Importing,
}

/// Consecutive heights that were asked for together.
#[derive(Debug)]
pub(super) struct Range<B> {
    /// Who is asked, or who sent the blocks.
    pub(super) asked: Asked,
    /// At least 1.
    pub(super) count: u64,
    pub(super) stage: Stage<B>,
}

impl<B> Range<B> {
    /// The last height of a range that starts here.
    pub(super) fn last(&self, from: Height) -> Height {
        Height::new(from.as_u64().saturating_add(self.count - 1))
    }

    /// Whether what it holds may be dropped: a range in flight or in somebody's hands stays until its end is reported,
    /// because it counts towards the bounds.
    fn is_held(&self) -> bool {
        matches!(self.stage, Stage::Received(_) | Stage::Ready(_))
    }

    fn drop_first(&mut self, count: usize) {
        self.count = match &mut self.stage {
            Stage::Received(blocks) => {
                blocks.drain(..count.min(blocks.len()));
                blocks.len() as u64
            }
            Stage::Ready(blocks) => {
                blocks.drain(..count.min(blocks.len()));
                blocks.len() as u64
            }
            Stage::Requested | Stage::Preparing | Stage::Importing => self.count,
        };
    }
}

/// The ranges by first height; they never overlap.
#[derive(Debug)]
pub(super) struct Window<B>(pub(super) BTreeMap<Height, Range<B>>);

impl<B> Window<B> {
    /// Drops what the head has passed, also of a range that it is in the middle of.
    pub(super) fn observe_head(&mut self, head: Height) {
        self.0.retain(|from, range| !range.is_held() || range.last(*from) > head);
        let reached = self.0.range(..=head).filter(|(_, range)| range.is_held()).map(|(from, _)| *from).next_back();
        let Some((from, mut range)) = reached.and_then(|from| self.0.remove_entry(&from)) else { return };
        let passed = head.next().as_u64() - from.as_u64();
        range.drop_first(usize::try_from(passed).unwrap_or(usize::MAX));
        self.0.insert(head.next(), range);
    }

    /// Drops blocks that came in advance of their headers and whose headers did not prove to be final.
    pub(super) fn cut(&mut self, tip: Height) {
        self.0.retain(|from, range| !matches!(range.stage, Stage::Received(_)) || *from <= tip);
        for (from, range) in &mut self.0 {
            if let Stage::Received(blocks) = &mut range.stage {
                let proven = tip.as_u64().saturating_sub(from.as_u64()).saturating_add(1);
                blocks.truncate(usize::try_from(proven).unwrap_or(usize::MAX));
                range.count = blocks.len() as u64;
            }
        }
    }

    /// Drops what a liar sent and nobody has looked at: it is not worth the work of finding out.
    pub(super) fn drop_from(&mut self, liar: &PeerId) {
        self.0.retain(|_, range| range.asked.peer != *liar || !matches!(range.stage, Stage::Received(_)));
    }

    /// The first height after the head that no range covers, and for how many heights none does.
    pub(super) fn first_gap(&self, head: Height) -> (Height, u64) {
        let mut from = head.next();
        for (start, range) in &self.0 {
            if *start > from {
                return (from, start.as_u64() - from.as_u64());
            }
            from = from.max(range.last(*start).next());
        }
        (from, u64::MAX)
    }

    /// The last height up to which all blocks after the head are there.
    pub(super) fn fetched(&self, head: Height) -> Height {
        let mut fetched = head;
        for (from, range) in &self.0 {
            if *from > fetched.next() || matches!(range.stage, Stage::Requested) {
                break;
            }
            fetched = fetched.max(range.last(*from));
        }
        fetched
    }

    /// The range that starts behind the head, if it is ready: who sent it, and its blocks. It counts as being imported from
    /// now on.
    pub(super) fn take_next(&mut self, head: Height) -> Option<(PeerId, Vec<B>)> {
        if self.0.values().any(|range| matches!(range.stage, Stage::Importing)) {
            return None;
        }
        let range = self.0.get_mut(&head.next())?;
        if !matches!(range.stage, Stage::Ready(_)) {
            return None;
        }
        let Stage::Ready(blocks) = std::mem::replace(&mut range.stage, Stage::Importing) else { return None };
        Some((range.asked.peer.clone(), blocks))
    }
}
