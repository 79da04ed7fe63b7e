//! Nodes that say what a test wants.

use super::nodes::Failure;
use super::{Facts, Node};
use alloy_primitives::{B256, FixedBytes, U64};
use heddle_primitives::ValidatorAddress;
use heddle_rpc::{
    Ballot, ConsensusPosition, ConsensusReport, ConsensusStep, ForkIdReport, HeadReport, MempoolReport, NodeReport,
    PeerCounts, StatusReport, ValidatorReport, VoteReport,
};

/// The clock of every node, in milliseconds since 1970: some 22:13:20 UTC.
pub(super) const NOW: u64 = 1_700_000_000_000;

/// A validator by number.
pub(super) fn address(number: u8) -> ValidatorAddress {
    ValidatorAddress::repeat_byte(number)
}

pub(super) fn answering(name: &str, facts: Facts) -> Node {
    Node { name: name.to_owned(), answer: Ok(facts) }
}

pub(super) fn silent(name: &str) -> Node {
    let failure = Failure { text: "nobody listens there".to_owned(), fix: "start the node" };
    Node { name: name.to_owned(), answer: Err(failure) }
}

/// A healthy follower of a chain of half a second, whose block came a second ago; four validators vote for the next.
pub(super) fn facts(head: u64) -> Facts {
    let hash = B256::repeat_byte(1);
    let position = ConsensusPosition {
        height: U64::from(head + 1),
        round: U64::ZERO,
        step: ConsensusStep::Prevote,
        height_since: U64::from(NOW - 1_000),
        since: U64::from(NOW - 900),
    };
    let status = StatusReport {
        client_version: "heddle/v0.1.0/linux-x86_64".to_owned(),
        chain_id: U64::from(31_337),
        genesis_hash: B256::repeat_byte(8),
        fork_id: ForkIdReport { hash: FixedBytes::ZERO, next: U64::ZERO },
        forks: Vec::new(),
        head: HeadReport { number: U64::from(head), hash, timestamp: U64::from(NOW / 1_000 - 1) },
        block_time: Some(U64::from(500)),
        empty_block_time: Some(U64::from(5_000)),
        consensus: Some(position),
        sync: None,
        mempool: MempoolReport { pending: U64::ZERO, queued: U64::ZERO },
        transactions_per_second: Some(12.5),
        gas_per_second: Some(U64::from(1_500_000)),
        node: NodeReport {
            peer_id: Some("12D3".to_owned()),
            validator: None,
            peers: PeerCounts { inbound: U64::from(1), outbound: U64::from(2) },
            lag: U64::ZERO,
            free_bytes: Some(U64::from(5u64 << 30)),
            uptime: U64::from(3_600),
            time: U64::from(NOW),
        },
    };
    let consensus = ConsensusReport {
        position,
        proposer: address(1),
        proposal: Some(hash),
        total_power: U64::from(4),
        quorum_power: U64::from(3),
        refusal: None,
        validators: (1..=4).map(|number| voter(number, head + 1, hash)).collect(),
    };
    Facts { status, consensus: Some(consensus), common: Some((head, hash)), clock_ahead: 0, clock_error: 1 }
}

/// A validator that prevoted half a second ago.
fn voter(number: u8, height: u64, hash: B256) -> ValidatorReport {
    ValidatorReport {
        address: address(number),
        power: U64::from(1),
        is_own: false,
        prevote: Some(Ballot::Block(hash)),
        precommit: None,
        last_vote: Some(VoteReport { height: U64::from(height), round: U64::ZERO, time: U64::from(NOW - 500) }),
    }
}

/// As [`facts`], and no block has come for a minute.
pub(super) fn stalled(head: u64) -> Facts {
    let mut facts = facts(head);
    facts.status.head.timestamp = U64::from(NOW / 1_000 - 60);
    if let Some(state) = &mut facts.consensus {
        state.position.height_since = U64::from(NOW - 60_000);
        state.position.since = U64::from(NOW - 58_000);
    }
    facts
}

/// These validators have not voted at this height, and were heard last a minute ago, if ever.
pub(super) fn silence(facts: &mut Facts, numbers: &[u8]) {
    let validators = facts.consensus.iter_mut().flat_map(|state| &mut state.validators);
    for validator in validators.filter(|validator| numbers.iter().any(|number| validator.address == address(*number))) {
        validator.prevote = None;
        if let Some(vote) = &mut validator.last_vote {
            (vote.height, vote.time) = (vote.height - U64::from(1), U64::from(NOW - 61_000));
        }
    }
}
