//! Peers of bad will, each with all the protocol it needs to be let in.

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, StreamExt};
use heddle_primitives::{BlocksRequest, Height, Request};
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, gossipsub, identify,
    multiaddr::Protocol,
    noise,
    request_response::{self, ProtocolSupport},
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use std::{
    io,
    sync::Mutex,
    time::{Duration, Instant},
};
use tokio::time::interval;

const TOPICS: [&str; 3] = ["consensus", "proposals", "blocks"];
/// How often an abuser acts.
const TICK: Duration = Duration::from_millis(10);
/// Frames that one act writes: with [`TICK`], 10,000 a second.
const FRAMES: usize = 100;

/// What an abuser does as long as it is let.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abuse {
    /// 10,000 invalid messages a second.
    Invalid,
    /// Promises of messages that do not exist, 10,000 a second.
    Held,
    /// Requests for messages that do not exist, 10,000 a second.
    Wanted,
    /// Garbage on every protocol.
    Malformed,
    /// Asks for every block again and again.
    Greedy,
    /// As [`Abuse::Greedy`], and reads no answer.
    SlowReader,
}

/// Every kind.
pub const KINDS: [Abuse; 6] =
    [Abuse::Invalid, Abuse::Held, Abuse::Wanted, Abuse::Malformed, Abuse::Greedy, Abuse::SlowReader];

/// How long each connection of an abuser lasted.
pub type Lifetimes = Mutex<Vec<(Abuse, Duration)>>;

/// Writes any bytes, and reads the answer or not.
#[derive(Clone)]
struct Raw {
    reads: bool,
}

impl request_response::Codec for Raw {
    type Protocol = StreamProtocol;
    type Request = Vec<u8>;
    type Response = ();

    async fn read_request<T>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        Ok(Vec::new())
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, stream: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        match self.reads {
            true => stream.read_to_end(&mut Vec::new()).await.map(drop),
            false => std::future::pending().await,
        }
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, stream: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        stream.write_all(&bytes).await?;
        stream.close().await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }
}

type Stream = request_response::Behaviour<Raw>;

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    gossip: gossipsub::Behaviour,
    raw_gossip: Stream,
    raw_requests: Stream,
    raw_transactions: Stream,
    raw_kademlia: Stream,
    raw_identify: Stream,
    raw_ping: Stream,
}

/// One abuser's target.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens, with its peer id.
    pub address: Multiaddr,
    /// `/heddle/<8 hex>`.
    pub prefix: String,
}

impl Target {
    fn peer(&self) -> PeerId {
        let peer = self.address.iter().find_map(|part| if let Protocol::P2p(peer) = part { Some(peer) } else { None });
        peer.unwrap()
    }

    fn topic(&self, name: &str) -> gossipsub::IdentTopic {
        gossipsub::IdentTopic::new(format!("{}/{name}/1", self.prefix))
    }

    /// A new identity each time.
    fn swarm(&self, abuse: Abuse) -> Swarm<Behaviour> {
        let builder = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap();
        builder.with_behaviour(|key| self.behaviour(key.public(), abuse)).unwrap().build()
    }

    fn behaviour(&self, key: libp2p::identity::PublicKey, abuse: Abuse) -> Behaviour {
        let config = gossipsub::ConfigBuilder::default()
            .validation_mode(gossipsub::ValidationMode::Anonymous)
            .message_id_fn(|message| gossipsub::MessageId::new(&message.data))
            .connection_handler_queue_len(100_000)
            .build()
            .unwrap();
        let mut gossip = gossipsub::Behaviour::new(gossipsub::MessageAuthenticity::Anonymous, config).unwrap();
        for name in TOPICS {
            gossip.subscribe(&self.topic(name)).unwrap();
        }
        let raw = |name: String| {
            let protocol = StreamProtocol::try_from_owned(name).unwrap();
            let codec = Raw { reads: abuse != Abuse::SlowReader };
            Stream::with_codec(codec, [(protocol, ProtocolSupport::Outbound)], request_response::Config::default())
        };
        Behaviour {
            identify: identify::Behaviour::new(identify::Config::new(format!("{}/1", self.prefix), key)),
            gossip,
            raw_gossip: raw("/meshsub/1.1.0".into()),
            raw_requests: raw(format!("{}/req/1", self.prefix)),
            raw_transactions: raw(format!("{}/tx/1", self.prefix)),
            raw_kademlia: raw(format!("{}/kad/1", self.prefix)),
            raw_identify: raw("/ipfs/id/push/1.0.0".into()),
            raw_ping: raw("/ipfs/ping/1.0.0".into()),
        }
    }
}

/// Abuses the target for ever, under a new identity whenever it is thrown out; notes how long each connection lasted.
pub async fn run(target: Target, abuse: Abuse, lifetimes: &Lifetimes) {
    loop {
        if let Some(lifetime) = once(&target, abuse).await {
            lifetimes.lock().unwrap().push((abuse, lifetime));
        } else {
            // Refused: the target lets nobody in, or is busy with others like us.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// One connection; how long it lasted, if there was one.
async fn once(target: &Target, abuse: Abuse) -> Option<Duration> {
    let mut swarm = target.swarm(abuse);
    swarm.dial(target.address.clone()).unwrap();
    let mut ticks = interval(TICK);
    let mut since = None;
    let mut acts = 0;
    loop {
        tokio::select! {
            event = swarm.select_next_some() => match event {
                SwarmEvent::ConnectionEstablished { .. } => since = Some(Instant::now()),
                SwarmEvent::ConnectionClosed { .. } => return since.map(|since| since.elapsed()),
                SwarmEvent::OutgoingConnectionError { .. } => return None,
                _ => {}
            },
            _ = ticks.tick(), if since.is_some() => {
                act(target, abuse, swarm.behaviour_mut(), acts);
                acts += 1;
            }
        }
    }
}

fn act(target: &Target, abuse: Abuse, behaviour: &mut Behaviour, acts: u32) {
    let peer = target.peer();
    let topic = target.topic("consensus");
    match abuse {
        Abuse::Invalid => {
            for number in 0..FRAMES as u32 {
                let garbage = [&[0, 0][..], &acts.to_be_bytes(), &number.to_be_bytes(), &[0x55; 90]].concat();
                // Refused until the target has subscribed.
                _ = behaviour.gossip.publish(topic.hash(), garbage);
            }
        }
        Abuse::Held | Abuse::Wanted => {
            // One stream: gossipsub listens to the last one only, and to a few in all.
            if acts == 100 {
                let frames =
                    (0..100 * FRAMES as u32).flat_map(|id| control(abuse, topic.hash().as_str(), id)).collect();
                behaviour.raw_gossip.send_request(&peer, frames);
            }
        }
        Abuse::Malformed => {
            let garbage = vec![[5, 0xff, 0x80, 0x13][acts as usize % 4]; 1 << (acts % 12)];
            for stream in [
                &mut behaviour.raw_gossip,
                &mut behaviour.raw_requests,
                &mut behaviour.raw_transactions,
                &mut behaviour.raw_kademlia,
                &mut behaviour.raw_identify,
                &mut behaviour.raw_ping,
            ] {
                stream.send_request(&peer, garbage.clone());
            }
        }
        Abuse::Greedy | Abuse::SlowReader => {
            for _ in 0..4 {
                let everything = Request::Blocks(BlocksRequest { from: Height::new(1), count: 64 });
                let request = alloy_rlp::encode(everything);
                let frame = [&(request.len() as u32).to_be_bytes()[..], &request].concat();
                behaviour.raw_requests.send_request(&peer, frame);
            }
        }
    }
}

/// A gossip RPC that holds one id, as IHAVE (1) or IWANT (2).
fn control(abuse: Abuse, topic: &str, id: u32) -> Vec<u8> {
    let id = [&[7; 28][..], &id.to_be_bytes()].concat();
    let control = match abuse {
        Abuse::Held => field(1, &[field(1, topic.as_bytes()), field(2, &id)].concat()),
        _ => field(2, &field(1, &id)),
    };
    let rpc = field(3, &control);
    [vec![rpc.len() as u8], rpc].concat()
}

/// A field of protobuf's wire format that holds fewer than 128 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128);
    [&[number << 3 | 2, content.len() as u8], content].concat()
}
