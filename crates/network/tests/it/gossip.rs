//! What is gossiped arrives once, and only what is valid is forwarded.

use crate::support::{FATAL, GENESIS, Node, Plan, REJECTED, within};
use alloy_primitives::Bytes;
use futures::StreamExt;
use heddle_network::{NetworkError, PublishError, Topic};
use libp2p::{Swarm, SwarmBuilder, gossipsub, noise, swarm::SwarmEvent, tcp, yamux};
use std::{collections::HashSet, time::Duration};

/// Two nodes that cannot dial each other, and the one between them.
async fn line() -> (Node, Node, Node) {
    let middle = Plan::new().start().await;
    let left = Plan::new().hidden().bootnodes(&[&middle]).start().await;
    let right = Plan::new().hidden().bootnodes(&[&middle]).start().await;
    for end in [&left, &right] {
        end.until_connected(&middle).await;
        middle.until_connected(end).await;
    }
    (left, middle, right)
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_reaches_all_four_once() {
    let mut nodes = vec![Plan::new().start().await];
    for _ in 0..3 {
        let node = Plan::new().bootnodes(&nodes.iter().collect::<Vec<_>>()).start().await;
        nodes.push(node);
    }
    for node in &nodes {
        node.until_peers("three peers", |peers| peers.len() == 3).await;
    }
    let block = Bytes::from_static(b"block");
    nodes[0].handle.publish(Topic::Blocks, block.clone()).await.unwrap();
    let vote = Bytes::from_static(b"vote");
    nodes[3].handle.publish(Topic::Consensus, vote.clone()).await.unwrap();
    for (index, node) in nodes.iter().enumerate() {
        if index != 0 {
            node.until_seen(&block).await;
        }
        if index != 3 {
            node.until_seen(&vote).await;
        }
    }
    for node in &nodes {
        let count = |message: &Bytes| node.seen.borrow().iter().filter(|(_, _, bytes)| bytes == message).count();
        assert!(count(&block) <= 1 && count(&vote) <= 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepted_messages_are_forwarded() {
    let (left, middle, right) = line().await;
    let message = Bytes::from_static(b"pass this on");
    left.handle.publish(Topic::Consensus, message.clone()).await.unwrap();
    assert_eq!(right.until_seen(&message).await, middle.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejected_messages_stop_and_cost_score() {
    let (left, middle, right) = line().await;
    let bad = Bytes::from(REJECTED);
    left.handle.publish(Topic::Blocks, bad.clone()).await.unwrap();
    middle.until_seen(&bad).await;
    let id = left.id();
    middle
        .until_peers("a negative score", |peers| peers.iter().any(|peer| peer.peer_id == id && peer.score < 0.0))
        .await;

    let good = Bytes::from_static(b"good");
    left.handle.publish(Topic::Blocks, good.clone()).await.unwrap();
    right.until_seen(&good).await;
    assert!(!right.has_seen(&bad));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_keeps_forwarding_bad_messages_is_banned() {
    let (left, middle, right) = line().await;
    let id = left.id();
    for number in 0..20u8 {
        let bad = Bytes::from([REJECTED, &[number]].concat());
        left.handle.publish(Topic::Blocks, bad).await.unwrap();
    }
    middle.until_lost(id).await;
    left.until_lost(middle.id()).await;
    let still_there = Bytes::from_static(b"still there");
    middle.handle.publish(Topic::Consensus, still_there.clone()).await.unwrap();
    right.until_seen(&still_there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consensus_message_may_be_repeated() {
    let (left, middle, _right) = line().await;
    let vote = Bytes::from_static(b"vote");
    let mut seen = middle.seen.clone();
    let twice = |seen: &Vec<_>| {
        seen.iter().filter(|(_, topic, bytes)| *topic == Topic::Consensus && *bytes == vote).count() == 2
    };
    let repeat = async {
        loop {
            left.handle.publish(Topic::Consensus, vote.clone()).await.unwrap();
            // Repeats that come too soon are not heard.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    within("the second vote", async {
        tokio::select! {
            seen = seen.wait_for(twice) => drop(seen.unwrap()),
            () = repeat => {}
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_message_of_a_topic_passes_and_a_larger_one_is_refused_at_home() {
    let (left, _middle, right) = line().await;
    for topic in [Topic::Consensus, Topic::Proposals, Topic::Blocks] {
        let bytes_max = topic.bytes_max();
        let largest = Bytes::from(vec![topic as u8; bytes_max]);
        left.handle.publish(topic, largest.clone()).await.unwrap();
        right.until_seen(&largest).await;

        let too_large = left.handle.publish(topic, vec![1; bytes_max + 1].into()).await;
        assert_eq!(too_large, Err(PublishError::TooLarge { bytes: bytes_max + 1, bytes_max }));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_that_panics_ends_the_service() {
    let (left, middle, _right) = line().await;
    left.handle.publish(Topic::Consensus, Bytes::from_static(FATAL)).await.unwrap();
    let end = middle.until_ended().await;
    assert!(matches!(end, Err(NetworkError::HandlerPanicked(_))), "{end:?}");
}

/// A peer that wants no place in a mesh and asks for nothing: what it gets was sent to it unasked.
fn outsider() -> Swarm<gossipsub::Behaviour> {
    let config = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .mesh_n(0)
        .mesh_n_low(0)
        .mesh_n_high(0)
        .mesh_outbound_min(0)
        .max_ihave_messages_heartbeat(0)
        .message_id_fn(|message| gossipsub::MessageId::new(&message.data))
        .build()
        .unwrap();
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config).unwrap();
    gossip.subscribe(&consensus_topic()).unwrap();
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| gossip)
        .unwrap()
        .build()
}

fn consensus_topic() -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(format!("/heddle/{}/consensus/1", hex::encode(&GENESIS[..4])))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_reaches_a_connected_peer_outside_the_mesh_at_once() {
    let mut outsider = outsider();
    outsider.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
    let address = loop {
        if let SwarmEvent::NewListenAddr { address, .. } = outsider.select_next_some().await {
            break address.with_p2p(*outsider.local_peer_id()).unwrap();
        }
    };
    let mut plan = Plan::new();
    plan.config.bootnodes = vec![address];
    let node = plan.start().await;
    let votes = async {
        // For longer than it takes the node to ask it into the mesh and be refused.
        for number in 0..16u8 {
            node.handle.publish(Topic::Consensus, Bytes::from(vec![number; 200])).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let mut heard = HashSet::new();
    let listen = async {
        while !heard.contains(&15) {
            let event = outsider.select_next_some().await;
            assert_eq!(outsider.behaviour().mesh_peers(&consensus_topic().hash()).count(), 0);
            if let SwarmEvent::Behaviour(gossipsub::Event::Message { message, .. }) = event {
                heard.insert(message.data[2]);
            }
        }
    };
    within("the last vote", async { tokio::join!(listen, votes) }).await;
    assert!((5..16).all(|number| heard.contains(&number)), "{heard:?}");
}
