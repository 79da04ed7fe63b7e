//! What is known to be final: from genesis, by the ends of epochs, to the header of any height whose validators are known.

use heddle_primitives::{
    CertifiedHeader, Epoch, EpochStep, EpochStepsRequest, Genesis, Height, LightClient, LightClientError,
    MAX_EPOCH_STEPS_PER_RESPONSE, SigningContext, ValidatorSet, VerifiedHeader,
};
use std::collections::BTreeMap;

/// The light client, with the sets that it met: a header of an epoch that it left behind can be verified too.
#[derive(Debug)]
pub(super) struct Trust {
    client: LightClient,
    context: SigningContext,
    epoch_length: u64,
    /// By the first epoch of each.
    sets: BTreeMap<Epoch, ValidatorSet>,
}

impl Trust {
    /// Knows genesis; `None` for the genesis of a plain Ethereum chain.
    pub(super) fn new(genesis: &Genesis) -> Option<Self> {
        let client = LightClient::new(genesis)?;
        let sets = BTreeMap::from([(client.epoch(), client.validators().clone())]);
        let epoch_length = genesis.heddle()?.epoch_length;
        Some(Self { client, context: genesis.signing_context(), epoch_length, sets })
    }

    /// Whether the validators of this height are known.
    pub(super) fn reaches(&self, height: Height) -> bool {
        height.as_u64() <= self.client.last_known()
    }

    /// The last height whose validators are known.
    pub(super) fn last_reached(&self) -> Height {
        Height::new(self.client.last_known())
    }

    /// The epoch whose end is needed next.
    pub(super) fn epoch(&self) -> Epoch {
        self.client.epoch()
    }

    /// What to ask for to get closer to the validators of a height that is not reached.
    pub(super) fn steps_towards(&self, height: Height) -> EpochStepsRequest {
        let from = self.client.epoch();
        let missing = Epoch::of(height, self.epoch_length).as_u64().saturating_sub(from.as_u64());
        EpochStepsRequest { from, count: missing.clamp(1, MAX_EPOCH_STEPS_PER_RESPONSE) }
    }

    /// Takes ends of epochs from `from` on, of which some may be known. What verifies is kept; an error is the sender's.
    pub(super) fn follow(&mut self, from: Epoch, steps: &[EpochStep]) -> Result<(), LightClientError> {
        let known = self.client.epoch().as_u64().saturating_sub(from.as_u64());
        let new = steps.get(usize::try_from(known).unwrap_or(usize::MAX)..).unwrap_or_default();
        for step in new {
            let before = self.client.validators().clone();
            self.client.end_epoch(step)?;
            if *self.client.validators() != before {
                self.sets.insert(self.client.epoch(), self.client.validators().clone());
            }
        }
        Ok(())
    }

    /// Verifies a header of a height that is reached.
    pub(super) fn verify(&self, header: CertifiedHeader) -> Result<VerifiedHeader, LightClientError> {
        let epoch = Epoch::of(Height::new(header.header.number), self.epoch_length);
        let set = self.sets.range(..=epoch).next_back().map_or(self.client.validators(), |(_, set)| set);
        VerifiedHeader::verify(header.header, header.certificate, set, &self.context)
    }

    /// Every set that was met on the way to the block after a height, with the first epoch of each.
    pub(super) fn sets(&self, height: Height) -> Vec<(Epoch, ValidatorSet)> {
        let last = Epoch::of(height.next(), self.epoch_length);
        self.sets.range(..=last).map(|(epoch, set)| (*epoch, set.clone())).collect()
    }
}
