//! Learning, while a block is built, which of its transactions wait for which.

use crate::accesses::Accesses;
use alloy_primitives::{
    Address, U256,
    map::{AddressMap, HashMap},
};
use heddle_primitives::DependencyHints;

/// Is shown the transactions of a block in order. It notes what a parallel execution has to wait for, that is code and
/// slots: nonces it takes for granted, and balances it mostly adds up.
#[derive(Default)]
pub(crate) struct HintRecorder {
    /// Index of the last transaction that gave an account other code.
    code: AddressMap<usize>,
    /// Index of the last transaction that wrote a slot.
    slots: HashMap<(Address, U256), usize>,
    distances: Vec<u32>,
}

impl HintRecorder {
    /// Adds the block's next transaction.
    pub(crate) fn record(&mut self, accesses: &Accesses<'_>) {
        let index = self.distances.len();
        let mut dependency = None;
        for (address, account) in accesses.state {
            let is_changed = account.original_info().code_hash != account.info.code_hash || account.is_selfdestructed();
            let before = match is_changed {
                true => self.code.insert(*address, index),
                false => self.code.get(address).copied(),
            };
            dependency = dependency.max(before);
            for (slot, value) in &account.storage {
                let slot = (*address, *slot);
                let before = match value.is_changed() {
                    true => self.slots.insert(slot, index),
                    false => self.slots.get(&slot).copied(),
                };
                dependency = dependency.max(before);
            }
        }
        let distance = dependency.and_then(|writer| u32::try_from(index - writer).ok());
        self.distances.push(distance.unwrap_or_default());
    }

    /// What was learned.
    pub(crate) fn finish(self) -> DependencyHints {
        DependencyHints::new(self.distances)
    }
}
