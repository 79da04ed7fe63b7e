//! Proposals are passed on by their header, before their block is there.

use super::arrivals::Arrival;
use super::filling::FillingForms;
use super::{Deciding, check_aside, decode, verdict};
use alloy_primitives::{B256, keccak256};
use heddle_network::{PeerId, Topic, Verdict};
use heddle_primitives::{CompactProposal, Height, Round, ValidatorAddress};
use std::collections::BTreeMap;
use std::sync::Mutex;
use tracing::debug;

/// Forms of one proposal that are passed on. Nothing binds the names of transactions, so that whoever relays a proposal can
/// change them: the first two are enough to get the block, whatever they say, or to show that two were signed.
const FORMS_MAX: usize = 2;
/// Proposals remembered; those of the lowest rounds are forgotten first.
const PROPOSALS_MAX: usize = 256;

type Key = (Height, Round, ValidatorAddress);

/// Judges compact proposals.
#[derive(Default)]
pub(super) struct Proposals {
    /// Digests of the forms passed on.
    seen: Mutex<BTreeMap<Key, Vec<B256>>>,
    filling: FillingForms,
}

impl Proposals {
    /// What is to be filled, of a message that is to be passed on; else why it is not.
    pub(super) async fn judge(
        &self,
        deciding: &Deciding,
        peer: PeerId,
        bytes: &[u8],
    ) -> Result<Option<Arrival>, Verdict> {
        let message: CompactProposal = decode(peer, Topic::Proposals, bytes)?;
        let proposal = &message.proposal.proposal;
        let (key, form) = ((proposal.height, proposal.round, proposal.validator), keccak256(bytes));
        if !self.has_room(&key, form) {
            return Err(Verdict::Ignore);
        }
        match deciding.consensus.check_header(&message.proposal, &message.block.header) {
            heddle_consensus::Verdict::Accept => {}
            other => return Err(verdict(other)),
        }
        let message = check(peer, message).await?;
        let current = deciding.consensus.status().height;
        if !self.remember(key, form, current) {
            return Err(Verdict::Ignore);
        }
        // Repeats of a block that does not come shall not keep others from coming.
        let Some(filling) = self.filling.begin(form) else { return Ok(None) };
        Ok(Some(Arrival::Proposal(Box::new(deciding.consensus.clone()), peer, Box::new(message), filling)))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, BTreeMap<Key, Vec<B256>>> {
        // A panic between the two lines that change it leaves nothing half done.
        self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn has_room(&self, key: &Key, form: B256) -> bool {
        self.seen().get(key).is_none_or(|forms| forms.contains(&form) || forms.len() < FORMS_MAX)
    }

    /// Remembers a form; false when there are too many others already. A form that is repeated is passed on again, as its
    /// author repeats it for those who came late.
    fn remember(&self, key: Key, form: B256, current: Height) -> bool {
        let mut seen = self.seen();
        seen.retain(|(height, ..), _| *height >= current);
        let forms = seen.entry(key).or_default();
        if !forms.contains(&form) {
            if forms.len() == FORMS_MAX {
                return false;
            }
            forms.push(form);
        }
        while seen.len() > PROPOSALS_MAX {
            seen.pop_first();
        }
        true
    }
}

/// Whether the header binds what came with it: hashes the transactions where they are whole.
async fn check(peer: PeerId, message: CompactProposal) -> Result<CompactProposal, Verdict> {
    check_aside(message, |message| message.block.check()).await?.map_err(|fault| {
        debug!(%peer, %fault, "proposal of a block that is not sound");
        Verdict::Reject
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_forms_of_a_proposal_are_passed_on_and_repeated() {
        let proposals = Proposals::default();
        let key = |height, round| (Height::new(height), Round::new(round), ValidatorAddress::default());
        let form = B256::repeat_byte;
        let remember = |key, form| proposals.has_room(&key, form) && proposals.remember(key, form, Height::new(5));
        assert!(remember(key(5, 0), form(1)) && remember(key(5, 0), form(2)));
        assert!(!remember(key(5, 0), form(3)), "the third");
        assert!(remember(key(5, 0), form(1)), "repeated");
        assert!(remember(key(5, 1), form(3)) && remember(key(6, 0), form(3)), "another proposal");
        assert!(proposals.remember(key(6, 1), form(1), Height::new(6)));
        assert_eq!(proposals.seen().len(), 2, "heights that are over are forgotten");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let proposals = Proposals::default();
        for round in 0..1_000 {
            let key = (Height::new(5), Round::new(round), ValidatorAddress::default());
            assert!(proposals.remember(key, B256::ZERO, Height::new(5)));
        }
        assert_eq!(proposals.seen().len(), PROPOSALS_MAX);
    }
}
