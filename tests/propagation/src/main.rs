//! How fast, and at what cost, blocks spread between nodes: compact blocks with warm and with cold pools, beside whole
//! blocks flooded through the same network, in one run.
//!
//! Nodes are the real network crate over loopback, one process for all; what is missing is a chain behind them, so that
//! nothing but propagation is measured. A table goes to stderr as it is measured, and a JSON object is the last line of
//! stdout.

mod chain;
mod measurement;
mod node;
mod pool;
mod swarm;

use chain::Chain;
use clap::Parser;
use heddle_network::NetworkConfig;
use measurement::{Gossip, Spread, Summary};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::error::Error;
use swarm::Swarm;

/// Measure how blocks spread between in-process nodes.
#[derive(Parser)]
struct Args {
    /// How many nodes, each a validator [2 to 255].
    #[arg(long, value_delimiter = ',', default_values_t = [16, 64], value_parser = clap::value_parser!(u8).range(2..))]
    nodes: Vec<u8>,
    /// How many transfers a block holds [1 to 50000].
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000], value_parser = clap::value_parser!(u32).range(1..=50_000))]
    transfers: Vec<u32>,
    /// Blocks of each kind; the middle one is shown [1 to 100].
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    blocks: u32,
    /// What topology and transfers are drawn from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What receivers know, and what they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Compact blocks of transactions that everybody has.
    Warm,
    /// Compact blocks of transactions that nobody has.
    Cold,
    /// Whole blocks: the baseline.
    Flooding,
}

impl Manner {
    const ALL: [Self; 3] = [Self::Warm, Self::Cold, Self::Flooding];

    const fn name(self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Cold => "cold",
            Self::Flooding => "flooding",
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let (mut results, mut gossip) = (Vec::new(), Vec::new());
    for &nodes in &args.nodes {
        let mut chain = Chain::new(nodes)?;
        eprintln!("{nodes} nodes: starting");
        let mut swarm = Swarm::start(nodes.into(), &chain, &mut rng).await?;
        let (connections, idle) = (swarm.connections(), swarm.idle_bytes_a_second().await?);
        eprintln!("{nodes} nodes, {connections:.1} connections each, {idle:.0} bytes a second when idle");
        eprintln!("transfers     block  kind       half ms   95% ms   all ms  sent/node/block  cpu us/message");
        for &transfers in &args.transfers {
            for manner in Manner::ALL {
                let spreads = measure(&mut swarm, &mut chain, manner, transfers as usize, args.blocks).await?;
                results.extend(report(nodes, transfers, manner, &spreads));
            }
        }
        for &transfers in &args.transfers {
            gossip.push(report_gossip(nodes, transfers, swarm.gossip(&chain.transfers(transfers as usize)?).await?));
        }
    }
    println!("{}", json!({ "propagation": results, "transactions": gossip }));
    Ok(())
}

async fn measure(
    swarm: &mut Swarm,
    chain: &mut Chain,
    manner: Manner,
    transfers: usize,
    blocks: u32,
) -> Result<Vec<Spread>, Box<dyn Error>> {
    let mut spreads = Vec::new();
    for _ in 0..blocks {
        let transactions = chain.transfers(transfers)?;
        swarm.know(if manner == Manner::Warm { &transactions } else { &[] });
        let (proposer, message) = chain.propose(transactions)?;
        let whole_bytes_max = match manner {
            Manner::Flooding => usize::MAX,
            Manner::Warm | Manner::Cold => NetworkConfig::default().whole_block_bytes,
        };
        spreads.push(swarm.spread(proposer, message, whole_bytes_max).await?);
    }
    Ok(spreads)
}

/// Prints what it cost to spread transactions before any block; the same as JSON.
fn report_gossip(nodes: u8, transfers: u32, gossip: Gossip) -> Value {
    eprintln!(
        "{transfers:>9} transfers gossiped: half of the nodes had all after {:.0} ms, all after {:.0} ms; each received \
         {:.2} times, {:.2} times its bytes sent",
        gossip.half.as_secs_f64() * 1e3,
        gossip.all.as_secs_f64() * 1e3,
        gossip.received_ratio,
        gossip.sent_ratio,
    );
    json!({ "nodes": nodes, "transfers": transfers, "figures": gossip.to_json() })
}

/// Prints a line of the table; the same as JSON.
fn report(nodes: u8, transfers: u32, manner: Manner, spreads: &[Spread]) -> Option<Value> {
    let (summary, block_bytes) = (Summary::of(spreads)?, spreads.first()?.block_bytes);
    let millis = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    eprintln!(
        "{transfers:>9} {:>6.1} KB  {:<9} {:>8.1} {:>8.1} {:>8.1} {:>16.3} {:>15.1}",
        block_bytes as f64 / 1e3,
        manner.name(),
        millis(summary.half),
        millis(summary.most),
        millis(summary.all),
        summary.sent_ratio,
        summary.cpu_per_message.as_secs_f64() * 1e6,
    );
    Some(json!({
        "nodes": nodes, "transfers": transfers, "kind": manner.name(), "blockBytes": block_bytes,
        "figures": summary.to_json(),
    }))
}
