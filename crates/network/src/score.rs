//! What gossip thinks of a peer: the parameters of gossipsub's score, derived from the pace of the chain.
//!
//! | part | what it measures | worth |
//! |---|---|---|
//! | P1 | time in the mesh | up to 5 a topic, after 500 s: a newcomer is not yet trusted as an old peer is |
//! | P2 | messages that the peer brought first | up to 5 a topic: 5 is its fair share, whatever the pace of the chain |
//! | P3 | messages that a mesh peer should have brought | nothing, see below |
//! | P4 | rejected messages | -n² for n of them on one topic within a minute |
//! | P5 | the peer book's penalty: [`Misbehaviour`](crate::Misbehaviour) | -1 a point; a rejected message has 10, one a second is forgotten |
//! | P6 | peers behind one address | nothing: connections are limited by address before |
//! | P7 | grafts too early, promises of messages that never came | -0.5 x² for x above 20 of them within a minute |
//!
//! *P2.* A validator sends two votes a block, so that a mesh of 8 brings each peer's share of `2 validators / 8` a block;
//! of proposals and announced blocks there is one a block for a mesh of 4. The share of [`BLOCKS_REMEMBERED`] blocks at
//! [`ChainPace::block_time`], what a busy chain brings, is the cap: more earns nothing, so that nobody gains by being
//! the only link to many.
//!
//! *P3.* No topic has a rate that every honest peer delivers: whoever has one link only, such as a validator behind a
//! sentry or a new full node, brings nothing that its peer did not send it, and a halted chain brings nothing to
//! anyone. A silent peer earns no P2 instead: it loses its place in the mesh to those who deliver (a mesh whose median
//! is below [`OPPORTUNISTIC_GRAFT`] takes better peers in), and costs nothing while it has one.
//!
//! *Thresholds.* What a peer earns is at most 20 in all, so that no past outweighs an attack: five rejected messages
//! are -75, six -96, and seven -119: with all that it can earn, still below [`SCORE_MIN`], where gossipsub is deaf to the peer and we disconnect it. Between there and
//! zero it loses its place in every mesh (below 0), is told no more ids (-40) and gets no messages of ours (-60).
//! Scores outlive a connection by ten minutes; everything decays, so that who stops is forgiven.

use crate::{ChainPace, Topic, gossip::Mesh, protocol::Protocols};
use libp2p::gossipsub::{PeerScoreParams, PeerScoreThresholds, TopicScoreParams, score_parameter_decay};
use std::time::Duration;

/// Below this score gossipsub no longer listens to a peer, and we disconnect it.
pub(crate) const SCORE_MIN: f64 = -80.0;
/// A mesh whose median is lower takes in better peers: half of what P2 gives for a fair share.
const OPPORTUNISTIC_GRAFT: f64 = 2.5;
/// First deliveries are forgotten after about so many blocks, but not before [`DELIVERIES_REMEMBERED_MIN`].
const BLOCKS_REMEMBERED: u32 = 100;
const DELIVERIES_REMEMBERED_MIN: Duration = Duration::from_secs(60);
/// Most that P1, or P2, gives on a topic of weight 1.
const TOPIC_POINTS: f64 = 5.0;
/// Faults are forgotten after this time.
const FAULTS_REMEMBERED: Duration = Duration::from_secs(60);

pub(crate) fn params(protocols: &Protocols, pace: &ChainPace) -> PeerScoreParams {
    let topics = Topic::ALL.map(|topic| (protocols.topic_hash(topic), topic_params(topic, pace)));
    PeerScoreParams {
        topics: topics.into(),
        topic_score_cap: 20.0,
        // The application's score is the negated penalty of the peer book.
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        // To be slow is no lie: a slow peer is disconnected when it stays slow.
        slow_peer_weight: 0.0,
        behaviour_penalty_weight: -0.5,
        behaviour_penalty_threshold: 20.0,
        behaviour_penalty_decay: score_parameter_decay(FAULTS_REMEMBERED),
        retain_score: Duration::from_secs(600),
        ..PeerScoreParams::default()
    }
}

/// Messages of a topic in one block's time.
fn messages_a_block(topic: Topic, pace: &ChainPace) -> f64 {
    match topic {
        Topic::Consensus => 2.0 * f64::from(pace.validators.max(1)),
        Topic::Proposals | Topic::Blocks => 1.0,
    }
}

/// How much a topic counts: votes as much as proposals and blocks together.
const fn weight(topic: Topic) -> f64 {
    match topic {
        Topic::Consensus => 1.0,
        Topic::Proposals | Topic::Blocks => 0.5,
    }
}

fn topic_params(topic: Topic, pace: &ChainPace) -> TopicScoreParams {
    let remembered = (pace.block_time * BLOCKS_REMEMBERED).max(DELIVERIES_REMEMBERED_MIN);
    let decay = score_parameter_decay(remembered);
    let deliveries_a_second =
        messages_a_block(topic, pace) / pace.block_time.as_secs_f64() / Mesh::of(topic).wanted as f64;
    // Where a counter comes to rest that gains this much a second, and loses its part at the end of it.
    let fair_share = deliveries_a_second / (1.0 - decay);
    TopicScoreParams {
        topic_weight: weight(topic),
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: TOPIC_POINTS / 0.01,
        first_message_deliveries_weight: TOPIC_POINTS / fair_share,
        first_message_deliveries_decay: decay,
        first_message_deliveries_cap: fair_share,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        // A rejected message costs the same on every topic.
        invalid_message_deliveries_weight: -1.0 / weight(topic),
        invalid_message_deliveries_decay: score_parameter_decay(FAULTS_REMEMBERED),
        ..TopicScoreParams::default()
    }
}

pub(crate) fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: -40.0,
        publish_threshold: -60.0,
        graylist_threshold: SCORE_MIN,
        accept_px_threshold: 0.0,
        opportunistic_graft_threshold: OPPORTUNISTIC_GRAFT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;

    fn pace(block_time_ms: u64, validators: u32) -> ChainPace {
        ChainPace { block_time: Duration::from_millis(block_time_ms), validators }
    }

    /// What P2 comes to for a peer that brings `share` of a mesh peer's fair share for an hour.
    fn p2(params: &TopicScoreParams, deliveries_a_second: f64) -> f64 {
        let mut counter: f64 = 0.0;
        for _ in 0..3600 {
            counter = (counter + deliveries_a_second).min(params.first_message_deliveries_cap);
            counter *= params.first_message_deliveries_decay;
        }
        counter * params.first_message_deliveries_weight
    }

    #[test]
    fn a_fair_share_of_votes_earns_the_same_at_every_pace() {
        for (block_time_ms, validators) in [(100, 4), (1_000, 4), (1_000, 200), (250, 100), (12_000, 7)] {
            let params = topic_params(Topic::Consensus, &pace(block_time_ms, validators));
            let share = 2.0 * f64::from(validators) / 8.0 / (block_time_ms as f64 / 1000.0);
            let points = p2(&params, share);
            assert!((0.85 * TOPIC_POINTS..=TOPIC_POINTS).contains(&points), "{points} at {block_time_ms} ms");
            assert!(p2(&params, 100.0 * share) <= TOPIC_POINTS, "more is not worth more");
            assert!(p2(&params, 0.1 * share) < 0.15 * TOPIC_POINTS);
        }
    }

    #[test]
    fn seven_rejected_messages_outweigh_all_that_a_peer_can_earn() {
        let params = params(&Protocols::new(B256::ZERO), &pace(1_000, 4));
        for topic in params.topics.values() {
            let rejected = |count: f64| {
                let p4 = count * count * topic.invalid_message_deliveries_weight * topic.topic_weight;
                params.topic_score_cap + p4 - 10.0 * count
            };
            assert!(rejected(7.0) < SCORE_MIN && rejected(3.0) > thresholds().gossip_threshold);
        }
    }

    #[test]
    fn parameters_are_valid_at_every_pace() {
        for (block_time_ms, validators) in [(10, 1), (1_000, 0), (3_600_000, 200), (10, 200)] {
            params(&Protocols::new(B256::ZERO), &pace(block_time_ms, validators)).validate().unwrap();
        }
        thresholds().validate().unwrap();
    }
}
