//! Learning, while a block is built, which of its transactions wait for which.

use crate::accesses::Accesses;
use alloy_primitives::{
    Address, U256,
    map::{AddressMap, HashMap},
};
use heddle_primitives::DependencyHints;

/// Is shown the transactions of a block in order. It stands in the builder's way: it distinguishes no more than it has
/// to, that is accounts and slots.
#[derive(Default)]
pub(crate) struct HintRecorder {
    /// Index of the last transaction that wrote an account, apart from its storage.
    accounts: AddressMap<usize>,
    /// Index of the last transaction that wrote a slot.
    slots: HashMap<(Address, U256), usize>,
    distances: Vec<u32>,
}

impl HintRecorder {
    /// Adds the block's next transaction.
    pub(crate) fn record(&mut self, accesses: &Accesses<'_>) {
        let index = self.distances.len();
        let mut dependency = None;
        for (address, access, account) in accesses.accounts() {
            let before = match access.writes() {
                true => self.accounts.insert(address, index),
                false => self.accounts.get(&address).copied(),
            };
            if access.reads() {
                dependency = dependency.max(before);
            }
            for (slot, value) in &account.storage {
                let slot = (address, *slot);
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
