//! Peers that do not follow the rules.

use crate::support::{GENESIS, Node, Plan, within};
use alloy_primitives::{B256, Bytes};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use heddle_network::{Multiaddr, RequestError, Topic};
use heddle_primitives::{MAX_COMPACT_BLOCK_BYTES, Request, TransactionAnnouncement, TransactionRequest};
use libp2p::{
    StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify,
    identity::Keypair,
    noise,
    request_response::{self, Message, ProtocolSupport, ResponseChannel},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::io;
use tokio::{sync::mpsc, task::JoinHandle};

/// Requests and answers without any rule.
#[derive(Clone, Default)]
pub struct Raw;

async fn read_all(io: &mut (impl AsyncRead + Unpin + Send)) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

async fn write_all(io: &mut (impl AsyncWrite + Unpin + Send), bytes: Vec<u8>) -> io::Result<()> {
    io.write_all(&bytes).await?;
    io.close().await
}

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_all(io).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_all(io).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_all(io, bytes).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_all(io, bytes).await
    }
}

#[derive(NetworkBehaviour)]
struct RogueBehaviour {
    identify: identify::Behaviour,
    gossip: gossipsub::Behaviour,
    /// Writes any bytes on a gossip stream of its own.
    raw_gossip: request_response::Behaviour<Raw>,
    requests: request_response::Behaviour<Raw>,
    transactions: request_response::Behaviour<Raw>,
}

pub fn prefix(genesis: B256) -> String {
    format!("/heddle/{}", hex::encode(&genesis[..4]))
}

pub const TOPICS: [&str; 3] = ["consensus", "proposals", "blocks"];

pub fn topic(name: &str) -> gossipsub::IdentTopic {
    gossipsub::IdentTopic::new(format!("{}/{name}/1", prefix(GENESIS)))
}

fn rogue_behaviour(key: &Keypair, genesis: B256) -> RogueBehaviour {
    let prefix = prefix(genesis);
    let gossip = gossipsub::ConfigBuilder::default()
        .validation_mode(gossipsub::ValidationMode::Anonymous)
        .max_transmit_size(64 * 1024 * 1024)
        .build()
        .unwrap();
    let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, gossip).unwrap();
    for name in TOPICS {
        gossip.subscribe(&topic(name)).unwrap();
    }
    let [requests, transactions] = ["req", "tx"].map(|name| {
        let protocol = StreamProtocol::try_from_owned(format!("{prefix}/{name}/1")).unwrap();
        request_response::Behaviour::new([(protocol, ProtocolSupport::Full)], Default::default())
    });
    RogueBehaviour {
        identify: identify::Behaviour::new(identify::Config::new(format!("{prefix}/1"), key.public())),
        gossip,
        requests,
        transactions,
        raw_gossip: request_response::Behaviour::new(
            [(StreamProtocol::new("/meshsub/1.1.0"), ProtocolSupport::Outbound)],
            Default::default(),
        ),
    }
}

fn rogue_swarm(genesis: B256) -> Swarm<RogueBehaviour> {
    SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| rogue_behaviour(key, genesis))
        .unwrap()
        .with_swarm_config(|config| config.with_idle_connection_timeout(std::time::Duration::from_secs(60)))
        .build()
}

enum Act {
    Request(Vec<u8>),
    Transactions(Vec<u8>),
    RawGossip(Vec<u8>),
    /// Nothing is read any more.
    Stall,
    /// Leaves a topic and comes back to it; ends when that has cost the connection.
    Toggle(&'static str),
    Gossip(&'static str, Vec<u8>),
}

/// A peer that the node takes for one of its chain.
struct Rogue {
    id: libp2p::PeerId,
    acts: mpsc::UnboundedSender<Act>,
    task: JoinHandle<()>,
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rogue {
    /// Connects to `node`, and answers every request with `answer`, those about transactions never.
    async fn join(node: &Node, answer: &'static [u8]) -> Self {
        let mut swarm = rogue_swarm(GENESIS);
        let (id, target) = (*swarm.local_peer_id(), node.id());
        swarm.dial(tcp_address(node)).unwrap();
        within("the node's topics", async {
            let mut topics = 0;
            while topics < TOPICS.len() {
                topics += usize::from(is_subscription(&swarm.select_next_some().await));
            }
        })
        .await;
        let (acts, mut to_do) = mpsc::unbounded_channel();
        let mut unanswered = Vec::new();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => unanswered.extend(answer_requests(&mut swarm, event, answer)),
                    Some(act) = to_do.recv() => match act {
                        Act::Request(bytes) => {
                            swarm.behaviour_mut().requests.send_request(&target, bytes);
                        }
                        Act::Transactions(bytes) => {
                            swarm.behaviour_mut().transactions.send_request(&target, bytes);
                        }
                        Act::RawGossip(bytes) => {
                            swarm.behaviour_mut().raw_gossip.send_request(&target, bytes);
                        }
                        Act::Stall => std::future::pending().await,
                        Act::Toggle(name) => {
                            assert!(swarm.behaviour_mut().gossip.unsubscribe(&topic(name)));
                            swarm.behaviour_mut().gossip.subscribe(&topic(name)).unwrap();
                            while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionClosed { .. }) {}
                            return;
                        }
                        Act::Gossip(name, bytes) => {
                            swarm.behaviour_mut().gossip.publish(topic(name), bytes).unwrap();
                        }
                    },
                }
            }
        });
        node.until_peers("the rogue", |peers| peers.iter().any(|peer| peer.peer_id == id)).await;
        Self { id, acts, task }
    }

    fn act(&self, act: Act) {
        self.acts.send(act).unwrap();
    }
}

fn is_subscription(event: &SwarmEvent<RogueBehaviourEvent>) -> bool {
    matches!(event, SwarmEvent::Behaviour(RogueBehaviourEvent::Gossip(gossipsub::Event::Subscribed { .. })))
}

/// Answers a request about the chain; gives back the channel of one about transactions.
fn answer_requests(
    swarm: &mut Swarm<RogueBehaviour>,
    event: SwarmEvent<RogueBehaviourEvent>,
    answer: &[u8],
) -> Option<ResponseChannel<Vec<u8>>> {
    match event {
        SwarmEvent::Behaviour(RogueBehaviourEvent::Requests(request_response::Event::Message {
            message: Message::Request { channel, .. },
            ..
        })) => {
            swarm.behaviour_mut().requests.send_response(channel, answer.to_vec()).unwrap();
            None
        }
        SwarmEvent::Behaviour(RogueBehaviourEvent::Transactions(request_response::Event::Message {
            message: Message::Request { channel, .. },
            ..
        })) => Some(channel),
        _ => None,
    }
}

pub fn tcp_address(node: &Node) -> Multiaddr {
    node.handle.listen_addresses().into_iter().find(|address| address.to_string().contains("/tcp/")).unwrap()
}

async fn until_blamed(node: &Node, rogue: &Rogue) {
    let blamed =
        |peers: &[heddle_network::PeerInfo]| peers.iter().any(|peer| peer.peer_id == rogue.id && peer.score < 0.0);
    node.until_peers("a negative score", blamed).await;
}

/// An honest peer still gets gossip and answers through `node`.
async fn assert_serves(node: &Node) {
    let honest = Plan::new().bootnodes(&[node]).start().await;
    honest.until_connected(node).await;
    node.until_connected(&honest).await;
    let answer = within("an answer", honest.handle.request(node.id(), Request::Status)).await;
    assert!(answer.is_ok(), "{answer:?}");
    let message = Bytes::from_static(b"honest");
    honest.handle.publish(Topic::Consensus, message.clone()).await.unwrap();
    node.until_seen(&message).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_requests_cost_score() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::Request([&3u32.to_be_bytes()[..], b"\xc2\x09\x09"].concat()));
    until_blamed(&node, &rogue).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_a_topic_is_disconnected() {
    let node = Plan::new().start().await;
    let mut rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::Toggle("blocks"));
    within("the end of the connection", &mut rogue.task).await.unwrap();
    node.until_lost(rogue.id).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_request_costs_score() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::Request(vec![0xff; 1024 * 1024]));
    until_blamed(&node, &rogue).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_requests_ends_in_a_ban() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    let status = alloy_rlp::encode(Request::Status);
    let frame = [&(status.len() as u32).to_be_bytes()[..], &status].concat();
    let flood = async {
        let mut peers = node.handle.watch_peers();
        while peers.borrow_and_update().iter().any(|peer| peer.peer_id == rogue.id) {
            rogue.act(Act::Request(frame.clone()));
            tokio::task::yield_now().await;
        }
    };
    within("the ban", flood).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_answers_are_invalid_and_cost_score() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"\0\0\0\x02\xc1\xff").await;
    let error = within("a failure", node.handle.request(rogue.id, Request::Status)).await.unwrap_err();
    assert!(matches!(error, RequestError::InvalidResponse(_)), "{error}");
    until_blamed(&node, &rogue).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_announces_too_much_is_not_read() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"\xff\xff\xff\xff").await;
    let error = within("a failure", node.handle.request(rogue.id, Request::Status)).await.unwrap_err();
    assert!(matches!(&error, RequestError::InvalidResponse(reason) if reason.contains("4294967295")), "{error}");
    assert_serves(&node).await;
}

fn frame(request: &TransactionRequest) -> Vec<u8> {
    let request = alloy_rlp::encode(request);
    [&(request.len() as u32).to_be_bytes()[..], &request].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_about_transactions_costs_score() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::Transactions([&3u32.to_be_bytes()[..], b"\xc2\x09\x09"].concat()));
    until_blamed(&node, &rogue).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_announces_and_never_serves_loses_score_and_stays() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    let named = TransactionAnnouncement { hash: B256::repeat_byte(1), bytes: 100 };
    rogue.act(Act::Transactions(frame(&TransactionRequest::Announce(vec![named]))));
    until_blamed(&node, &rogue).await;
    assert_serves(&node).await;
    assert!(node.handle.peers().iter().any(|peer| peer.peer_id == rogue.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_announcements_ends_in_a_ban() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    let empty = frame(&TransactionRequest::Announce(Vec::new()));
    let flood = async {
        let mut peers = node.handle.watch_peers();
        while peers.borrow_and_update().iter().any(|peer| peer.peer_id == rogue.id) {
            rogue.act(Act::Transactions(empty.clone()));
            tokio::task::yield_now().await;
        }
    };
    within("the ban", flood).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_too_large_for_its_topic_costs_score() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::Gossip("consensus", vec![1; Topic::Consensus.bytes_max() + 1024]));
    until_blamed(&node, &rogue).await;
    assert!(node.seen.borrow().is_empty());
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gossip_too_large_for_any_topic_is_not_read() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    let before = Bytes::from_static(b"before");
    rogue.act(Act::Gossip("blocks", before.to_vec()));
    node.until_seen(&before).await;
    // The node breaks the stream in the middle of this message; whatever else the rogue says on it is lost.
    rogue.act(Act::Gossip("blocks", vec![1; 2 * MAX_COMPACT_BLOCK_BYTES]));
    assert_serves(&node).await;
    assert!(node.seen.borrow().iter().all(|(_, _, bytes)| bytes.len() < 100));
}

/// A field of protobuf's wire format that holds bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2], &*varint(content.len()), content].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A gossip RPC that carries one control message: `kind` is 1 for IHAVE, 2 for IWANT.
fn control(kind: u8, content: &[u8]) -> Vec<u8> {
    let rpc = field(3, &field(kind, content));
    [varint(rpc.len()), rpc].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_ids_wanted_ends_in_a_ban() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::RawGossip(control(2, &field(1, &[7; 32])).repeat(10_000)));
    node.until_lost(rogue.id).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_ids_held_ends_in_a_ban() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    let held = |id: u32| {
        let topic = field(1, topic("consensus").hash().as_str().as_bytes());
        control(1, &[topic, field(2, &id.to_be_bytes())].concat())
    };
    rogue.act(Act::RawGossip((0..10_000).flat_map(held).collect()));
    node.until_lost(rogue.id).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_gossip_frames_end_the_connection() {
    let node = Plan::new().start().await;
    let rogue = Rogue::join(&node, b"").await;
    for _ in 0..20 {
        rogue.act(Act::RawGossip(vec![5, 0xff, 0xff, 0xff, 0xff, 0xff]));
    }
    node.until_lost(rogue.id).await;
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_given_up_and_costs_the_others_nothing() {
    let node = Plan::new().start().await;
    let honest = Plan::new().bootnodes(&[&node]).start().await;
    node.until_connected(&honest).await;
    let rogue = Rogue::join(&node, b"").await;
    rogue.act(Act::Stall);
    const BURST: u32 = 32;
    let send = async {
        for burst in 0u32.. {
            let message =
                |number| Bytes::from([&[burst, number].map(u32::to_be_bytes).concat()[..], &[1; 16_000]].concat());
            for number in 0..BURST {
                node.handle.publish(Topic::Consensus, message(number)).await.unwrap();
            }
            honest.until_seen(&message(BURST - 1)).await;
            // Faster would be more than the honest peer takes from one.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = node.until_lost(rogue.id) => {}
        () = send => {}
    }
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_of_another_genesis_is_disconnected() {
    let node = Plan::new().start().await;
    let changes = node.handle.watch_peers();
    let mut swarm = rogue_swarm(B256::repeat_byte(0x33));
    swarm.dial(tcp_address(&node)).unwrap();
    let closed = async {
        let mut connected = false;
        loop {
            match swarm.select_next_some().await {
                SwarmEvent::ConnectionEstablished { .. } => connected = true,
                SwarmEvent::ConnectionClosed { .. } => return connected,
                _ => {}
            }
        }
    };
    assert!(within("the end of the connection", closed).await);
    assert!(!changes.has_changed().unwrap(), "it was never a peer");
    assert_serves(&node).await;
}
