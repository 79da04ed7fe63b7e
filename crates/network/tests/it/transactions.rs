//! Transactions reach every pool once: pushed, or announced and fetched.

use crate::support::{Node, Plan, REJECTED, within};
use alloy_primitives::{B256, Bytes};
use heddle_network::Announcement;

/// Nodes of which each dials the one before.
async fn line(length: usize) -> Vec<Node> {
    let mut nodes = Vec::<Node>::new();
    while nodes.len() < length {
        let mut plan = Plan::new().bootnodes(&Vec::from_iter(nodes.last()));
        plan.config.peers_target = 1;
        let node = plan.start().await;
        if let Some(last) = nodes.last() {
            node.until_connected(last).await;
            last.until_connected(&node).await;
        }
        nodes.push(node);
    }
    nodes
}

fn transaction(number: u32, bytes: usize) -> Bytes {
    let mut raw = vec![2; bytes];
    raw[1..5].copy_from_slice(&number.to_be_bytes());
    raw.into()
}

#[tokio::test(flavor = "multi_thread")]
async fn small_and_large_transactions_reach_all() {
    let nodes = line(4).await;
    let sizes = [100, 4_096, 4_097, 128 * 1024];
    let add = |(number, bytes): (usize, &usize)| {
        nodes[number].pool.add(transaction(number as u32, *bytes), Announcement::Local)
    };
    let hashes = Vec::from_iter(sizes.iter().enumerate().map(add));
    for node in &nodes {
        node.pool.until_holds(&hashes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_reaches_the_end_of_the_line() {
    let nodes = line(3).await;
    let hashes: Vec<B256> =
        (0..1_000).map(|number| nodes[0].pool.add(transaction(number, 110), Announcement::Local)).collect();
    nodes[2].pool.until_holds(&hashes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_peer_hears_of_what_is_pending() {
    let first = Plan::new().start().await;
    let hash = first.pool.add(transaction(1, 110), Announcement::Local);
    let second = Plan::new().bootnodes(&[&first]).start().await;
    second.pool.until_holds(&[hash]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_transactions_cost_their_sender_score_and_go_no_further() {
    let nodes = line(3).await;
    let bad = nodes[0].pool.add(Bytes::from_static(REJECTED), Announcement::Local);
    let id = nodes[0].id();
    nodes[1]
        .until_peers("a negative score", |peers| peers.iter().any(|peer| peer.peer_id == id && peer.score < 0.0))
        .await;

    let good = nodes[0].pool.add(transaction(1, 110), Announcement::Local);
    nodes[2].pool.until_holds(&[good]).await;
    assert!(!nodes[1].pool.holds(&bad) && !nodes[2].pool.holds(&bad));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_keeps_sending_what_is_invalid_is_banned() {
    let nodes = line(2).await;
    let id = nodes[0].id();
    let spam = async {
        let mut peers = nodes[1].handle.watch_peers();
        let mut number = 0u32;
        while peers.borrow_and_update().iter().any(|peer| peer.peer_id == id) {
            let raw = [REJECTED, &number.to_be_bytes()].concat();
            nodes[0].pool.add(raw.into(), Announcement::Local);
            number += 1;
            tokio::task::yield_now().await;
        }
    };
    within("the ban", spam).await;
}
