//! The network: how long a message takes, and whether it arrives.

use crate::scenario::{Delays, Faults, Partition, PartitionKind};
use crate::time::{MILLISECOND, Micros};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// One-way delays between five regions in milliseconds: Virginia, Oregon, Ireland, Tokyo, Sao Paulo. Halves of the round
/// trips that public clouds measure between them.
const REGIONS: [[Micros; 5]; 5] =
    [[1, 34, 35, 74, 57], [34, 1, 62, 49, 88], [35, 62, 1, 105, 92], [74, 49, 105, 1, 128], [57, 88, 92, 128, 1]];

/// The way from one node to another at some time.
pub struct Network {
    delays: Delays,
    nodes: usize,
}

impl Network {
    /// The network of so many nodes.
    pub fn new(delays: Delays, nodes: usize) -> Self {
        Self { delays, nodes }
    }

    /// Delays between two nodes without any fault: the shortest, and by how much chance may lengthen it.
    fn base(&self, from: usize, to: usize) -> (Micros, Micros) {
        match self.delays {
            Delays::Lan => (MILLISECOND / 10, MILLISECOND / 2),
            Delays::Wan => {
                let region = |node: usize| node % REGIONS.len();
                let least = REGIONS[region(from)][region(to)] * MILLISECOND;
                (least, least / 10 + MILLISECOND / 2)
            }
        }
    }

    /// How long a message takes now.
    pub fn delay(&self, from: usize, to: usize, faults: Option<&Faults>, rng: &mut ChaCha8Rng) -> Micros {
        let (least, jitter) = self.base(from, to);
        let delay = least + rng.random_range(0..=jitter);
        match faults {
            Some(faults) if rng.random_ratio(faults.late_percent, 100) => delay + rng.random_range(0..=faults.late_by),
            _ => delay,
        }
    }

    /// Whether a partition cuts the way now.
    pub fn is_cut(&self, from: usize, to: usize, now: Micros, faults: Option<&Faults>) -> bool {
        let Some(faults) = faults else { return false };
        let cuts = |partition: &Partition| {
            (partition.from..partition.until).contains(&now) && self.separates(partition, from, to)
        };
        faults.partitions.iter().any(cuts)
    }

    fn separates(&self, partition: &Partition, from: usize, to: usize) -> bool {
        let inside = |node: usize| partition.members & (1 << node) != 0;
        match partition.kind {
            PartitionKind::Halves => inside(from) != inside(to),
            PartitionKind::OneWay => inside(from) && !inside(to),
            PartitionKind::Ring => (from + 1) % self.nodes != to && (to + 1) % self.nodes != from,
        }
    }
}
