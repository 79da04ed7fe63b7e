#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::super::fixture::{NOW, address, answering, facts, silence, silent, stalled};
use super::super::{Facts, Level, Node};
use super::*;
use alloy_primitives::{B256, U64};
use heddle_rpc::{Ballot, Nil, SyncProgress};

/// The findings that are none of [`Level::Ok`].
fn wrong(nodes: &[Node]) -> Vec<Finding> {
    diagnose(nodes).findings.into_iter().filter(|finding| finding.level != Level::Ok).collect()
}

fn checks(nodes: &[Node]) -> Vec<&'static str> {
    wrong(nodes).iter().map(|finding| finding.check).collect()
}

fn finding(nodes: &[Node], check: &str) -> String {
    let found = wrong(nodes).into_iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no {check}: {:?}", wrong(nodes))).text
}

fn with(mut facts: Facts, change: impl FnOnce(&mut Facts)) -> Facts {
    change(&mut facts);
    facts
}

fn state(facts: &mut Facts) -> &mut ConsensusReport {
    facts.consensus.as_mut().unwrap()
}

/// What makes a case of a stalled chain.
type Change = Box<dyn Fn(&mut Facts)>;

/// The node of this validator.
fn own(facts: &mut Facts, number: u8) -> &mut ValidatorReport {
    facts.status.node.validator = Some(address(number));
    let own = state(facts).validators.iter_mut().find(|validator| validator.address == address(number)).unwrap();
    own.is_own = true;
    own
}

#[test]
fn a_chain_that_goes_on_is_not_stalled() {
    let diagnosis = diagnose(&[answering("a", facts(11))]);
    assert_eq!((diagnosis.stalled, diagnosis.head), (Some(false), Some(11)));
    assert!(diagnosis.missing.is_empty() && diagnosis.findings.iter().all(|finding| finding.level == Level::Ok));
    assert!(diagnosis.findings[0].text.contains("not stalled: block 11 came 1 s ago"), "{diagnosis:?}");
}

#[test]
fn silent_validators_are_named_with_height_round_and_power() {
    let facts = with(stalled(11), |facts| silence(facts, &[2, 4]));
    let diagnosis = diagnose(&[answering("a", facts)]);
    assert_eq!((diagnosis.stalled, diagnosis.height, diagnosis.round), (Some(true), Some(12), Some(0)));
    assert_eq!(diagnosis.power, Some(Power { present: 2, needed: 3, total: 4 }));
    let missing = |number| Missing { address: address(number), power: 1, last_height: Some(11), silent_for: Some(61) };
    assert_eq!(diagnosis.missing, [missing(2), missing(4)]);
    let votes = diagnosis.findings.iter().find(|finding| finding.check == "votes").unwrap();
    for words in [
        "height 12, round 0",
        "since 22:12:20 UTC (60 s ago)",
        "power 2 of 4 come",
        "3 is needed",
        "2 of 4 validators",
        "0x0202020202020202020202020202020202020202 (power 1; last vote at height 11, 61 s ago)",
        "0x0404",
    ] {
        assert!(votes.text.contains(words), "{words}: {}", votes.text);
    }
    assert!(!votes.text.contains("0x0101") && votes.fix.as_ref().unwrap().contains("power 1 more"), "{votes:?}");
}

#[test]
fn a_vote_that_stands_does_not_make_a_dead_validator_present() {
    let facts = with(stalled(11), |facts| {
        for validator in state(facts).validators.iter_mut().skip(2) {
            validator.last_vote.as_mut().unwrap().time = U64::from(NOW - 50_000);
        }
    });
    assert_eq!(diagnose(&[answering("a", facts)]).power.unwrap().present, 2);
}

#[test]
fn a_validator_that_any_node_hears_is_not_silent() {
    let deaf = with(stalled(11), |facts| silence(facts, &[2, 3, 4]));
    let hearing = with(stalled(11), |facts| silence(facts, &[4]));
    let diagnosis = diagnose(&[answering("a", deaf), answering("b", hearing)]);
    assert_eq!(diagnosis.missing.iter().map(|missing| missing.address).collect::<Vec<_>>(), [address(4)]);
}

#[test]
fn a_validator_never_heard_is_silent() {
    let facts = with(stalled(11), |facts| {
        silence(facts, &[1, 2]);
        state(facts).validators.iter_mut().take(2).for_each(|validator| validator.last_vote = None);
    });
    assert!(finding(&[answering("a", facts)], "votes").contains("not heard since the node asked was started"));
}

#[test]
fn without_peers_nobody_is_blamed() {
    let facts = with(stalled(11), |facts| {
        silence(facts, &[1, 2, 3, 4]);
        facts.status.node.peers = Default::default();
    });
    assert_eq!(checks(&[answering("a", facts.clone())]), ["chain", "peers"]);
    // Another node that has peers can tell.
    let other = with(stalled(11), |facts| silence(facts, &[3, 4]));
    assert_eq!(checks(&[answering("a", facts), answering("b", other)]), ["chain", "votes", "peers"]);
}

#[test]
fn a_lone_validator_needs_no_peers() {
    let facts = with(facts(11), |facts| {
        own(facts, 1);
        state(facts).validators.truncate(1);
        state(facts).quorum_power = U64::from(1);
        facts.status.node.peers = Default::default();
    });
    assert_eq!(checks(&[answering("a", facts)]), [""; 0]);
}

#[test]
fn enough_validators_that_do_not_agree_are_told_apart() {
    let all = |facts: &mut Facts, ballot: Option<Ballot>| {
        state(facts).validators.iter_mut().for_each(|validator| validator.prevote = ballot);
    };
    let cases: [(&str, Change); 5] = [
        ("has not proposed", Box::new(|facts| state(facts).proposal = None)),
        (
            "0x0101010101010101010101010101010101010101, is silent",
            Box::new(|facts| {
                state(facts).proposal = None;
                silence(facts, &[1]);
            }),
        ),
        ("power 4 votes for no block", Box::new(move |facts| all(facts, Some(Ballot::Nil(Nil::Nil))))),
        ("votes of power 4 for this round are not here", Box::new(move |facts| all(facts, None))),
        ("not to be seen from here", Box::new(|_| {})),
    ];
    for (words, change) in cases {
        let text = finding(&[answering("a", with(stalled(11), |facts| change(facts)))], "votes");
        assert!(text.contains(words) && text.contains("which is enough"), "{words}: {text}");
    }
}

#[test]
fn a_node_that_signs_nothing_says_why() {
    let refused = with(facts(11), |facts| {
        own(facts, 1);
        state(facts).refusal = Some("refused to sign Prevote at height 12 round 0".to_owned());
    });
    assert!(finding(&[answering("a", refused)], "signing").contains("refused to sign Prevote"));
    let waiting = with(stalled(11), |facts| {
        own(facts, 1);
        state(facts).position.step = ConsensusStep::CatchUp;
    });
    assert!(finding(&[answering("a", waiting)], "signing").contains("for 58 s it has waited"));
    let mute = with(stalled(11), |facts| own(facts, 1).prevote = None);
    assert!(finding(&[answering("a", mute.clone())], "signing").contains("height 12, round 0"));
    let stranger = with(facts(11), |facts| facts.status.node.validator = Some(address(9)));
    assert!(finding(&[answering("a", stranger)], "key").contains("0x0909"));
}

#[test]
fn a_node_that_catches_up_says_how_far_it_is() {
    let progress = SyncProgress { starting: 0, current: 11, highest: 111, state: None };
    let syncing = with(facts(11), |facts| facts.status.sync = Some(progress));
    assert!(finding(&[answering("a", syncing)], "sync").contains("100 blocks behind"));
    let fetching = SyncProgress { state: Some(330_000), ..progress };
    let fetching = with(facts(0), |facts| facts.status.sync = Some(fetching));
    assert!(finding(&[answering("a", fetching)], "sync").contains("33%"));
}

#[test]
fn a_node_that_is_behind_does_not_make_the_chain_stalled() {
    let progress = SyncProgress { starting: 0, current: 11, highest: 111, state: None };
    let syncing = with(stalled(11), |facts| facts.status.sync = Some(progress));
    assert_eq!(checks(&[answering("a", syncing.clone())]), ["chain", "sync"]);
    let lagging = with(stalled(11), |facts| facts.status.node.lag = U64::from(1));
    let fetching = with(stalled(0), |facts| {
        facts.status.sync = Some(SyncProgress { state: Some(330_000), ..progress });
        facts.status.head.timestamp = U64::ZERO;
        facts.consensus = None;
    });
    for facts in [&syncing, &lagging, &fetching] {
        let diagnosis = diagnose(&[answering("a", facts.clone())]);
        assert_eq!((diagnosis.stalled, diagnosis.height), (None, None));
        assert_eq!(diagnosis.findings[0].level, Level::Unknown);
        assert!(diagnosis.findings[0].text.contains("not to be seen"), "{diagnosis:?}");
    }
    assert_eq!(diagnose(&[answering("a", fetching)]).head_age, None, "not that of genesis");
    assert_eq!(diagnose(&[answering("a", syncing), answering("b", facts(111))]).stalled, Some(false));
    let recent = with(facts(11), |facts| facts.status.node.lag = U64::from(1));
    assert_eq!(diagnose(&[answering("a", recent)]).stalled, Some(false), "its head is new enough to tell");
}

#[test]
fn a_restart_does_not_make_the_height_younger() {
    let restarted = with(stalled(11), |facts| {
        facts.status.node.uptime = U64::from(20);
        state(facts).position.height_since = U64::from(NOW - 19_000);
        silence(facts, &[2, 4]);
    });
    let text = finding(&[answering("a", restarted)], "votes");
    assert!(text.contains("since before this node started: no block since 22:12:20 UTC (60 s ago)"), "{text}");
}

#[test]
fn numbers_beyond_all_bounds_do_no_harm() {
    let facts = with(stalled(11), |facts| {
        facts.status.node.peers = heddle_rpc::PeerCounts { inbound: U64::MAX, outbound: U64::MAX };
        for validator in &mut state(facts).validators {
            (validator.power, validator.prevote) = (U64::MAX, Some(Ballot::Nil(Nil::Nil)));
        }
    });
    assert!(finding(&[answering("a", facts)], "votes").contains("votes for no block"));
}

#[test]
fn forks_and_other_chains_come_first() {
    let fork = with(stalled(11), |facts| facts.common = Some((11, B256::repeat_byte(9))));
    assert_eq!(checks(&[answering("a", stalled(11)), answering("b", fork)])[0], "fork");
    let other = with(facts(11), |facts| facts.status.genesis_hash = B256::ZERO);
    let nodes = [answering("a", stalled(11)), answering("b", other)];
    assert_eq!(checks(&nodes), ["genesis"]);
    assert_eq!(diagnose(&nodes).stalled, None);
}

#[test]
fn a_node_that_is_silent_itself_is_a_finding_and_hides_no_other() {
    assert_eq!(checks(&[silent("a")]), ["node"]);
    assert_eq!(diagnose(&[silent("a")]).stalled, None);
    let facts = with(stalled(11), |facts| silence(facts, &[2, 4]));
    assert_eq!(checks(&[silent("a"), answering("b", facts)]), ["node", "chain", "votes"]);
}

#[test]
fn an_idle_chain_may_wait_before_an_empty_block() {
    let idle = |pending: u64| {
        with(stalled(11), |facts| {
            facts.status.empty_block_time = Some(U64::from(60_000));
            facts.status.mempool.pending = U64::from(pending);
        })
    };
    assert_eq!(diagnose(&[answering("a", idle(0))]).stalled, Some(false));
    assert_eq!(diagnose(&[answering("a", idle(1))]).stalled, Some(true), "transactions wait");
}

#[test]
fn a_new_chain_counts_from_when_its_node_came_to_the_first_height() {
    let new = |since: u64| {
        with(stalled(0), |facts| {
            facts.status.head.timestamp = U64::from(NOW / 1_000 - 1_000_000);
            state(facts).position.height_since = U64::from(NOW - since);
        })
    };
    assert_eq!(diagnose(&[answering("a", new(2_000))]).stalled, Some(false));
    assert_eq!(diagnose(&[answering("a", new(60_000))]).stalled, Some(true));
}

#[test]
fn a_plain_chain_is_never_stalled() {
    let plain = with(stalled(11), |facts| {
        (facts.status.block_time, facts.status.empty_block_time, facts.consensus) = (None, None, None);
        facts.status.node.peers = Default::default();
    });
    let diagnosis = diagnose(&[answering("a", plain)]);
    assert_eq!(diagnosis.stalled, Some(false));
    assert!(diagnosis.findings[0].text.contains("read-only"));
}
