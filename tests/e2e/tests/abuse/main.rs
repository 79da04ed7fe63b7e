//! Abuse of one validator by many: the chain goes on, memory stays, and whoever abuses is thrown out.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod abuser;
mod rpc;

use abuser::{Abuse, KINDS, Lifetimes, Target};
use heddle_e2e::{Network, eventually, turn};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinSet};

const NODES: usize = 4;
const BLOCKS_BEFORE: u64 = 60;
const BLOCKS_UNDER_ABUSE: u64 = 60;
/// Most that the memory of a node may grow by.
const GROWTH_MAX: u64 = 64 * 1024 * 1024;
/// Connections held without a handshake.
const HALF_OPEN: usize = 100;

/// The times between blocks, as one node sees them, until it has `blocks` more, sorted.
async fn block_times(network: &Network, node: usize, blocks: u64) -> Vec<Duration> {
    let rpc = network.rpc(node);
    let (mut height, mut at) = (rpc.height().await, None);
    let last = height + blocks;
    let mut times = Vec::new();
    while height < last {
        let next = eventually("a block", async || rpc.try_height().await.filter(|now| *now > height)).await;
        let now = Instant::now();
        if let Some(before) = at.replace(now) {
            times.push((now - before) / u32::try_from(next - height).unwrap());
        }
        height = next;
    }
    times.sort();
    times
}

/// The value that 99 in 100 do not exceed.
fn p99(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() * 99).div_ceil(100) - 1]
}

/// Memory that a process holds, in bytes.
fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn residents(network: &mut Network) -> Vec<u64> {
    (0..NODES).map(|node| resident(network.process(node).id())).collect()
}

/// Opens connections that say nothing and waits until the target closes each, again and again.
async fn half_open(address: SocketAddr, closed: Arc<std::sync::atomic::AtomicU64>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(address).await {
            // Ends when the target gives up; what it says before is its half of the handshake.
            _ = stream.read_to_end(&mut Vec::new()).await;
            closed.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Opens connections and drops them, hundreds a second.
async fn connection_flood(address: SocketAddr) {
    loop {
        drop(TcpStream::connect(address).await);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn abuse_of_a_validator_does_not_stop_the_chain() {
    let _turn = turn().await;
    let mut network = Network::create_with(NODES, &["--block-time", "200ms"]).await;
    network.start_all().await;
    network.wait_blocks(0, 10).await;
    let quiet = block_times(&network, 0, BLOCKS_BEFORE).await;
    let before = residents(&mut network);

    let target = target(&network);
    let address = SocketAddr::from(([127, 0, 0, 1], port(&target)));
    let lifetimes = Arc::new(Lifetimes::default());
    let closed = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let mut abusers = JoinSet::new();
    for abuse in KINDS.into_iter().chain([Abuse::Invalid, Abuse::Invalid]) {
        let (target, lifetimes) = (target.clone(), lifetimes.clone());
        abusers.spawn(async move { abuser::run(target, abuse, &lifetimes).await });
    }
    for _ in 0..HALF_OPEN {
        abusers.spawn(half_open(address, closed.clone()));
    }
    abusers.spawn(connection_flood(address));

    let abused = block_times(&network, 0, BLOCKS_UNDER_ABUSE).await;
    let after = residents(&mut network);
    for kind in KINDS {
        eventually(&format!("the end of a connection of {kind:?}"), async || {
            lifetimes.lock().unwrap().iter().any(|(abuse, _)| *abuse == kind).then_some(())
        })
        .await;
    }
    eventually("the end of a connection without a handshake", async || {
        (closed.load(std::sync::atomic::Ordering::Relaxed) > 0).then_some(())
    })
    .await;
    abusers.shutdown().await;

    report(&quiet, &abused, &before, &after, &lifetimes.lock().unwrap());
    for (node, (before, after)) in before.iter().zip(&after).enumerate() {
        assert!(*after < before + GROWTH_MAX, "node {node} grew from {before} to {after} bytes");
    }
    let height = network.wait_blocks(0, 3).await;
    network.wait_heights(0..NODES, height).await;
    network.check_agreement(0..NODES, height).await;
    for node in 0..NODES {
        assert!(!network.process(node).log().contains("panicked"), "node {node} panicked");
    }
}

/// The first validator.
fn target(network: &Network) -> Target {
    let genesis = heddle_primitives::Genesis::read(&network.genesis()).unwrap();
    let digits = &genesis.hash().to_string()[2..10];
    let address = network.addresses()[0].as_str().unwrap().parse().unwrap();
    Target { address, prefix: format!("/heddle/{digits}") }
}

fn port(target: &Target) -> u16 {
    let tcp = |part| if let libp2p::multiaddr::Protocol::Tcp(port) = part { Some(port) } else { None };
    target.address.iter().find_map(tcp).unwrap()
}

fn report(quiet: &[Duration], abused: &[Duration], before: &[u64], after: &[u64], lifetimes: &[(Abuse, Duration)]) {
    let (quiet, abused) = (p99(quiet), p99(abused));
    println!("block time p99: quiet {quiet:?}, abused {abused:?}, ratio {:.2}", abused.div_duration_f64(quiet));
    println!("resident bytes: before {before:?}, after {after:?}");
    for kind in KINDS {
        let of_kind = || lifetimes.iter().filter(|(abuse, _)| *abuse == kind).map(|(_, lifetime)| *lifetime);
        println!("{kind:?}: thrown out {} times, longest connection {:?}", of_kind().count(), of_kind().max());
    }
}
