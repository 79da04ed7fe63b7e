//! The network: how long a message takes, and whether it arrives.

use crate::faults::{Faults, Partition, PartitionKind};
use crate::scenario::Delays;
use crate::time::{MILLISECOND, Micros};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeSet;

/// One-way delays between five regions in milliseconds: Virginia, Oregon, Ireland, Tokyo, Sao Paulo. Halves of the round
/// trips that public clouds measure between them.
const REGIONS: [[Micros; 5]; 5] =
    [[1, 34, 35, 74, 57], [34, 1, 62, 49, 88], [35, 62, 1, 105, 92], [74, 49, 105, 1, 128], [57, 88, 92, 128, 1]];

/// As many peers get a message from each node in a large network; in a smaller one all do.
const MESH_DEGREE: usize = 8;

/// The way from one node to another at some time.
pub struct Network {
    delays: Delays,
    nodes: usize,
    /// Whom each node sends to.
    mesh: Vec<BTreeSet<usize>>,
}

impl Network {
    /// The network of so many nodes: all connected, or a ring with random links up to the mesh's degree.
    pub fn new(delays: Delays, nodes: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut mesh = Vec::from_iter((0..nodes).map(|_| BTreeSet::new()));
        let mut link = |a: usize, b: usize| {
            mesh[a].insert(b);
            mesh[b].insert(a);
        };
        if nodes <= MESH_DEGREE + 1 {
            (0..nodes).for_each(|a| (0..a).for_each(|b| link(a, b)));
        } else {
            (0..nodes).for_each(|a| link(a, (a + 1) % nodes));
            // Each node chooses a half of its links, and is chosen for about as many.
            for a in 0..nodes {
                let chosen = rand::seq::index::sample(rng, nodes, MESH_DEGREE / 2 - 1);
                chosen.into_iter().filter(|b| *b != a).for_each(|b| link(a, b));
            }
        }
        Self { delays, nodes, mesh }
    }

    /// Whom a node sends consensus messages to.
    pub fn mesh(&self, node: usize) -> Vec<usize> {
        self.mesh.get(node).into_iter().flatten().copied().collect()
    }

    /// Whether messages must be forwarded to reach all.
    pub fn is_mesh(&self) -> bool {
        self.nodes > MESH_DEGREE + 1
    }

    /// The mean delay between two nodes without faults.
    pub fn mean_delay(&self) -> Micros {
        let pairs = (0..self.nodes).flat_map(|a| (0..self.nodes).map(move |b| (a, b))).filter(|(a, b)| a != b);
        let delays = Vec::from_iter(pairs.map(|(a, b)| self.base(a, b)).map(|(least, jitter)| least + jitter / 2));
        delays.iter().sum::<Micros>() / (delays.len() as Micros).max(1)
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
        let inside = |node: usize| partition.members.contains(&node);
        match partition.kind {
            PartitionKind::Halves => inside(from) != inside(to),
            PartitionKind::OneWay => inside(from) && !inside(to),
            PartitionKind::All => true,
            PartitionKind::Ring => (from + 1) % self.nodes != to && (to + 1) % self.nodes != from,
        }
    }
}
