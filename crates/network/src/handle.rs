//! What the rest of the node holds: bounded queues into the loop, and what the loop publishes.

mod operator;

pub(crate) use operator::OperatorCommand;

use crate::{
    Announcement, Misbehaviour, PublishError, RequestError, Topic, metrics::NetworkMetrics, protocol::ByTopic,
    transactions::Announced,
};
use alloy_primitives::Bytes;
use heddle_primitives::{Request, Response, TransactionAnnouncement};
use libp2p::{Multiaddr, PeerId};
use std::{future::poll_fn, sync::Arc, task::Poll};
use tokio::sync::{mpsc, oneshot, watch};

/// Messages that may wait to be published: votes, and what carries a block.
const fn queue_max(topic: Topic) -> usize {
    match topic {
        Topic::Consensus => 64,
        Topic::Proposals | Topic::Blocks => 4,
    }
}

/// Lists of transactions that may wait to be announced; the pool bounds their lengths.
const ANNOUNCEMENTS_QUEUE: usize = 256;
/// Requests and reports that may wait; a request beyond waits, a report is dropped.
const CONTROL_QUEUE: usize = 256;

/// A peer that is ready: identified as of our chain and subscribed to every topic.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// Its identity.
    pub peer_id: PeerId,
    /// Its address on the connection.
    pub address: Multiaddr,
    /// Whether it dialled us.
    pub inbound: bool,
    /// What it says it runs; at most 64 printable characters.
    pub agent: String,
    /// Its gossip score: above zero is useful, far below is no longer listened to.
    pub score: f64,
}

/// What the loop is asked to do besides publishing.
#[derive(Debug)]
pub(crate) enum Command {
    Request { peer: PeerId, request: Request, reply: oneshot::Sender<Result<Response, RequestError>> },
    Report { peer: PeerId, misbehaviour: Misbehaviour },
    Operator(OperatorCommand),
}

/// What waits to be published, what matters most first.
#[derive(Debug)]
pub(crate) struct Outgoing(Vec<(Topic, mpsc::Receiver<Bytes>)>);

impl Outgoing {
    /// The next message; `None` when every handle is dropped. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Option<(Topic, Bytes)> {
        poll_fn(|context| {
            let mut closed = true;
            for (topic, queue) in &mut self.0 {
                match queue.poll_recv(context) {
                    Poll::Ready(Some(message)) => return Poll::Ready(Some((*topic, message))),
                    Poll::Ready(None) => {}
                    Poll::Pending => closed = false,
                }
            }
            if closed { Poll::Ready(None) } else { Poll::Pending }
        })
        .await
    }
}

/// The loop's ends of a handle's queues.
#[derive(Debug)]
pub(crate) struct Inbox {
    pub(crate) outgoing: Outgoing,
    pub(crate) announcements: mpsc::Receiver<(Vec<TransactionAnnouncement>, Announcement)>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) peers: watch::Sender<Arc<[PeerInfo]>>,
    pub(crate) listen_addresses: watch::Sender<Arc<[Multiaddr]>>,
}

/// Publishes, asks, reports and tells who is connected. Cheap to clone.
#[derive(Clone, Debug)]
pub struct NetworkHandle {
    local: PeerId,
    outgoing: ByTopic<mpsc::Sender<Bytes>>,
    announcements: mpsc::Sender<(Vec<TransactionAnnouncement>, Announcement)>,
    commands: mpsc::Sender<Command>,
    peers: watch::Receiver<Arc<[PeerInfo]>>,
    listen_addresses: watch::Receiver<Arc<[Multiaddr]>>,
    metrics: NetworkMetrics,
}

impl NetworkHandle {
    pub(crate) fn new(local: PeerId, listen_addresses: Vec<Multiaddr>, metrics: NetworkMetrics) -> (Self, Inbox) {
        let mut receivers = Vec::new();
        let outgoing = ByTopic::new(|topic| {
            let (sender, receiver) = mpsc::channel(queue_max(topic));
            receivers.push((topic, receiver));
            sender
        });
        let (announcements, announcements_out) = mpsc::channel(ANNOUNCEMENTS_QUEUE);
        let (commands, commands_out) = mpsc::channel(CONTROL_QUEUE);
        let (peers_in, peers) = watch::channel(Arc::from([]));
        let (listen_in, listen_addresses) = watch::channel(Arc::from(listen_addresses));
        let inbox = Inbox {
            outgoing: Outgoing(receivers),
            announcements: announcements_out,
            commands: commands_out,
            peers: peers_in,
            listen_addresses: listen_in,
        };
        (Self { local, outgoing, announcements, commands, peers, listen_addresses, metrics }, inbox)
    }

    /// Our own identity.
    pub fn local_peer_id(&self) -> PeerId {
        self.local
    }

    /// The addresses listened on, with the real ports, each ending in `/p2p/<own id>`: fit to be another's bootnode.
    pub fn listen_addresses(&self) -> Vec<Multiaddr> {
        self.listen_addresses.borrow().to_vec()
    }

    /// Sees every change of [`Self::listen_addresses`]: interfaces that come and go, places held at relays.
    pub fn watch_listen_addresses(&self) -> watch::Receiver<Arc<[Multiaddr]>> {
        self.listen_addresses.clone()
    }

    /// Sends a message to every ready peer and through them to the others; waits while the topic's queue is full. Votes go
    /// out before proposals, and these before blocks.
    ///
    /// Only peers that are ready get it: publish again what still matters when [`Self::watch_peers`] shows a new one.
    /// What is published again travels again on [`Topic::Consensus`] and [`Topic::Proposals`], once a minute elsewhere.
    ///
    /// # Errors
    /// [`PublishError::TooLarge`] or [`PublishError::Stopped`].
    pub async fn publish(&self, topic: Topic, message: Bytes) -> Result<(), PublishError> {
        check_size(topic, &message)?;
        self.outgoing[topic].send(message).await.map_err(|_| PublishError::Stopped)
    }

    /// Tells peers of transactions that the pool holds. Never waits: when the loop is that far behind, they are dropped
    /// and counted, and those that matter here are announced again.
    pub fn announce(&self, transactions: Vec<TransactionAnnouncement>, announcement: Announcement) {
        let count = transactions.len();
        if self.announcements.try_send((transactions, announcement)).is_err() {
            self.metrics.transactions.announced(Announced::Dropped, count);
        }
    }

    /// Asks a peer and waits for the answer, which is of the kind that the request asks for.
    ///
    /// # Errors
    /// See [`RequestError`]; within the configured request timeout.
    pub async fn request(&self, peer: PeerId, request: Request) -> Result<Response, RequestError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Request { peer, request, reply };
        self.commands.send(command).await.map_err(|_| RequestError::Stopped)?;
        answer.await.map_err(|_| RequestError::Stopped)?
    }

    /// Tells of a peer's misbehaviour; enough of it disconnects and bans the peer. Never waits: when the loop is that
    /// far behind, the report is dropped.
    pub fn report(&self, peer: PeerId, misbehaviour: Misbehaviour) {
        if self.commands.try_send(Command::Report { peer, misbehaviour }).is_err() {
            tracing::debug!(%peer, ?misbehaviour, "report dropped");
        }
    }

    /// The peers that are ready.
    pub fn peers(&self) -> Arc<[PeerInfo]> {
        self.peers.borrow().clone()
    }

    /// How many peers are ready.
    pub fn peer_count(&self) -> usize {
        self.peers.borrow().len()
    }

    /// Sees every change of [`Self::peers`]: peers that come and go, and at most once a second their scores.
    pub fn watch_peers(&self) -> watch::Receiver<Arc<[PeerInfo]>> {
        self.peers.clone()
    }
}

fn check_size(topic: Topic, message: &Bytes) -> Result<(), PublishError> {
    let (bytes, bytes_max) = (message.len(), topic.bytes_max());
    if bytes > bytes_max { Err(PublishError::TooLarge { bytes, bytes_max }) } else { Ok(()) }
}
