//! Nodes die without warning, in every number, and come back.

use heddle_e2e::{Network, eventually, turn};
use std::time::Duration;
use tokio::time::Instant;

/// Ten block times: how long nothing must happen to call the chain halted.
const STILL: Duration = Duration::from_secs(5);

#[tokio::test]
async fn one_of_four_killed_the_chain_goes_on() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;

    network.kill9(3).await;
    let height = network.wait_blocks(0, 8).await;
    network.wait_heights(0..3, height).await;

    network.start(3).await;
    let height = network.wait_blocks(0, 4).await;
    network.wait_heights(0..4, height).await;
    network.check_agreement(0..4, height).await;
}

#[tokio::test]
async fn two_of_four_killed_it_halts_and_goes_on_when_they_return() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 3).await;

    network.kill9(2).await;
    network.kill9(3).await;
    let halted = wait_halted(&network).await;
    // Nothing is committed, however long the two that are left try.
    let end = Instant::now() + STILL;
    eventually("the end of watching", async || {
        assert_eq!(network.rpc(0).height().await, halted, "two of four validators committed a block");
        assert_eq!(network.rpc(1).height().await, halted, "two of four validators committed a block");
        (Instant::now() >= end).then_some(())
    })
    .await;

    network.start(2).await;
    network.start(3).await;
    network.wait_heights(0..4, halted + 5).await;
    network.check_agreement(0..4, halted + 5).await;
}

/// Waits until nodes 0 and 1 have what was decided before the others died; returns their height.
async fn wait_halted(network: &Network) -> u64 {
    let mut seen = (0, Instant::now());
    eventually("a halted chain", async || {
        let (first, second) = (network.rpc(0).height().await, network.rpc(1).height().await);
        if first != second || first != seen.0 {
            seen = (first.max(second), Instant::now());
        }
        (seen.1.elapsed() >= STILL).then_some(first)
    })
    .await
}

#[tokio::test]
async fn all_killed_in_turn_and_then_at_once_resume() {
    let _turn = turn().await;
    let mut network = Network::create(4).await;
    network.start_all().await;
    network.wait_heights(0..4, 2).await;

    for node in 0..4 {
        network.kill9(node).await;
        let height = network.wait_blocks((node + 1) % 4, 2).await;
        network.start(node).await;
        network.wait_height(node, height).await;
    }

    let before = network.rpc(0).height().await;
    let hash = network.rpc(0).hash(before).await;
    for node in 0..4 {
        network.kill9(node).await;
    }
    network.start_all().await;
    network.wait_heights(0..4, before + 5).await;
    network.check_agreement(0..4, before + 5).await;
    assert_eq!(network.rpc(0).hash(before).await, hash, "a committed block changed");
}

#[tokio::test]
async fn every_restart_lands_on_a_committed_block() {
    const KILLS: u64 = 8;
    let _turn = turn().await;
    let mut network = Network::create_with(4, &["--block-time", "100ms"]).await;
    network.start_all().await;
    network.wait_heights(0..4, 2).await;
    for _ in 0..KILLS {
        let before = network.rpc(0).height().await;
        network.kill9(0).await;
        network.start(0).await;
        // What it answers with first is what it found on disk, or later: never less than it had shown.
        let after = network.rpc(0).height().await;
        assert!(after >= before, "height {before} was shown, {after} is left");
        let hash = network.rpc(0).hash(after).await;
        network.wait_height(1, after).await;
        assert_eq!(network.rpc(1).hash(after).await, hash, "block {after} after the restart");
    }
    let height = network.wait_blocks(1, 3).await;
    network.wait_heights(0..4, height).await;
    network.check_agreement(0..4, height).await;
}
