//! All nodes of a run, connected as nodes that found each other by chance are.

use crate::chain::Chain;
use crate::measurement::{Gossip, Spread};
use crate::node::{Held, Node};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::B256;
use alloy_rlp::Encodable;
use heddle_primitives::{ProposalMessage, Transaction};
use prometheus_client::encoding::text::encode;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Nodes that a new one knows of.
const KNOWN: usize = 4;
/// Connections that every node must have before anything is measured, as far as there are so many nodes.
const CONNECTIONS_MIN: usize = 8;
/// How long meshes form before anything is measured.
const WARM_UP: Duration = Duration::from_secs(4);
/// What still travels after the last node holds a block is counted for so long.
const SETTLE: Duration = Duration::from_millis(500);
/// Nothing measured here takes so long.
const DEADLINE: Duration = Duration::from_secs(120);

/// The figures that all nodes add up to.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    bytes_sent: u64,
    messages: u64,
    transaction_bytes: u64,
    cpu: Duration,
}

/// A running network of nodes.
pub struct Swarm {
    nodes: Vec<Node>,
}

impl Swarm {
    /// Starts `size` nodes (2 to 255), and returns when they are connected and their meshes have formed.
    ///
    /// # Errors
    /// When a node cannot start, or never finds its peers.
    pub async fn start(size: usize, chain: &Chain, rng: &mut ChaCha8Rng) -> Result<Self, Box<dyn Error>> {
        let validators = Arc::new(chain.validators().clone());
        let mut nodes: Vec<Node> = Vec::with_capacity(size);
        for _ in 0..size {
            let known = nodes.choose_multiple(rng, KNOWN).flat_map(|node| node.network.listen_addresses()).collect();
            nodes.push(Node::start(validators.clone(), known).await?);
        }
        let wanted = CONNECTIONS_MIN.min(size - 1);
        for node in &nodes {
            let mut peers = node.network.watch_peers();
            tokio::time::timeout(DEADLINE, peers.wait_for(|peers| peers.len() >= wanted)).await??;
        }
        tokio::time::sleep(WARM_UP).await;
        Ok(Self { nodes })
    }

    /// Makes every node know these transactions and no others.
    pub fn know(&self, transactions: &[Transaction]) {
        for node in &self.nodes {
            node.pool.clear();
            node.pool.add(transactions);
        }
    }

    /// Gives transactions to nodes, each to one of them, and waits until all nodes have all.
    ///
    /// # Errors
    /// When a node never has them.
    pub async fn gossip(&mut self, transactions: &[Transaction]) -> Result<Gossip, Box<dyn Error>> {
        self.know(&[]);
        let bytes: usize = transactions.iter().map(Encodable2718::encode_2718_len).sum();
        let (before, started) = (self.totals()?, Instant::now());
        let share = transactions.len().div_ceil(self.nodes.len());
        for (node, given) in self.nodes.iter().zip(transactions.chunks(share)) {
            node.pool.submit(given);
        }
        let mut held_after = Vec::with_capacity(self.nodes.len());
        let everywhere = self.nodes.iter().map(|node| async move {
            node.pool.until_holds(transactions.len()).await;
            started.elapsed()
        });
        let everywhere = futures::future::join_all(everywhere);
        held_after.extend(tokio::time::timeout(DEADLINE, everywhere).await.map_err(|_| "a node never had them all")?);
        tokio::time::sleep(SETTLE).await;
        held_after.sort_unstable();
        let after = self.totals()?;
        let received = after.transaction_bytes.saturating_sub(before.transaction_bytes);
        // Nobody receives what was given to it.
        let once = bytes * (self.nodes.len() - 1);
        let sent = after.bytes_sent.saturating_sub(before.bytes_sent);
        Ok(Gossip {
            half: held_after.get(held_after.len() / 2).copied().unwrap_or_default(),
            all: held_after.last().copied().unwrap_or_default(),
            received_ratio: received as f64 / once as f64,
            sent_ratio: sent as f64 / once as f64,
        })
    }

    /// Bytes a second that a node sends when nothing is proposed: what figures of small blocks hold, too.
    ///
    /// # Errors
    /// When the metrics cannot be read.
    pub async fn idle_bytes_a_second(&self) -> Result<f64, Box<dyn Error>> {
        let before = self.totals()?;
        tokio::time::sleep(WARM_UP).await;
        let sent = self.totals()?.bytes_sent.saturating_sub(before.bytes_sent);
        Ok(sent as f64 / WARM_UP.as_secs_f64() / self.nodes.len() as f64)
    }

    /// Connections of a node, on average.
    pub fn connections(&self) -> f64 {
        let ends: usize = self.nodes.iter().map(|node| node.network.peer_count()).sum();
        ends as f64 / self.nodes.len() as f64
    }

    /// Lets a node propose a block, and waits until all hold it.
    ///
    /// # Errors
    /// When a node never holds it.
    pub async fn spread(
        &mut self,
        proposer: usize,
        message: ProposalMessage,
        whole_bytes_max: usize,
    ) -> Result<Spread, Box<dyn Error>> {
        let (block_hash, block_bytes) = (message.body.hash(), message.body.block.length());
        let (before, started) = (self.totals()?, Instant::now());
        let node = self.nodes.get(proposer).ok_or("there are more validators than nodes")?;
        node.propose(message, whole_bytes_max).await?;
        let mut held_after = Vec::with_capacity(self.nodes.len());
        for (_, node) in self.nodes.iter_mut().enumerate().filter(|(index, _)| *index != proposer) {
            held_after.push(until_held(node, block_hash).await?.at.saturating_duration_since(started));
        }
        tokio::time::sleep(SETTLE).await;
        held_after.sort_unstable();
        let after = self.totals()?;
        Ok(Spread {
            held_after,
            bytes_sent: after.bytes_sent.saturating_sub(before.bytes_sent),
            messages: after.messages.saturating_sub(before.messages),
            cpu: after.cpu.saturating_sub(before.cpu),
            block_bytes,
            nodes: self.nodes.len(),
        })
    }

    fn totals(&self) -> Result<Totals, Box<dyn Error>> {
        let mut totals = Totals { cpu: processor_time()?, ..Totals::default() };
        for node in &self.nodes {
            let mut text = String::new();
            encode(&mut text, &node.registry)?;
            totals.bytes_sent += sum(&text, "network_libp2p_bandwidth_bytes_total", "direction=\"Outbound\"");
            totals.messages += sum(&text, "network_gossip_total", "");
            totals.transaction_bytes += sum(&text, "network_transactions_received_bytes_total", "");
        }
        Ok(totals)
    }
}

async fn until_held(node: &mut Node, block_hash: B256) -> Result<Held, Box<dyn Error>> {
    loop {
        let held = tokio::time::timeout(DEADLINE, node.held.recv()).await.map_err(|_| "a node never held the block")?;
        match held {
            Some(held) if held.block_hash == block_hash => return Ok(held),
            // A block of the warm-up that came twice.
            Some(_) => {}
            None => return Err("a node stopped".into()),
        }
    }
}

/// What the metrics of this name and label add up to.
fn sum(text: &str, name: &str, label: &str) -> u64 {
    let of_name = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    of_name.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Processor time of this process so far.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    /// The kernel's unit (`USER_HZ`), the same on every Linux.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // The second field, the program's name in parentheses, may hold anything.
    let fields = stat.rsplit(')').next().ok_or("no fields in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<u32, _>>()?;
    Ok(TICK * ticks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_label_are_added_up() {
        let text = "# HELP b Bytes.\nb_total{direction=\"In\"} 5\nb_total{direction=\"Out\",p=\"a\"} 7\n\
                    b_total{direction=\"Out\",p=\"b\"} 2\nother_total 1\n";
        assert_eq!(sum(text, "b_total", "direction=\"Out\""), 9);
        assert_eq!(sum(text, "b_total", ""), 14);
    }

    #[test]
    fn processor_time_is_there() {
        let before = processor_time().unwrap();
        assert!(processor_time().unwrap() >= before);
    }
}
