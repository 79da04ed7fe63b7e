//! Gossip in and out: judge, then forward.

use super::NetworkService;
use crate::{
    GossipValidator, Misbehaviour, NetworkError, Topic, Verdict,
    guard::GossipEvent,
    metrics::{Dropped, DroppedLabels, TopicLabel},
    protocol::ByTopic,
    repeats,
};
use alloy_primitives::Bytes;
use libp2p::{
    PeerId,
    gossipsub::{Event, Message, MessageAcceptance, MessageId, PublishError},
};
use std::{sync::Arc, time::Instant};
use tokio::task::JoinSet;

/// Messages of a topic that are judged at once: each topic has its own bound, so that none holds up another.
const fn validations_max(topic: Topic) -> usize {
    match topic {
        Topic::Consensus => 512,
        Topic::Proposals | Topic::Blocks => 16,
    }
}

/// A judged message.
pub(super) struct Judged {
    peer: PeerId,
    topic: Topic,
    id: MessageId,
    verdict: Verdict,
}

/// The validations under way.
pub(super) struct Validations {
    validator: Arc<dyn GossipValidator>,
    tasks: JoinSet<Judged>,
    running: ByTopic<usize>,
}

impl Validations {
    pub(super) fn new(validator: Arc<dyn GossipValidator>) -> Self {
        Self { validator, tasks: JoinSet::new(), running: ByTopic::new(|_| 0) }
    }

    /// Starts a validation unless as many as allowed are running.
    fn start(&mut self, peer: PeerId, topic: Topic, id: MessageId, message: Bytes) -> bool {
        if self.running[topic] == validations_max(topic) {
            return false;
        }
        self.running[topic] += 1;
        let validator = self.validator.clone();
        self.tasks.spawn(async move {
            let verdict = validator.validate(peer, topic, message).await;
            Judged { peer, topic, id, verdict }
        });
        true
    }

    /// The next validation to end; `None` when none is running.
    pub(super) async fn next(&mut self) -> Option<Result<Judged, NetworkError>> {
        let ended = self.tasks.join_next().await?;
        if let Ok(judged) = &ended {
            self.running[judged.topic] -= 1;
        }
        Some(ended.map_err(|error| NetworkError::HandlerPanicked(error.to_string())))
    }
}

impl NetworkService {
    pub(super) fn on_gossip(&mut self, event: GossipEvent) {
        match event {
            GossipEvent::Gossip(event) => self.on_gossipsub(event),
            GossipEvent::Fault(peer, misbehaviour) => self.penalise(peer, misbehaviour),
        }
    }

    /// Brings the metrics of the mesh and of what it brought up to date.
    pub(super) fn count_mesh(&mut self) {
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        for topic in Topic::ALL {
            let (hash, label) = (self.protocols.topic_hash(topic), TopicLabel { topic });
            let received = gossip.take_received(&hash);
            self.metrics.gossip_received.get_or_create(&label).inc_by(received.messages);
            self.metrics.gossip_bytes.get_or_create(&label).inc_by(received.bytes);
            self.metrics.mesh_peers.get_or_create(&label).set(gossip.mesh_peers(&hash).count() as i64);
        }
    }

    fn on_gossipsub(&mut self, event: Event) {
        match event {
            Event::Message { propagation_source, message_id, message } => {
                self.on_message(propagation_source, message_id, message);
            }
            Event::Subscribed { peer_id, topic } => self.on_subscribed(peer_id, &topic),
            Event::Unsubscribed { peer_id, topic } => self.on_unsubscribed(peer_id, &topic),
            Event::SlowPeer { peer_id, failed_messages } => {
                tracing::debug!(peer = %peer_id, ?failed_messages, "slow peer");
                self.metrics.unsent.inc_by((failed_messages.priority + failed_messages.non_priority) as u64);
                if self.slow.lost(peer_id, Instant::now()) {
                    tracing::warn!(peer = %peer_id, "disconnecting a peer that does not read what it is sent");
                    self.disconnect(peer_id);
                }
            }
            // Such a peer never becomes ready, and its connection is closed for that.
            Event::GossipsubNotSupported { .. } => {}
        }
    }

    fn on_message(&mut self, peer: PeerId, id: MessageId, message: Message) {
        let Some(topic) = self.protocols.topic(&message.topic) else { return };
        let payload = Bytes::from(message.data);
        let bytes = payload.len();
        let judged = |verdict| Judged { peer, topic, id: id.clone(), verdict };
        let message = if topic.is_repeated() { repeats::message(&payload) } else { Some(payload) };
        let Some(message) = message.filter(|message| message.len() <= topic.bytes_max()) else {
            return self.finish_validation(judged(Verdict::Reject));
        };
        // Dropped, not punished: whoever forwards is not who floods, and honest peers must not ban each other.
        let now = Instant::now();
        let dropped = if !self.limiter.allow_gossip(peer, topic, bytes, now) {
            Dropped::OverLimit
        } else if topic.is_repeated() && self.heard.is_too_soon(&message, now) {
            Dropped::Repeated
        } else if !self.validations.start(peer, topic, id.clone(), message) {
            Dropped::Busy
        } else {
            return;
        };
        self.metrics.gossip_dropped.get_or_create(&DroppedLabels { topic, reason: dropped }).inc();
        self.finish_validation(judged(Verdict::Ignore));
    }

    pub(super) fn finish_validation(&mut self, judged: Judged) {
        let Judged { peer, topic, id, verdict } = judged;
        self.metrics.count_gossip(topic, verdict);
        let acceptance = match verdict {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => MessageAcceptance::Reject,
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        if !gossip.report_message_validation_result(&id, &peer, acceptance) {
            tracing::debug!(%peer, ?topic, "validation ended after its message left the cache");
        }
        if verdict == Verdict::Reject {
            self.penalise(peer, Misbehaviour::InvalidGossip);
        }
    }

    pub(super) fn publish(&mut self, topic: Topic, message: Bytes) {
        let hash = self.protocols.topic_hash(topic);
        let payload = match topic.is_repeated() {
            true => self.repeats.payload(&message, Instant::now()),
            false => message.into(),
        };
        match self.swarm.behaviour_mut().gossip.publish(hash, payload) {
            Ok(_) => {
                self.metrics.published.get_or_create(&TopicLabel { topic }).inc();
            }
            // Another node was first with the same message.
            Err(PublishError::Duplicate) => {}
            Err(error) => {
                tracing::debug!(?topic, %error, "not published");
                self.metrics.publish_failed.get_or_create(&TopicLabel { topic }).inc();
            }
        }
    }
}
