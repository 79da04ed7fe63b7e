//! What was measured of one block, and the middle of several.

use serde_json::{Value, json};
use std::time::Duration;

/// How one block spread.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// When each node held the block, after its proposer published it, the proposer left out; sorted.
    pub held_after: Vec<Duration>,
    /// Bytes that all nodes sent meanwhile, of every protocol.
    pub bytes_sent: u64,
    /// Gossip messages and requests that all nodes received meanwhile.
    pub messages: u64,
    /// Processor time of all nodes meanwhile.
    pub cpu: Duration,
    /// The block's RLP, in bytes.
    pub block_bytes: usize,
    /// How many nodes there are.
    pub nodes: usize,
}

impl Spread {
    /// When `percent` of the nodes (1 to 100) held the block.
    pub fn held_by(&self, percent: usize) -> Duration {
        let nodes = (self.held_after.len() * percent).div_ceil(100);
        self.held_after.get(nodes.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// Bytes that a node sent, as a multiple of the block's size.
    pub fn sent_ratio(&self) -> f64 {
        self.bytes_sent as f64 / self.nodes as f64 / self.block_bytes as f64
    }

    /// Processor time a message.
    pub fn cpu_per_message(&self) -> Duration {
        self.cpu.checked_div(u32::try_from(self.messages).unwrap_or(u32::MAX)).unwrap_or_default()
    }
}

/// How transactions spread that were given to nodes one by one.
#[derive(Clone, Copy, Debug)]
pub struct Gossip {
    /// Until half of the nodes had all of them.
    pub half: Duration,
    /// Until all nodes had all of them.
    pub all: Duration,
    /// Bytes of transactions received, as a multiple of receiving each once.
    pub received_ratio: f64,
    /// Bytes of everything sent, announcements too, as a multiple of the same.
    pub sent_ratio: f64,
}

impl Gossip {
    /// The figures by name; times in seconds.
    pub fn to_json(self) -> Value {
        json!({
            "halfSeconds": self.half.as_secs_f64(),
            "allSeconds": self.all.as_secs_f64(),
            "receivedByOnce": self.received_ratio,
            "sentByOnce": self.sent_ratio,
        })
    }
}

/// The middle of what several blocks took.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Until half of the nodes held the block.
    pub half: Duration,
    /// Until 95 in 100 held it.
    pub most: Duration,
    /// Until all held it.
    pub all: Duration,
    /// See [`Spread::sent_ratio`].
    pub sent_ratio: f64,
    /// See [`Spread::cpu_per_message`].
    pub cpu_per_message: Duration,
}

impl Summary {
    /// The median of each figure; nothing of no blocks.
    pub fn of(spreads: &[Spread]) -> Option<Self> {
        let times = |percent| median(spreads.iter().map(|spread| spread.held_by(percent)).collect());
        Some(Self {
            half: times(50)?,
            most: times(95)?,
            all: times(100)?,
            sent_ratio: median_by(spreads.iter().map(Spread::sent_ratio).collect(), f64::total_cmp)?,
            cpu_per_message: median(spreads.iter().map(Spread::cpu_per_message).collect())?,
        })
    }

    /// The figures by name; times in seconds.
    pub fn to_json(&self) -> Value {
        json!({
            "halfSeconds": self.half.as_secs_f64(),
            "p95Seconds": self.most.as_secs_f64(),
            "allSeconds": self.all.as_secs_f64(),
            "sentPerNodeByBlock": self.sent_ratio,
            "cpuMicrosPerMessage": self.cpu_per_message.as_secs_f64() * 1e6,
        })
    }
}

fn median<T: Ord + Copy>(values: Vec<T>) -> Option<T> {
    median_by(values, T::cmp)
}

fn median_by<T: Copy>(mut values: Vec<T>, compare: impl Fn(&T, &T) -> std::cmp::Ordering) -> Option<T> {
    values.sort_by(compare);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(millis: &[u64], bytes_sent: u64) -> Spread {
        let held_after = millis.iter().copied().map(Duration::from_millis).collect();
        Spread { held_after, bytes_sent, messages: 4, cpu: Duration::from_millis(8), block_bytes: 100, nodes: 5 }
    }

    #[test]
    fn a_share_of_the_nodes_is_rounded_up() {
        let spread = spread(&[1, 2, 3, 40], 1000);
        assert_eq!([50, 75, 95, 100].map(|percent| spread.held_by(percent).as_millis()), [2, 3, 40, 40]);
        assert_eq!(spread.sent_ratio(), 2.0);
        assert_eq!(spread.cpu_per_message(), Duration::from_millis(2));
    }

    #[test]
    fn a_summary_is_the_middle() {
        let summary = Summary::of(&[spread(&[1], 500), spread(&[9], 1500), spread(&[5], 1000)]).unwrap();
        assert_eq!((summary.all.as_millis(), summary.sent_ratio), (5, 2.0));
        assert!(Summary::of(&[]).is_none());
    }
}
