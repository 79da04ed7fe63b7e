//! Learning, while a block is built, which of its transactions wait for which.

use super::memory::Memory;
use super::record::Record;
use alloy_primitives::map::HashMap;
use heddle_primitives::DependencyHints;

/// Is shown the transactions of a block in order. It notes what a parallel execution has to wait for, that is code and
/// slots: nonces it takes for granted, balances it mostly adds up, and slots that count it tells ahead.
#[derive(Debug, Default)]
pub(crate) struct HintRecorder {
    /// The last transaction that gave an account other code, by place.
    code: HashMap<u32, usize>,
    /// The last transaction that wrote a slot, by place.
    slots: HashMap<u32, usize>,
    distances: Vec<u32>,
}

impl HintRecorder {
    /// Adds the block's next transaction.
    pub(crate) fn record(&mut self, memory: &Memory<'_>, record: &Record) {
        let index = self.distances.len();
        let mut dependency = None;
        for access in &record.accounts {
            let is_written = access.write.is_some_and(|write| write.code_hash.is_some() || write.is_destroyed);
            dependency = dependency.max(visit(&mut self.code, access.place, is_written, index));
        }
        for access in record.slots.iter().filter(|access| !memory.slot(access.place).is_counter()) {
            dependency = dependency.max(visit(&mut self.slots, access.place, access.write.is_some(), index));
        }
        let distance = dependency.and_then(|writer| u32::try_from(index - writer).ok());
        self.distances.push(distance.unwrap_or_default());
    }

    /// What was learned.
    pub(crate) fn finish(self) -> DependencyHints {
        DependencyHints::new(self.distances)
    }
}

/// The last writer before `index`, which becomes the last one itself if it writes.
fn visit(writers: &mut HashMap<u32, usize>, place: u32, is_written: bool, index: usize) -> Option<usize> {
    if is_written { writers.insert(place, index) } else { writers.get(&place).copied() }
}

/// Whether so many of a block's transactions stand in one row, each waiting for the one before, that executing them
/// ahead would be in vain.
pub(crate) fn are_in_a_row(hints: &DependencyHints, transactions: usize) -> bool {
    let mut depths = vec![1usize; transactions];
    for index in 0..transactions {
        if let Some(dependency) = hints.dependency(index) {
            depths[index] = depths[dependency] + 1;
        }
    }
    depths.into_iter().max().unwrap_or_default() > transactions / 4 * 3
}
