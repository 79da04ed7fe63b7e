//! A snapshot of consensus in the words of JSON-RPC.

use super::status::unix_milliseconds;
use alloy_primitives::U64;
use heddle_consensus::{Ballot, ConsensusSnapshot, Step, ValidatorView};
use heddle_rpc::{ConsensusPosition, ConsensusReport, ConsensusStep, Nil, ValidatorReport, VoteReport};

/// What `heddle_consensusState` answers.
pub(super) fn consensus_report(snapshot: &ConsensusSnapshot) -> ConsensusReport {
    ConsensusReport {
        position: ConsensusPosition {
            height: U64::from(snapshot.height.as_u64()),
            round: U64::from(snapshot.round.as_u32()),
            step: step(snapshot.step),
            height_since: unix_milliseconds(snapshot.height_since),
            since: unix_milliseconds(snapshot.since),
        },
        proposer: snapshot.proposer,
        proposal: snapshot.proposal,
        total_power: U64::from(snapshot.total_power),
        quorum_power: U64::from(quorum_power(snapshot.total_power)),
        refusal: snapshot.refusal.clone(),
        validators: snapshot.validators.iter().map(validator).collect(),
    }
}

/// The least power above two thirds.
fn quorum_power(total: u64) -> u64 {
    let quorum = u128::from(total) * 2 / 3 + 1;
    u64::try_from(quorum).unwrap_or(total)
}

fn step(step: Step) -> ConsensusStep {
    match step {
        Step::CatchUp => ConsensusStep::CatchUp,
        Step::NewHeight => ConsensusStep::NewHeight,
        Step::Propose => ConsensusStep::Propose,
        Step::Prevote => ConsensusStep::Prevote,
        Step::Precommit => ConsensusStep::Precommit,
        Step::Commit => ConsensusStep::Commit,
    }
}

fn validator(view: &ValidatorView) -> ValidatorReport {
    ValidatorReport {
        address: view.address,
        power: U64::from(view.power),
        is_own: view.is_own,
        prevote: view.votes.prevote.map(ballot),
        precommit: view.votes.precommit.map(ballot),
        last_vote: view.last_vote.map(|vote| VoteReport {
            height: U64::from(vote.height.as_u64()),
            round: U64::from(vote.round.as_u32()),
            time: unix_milliseconds(vote.at),
        }),
    }
}

fn ballot(ballot: Ballot) -> heddle_rpc::Ballot {
    match ballot {
        Ballot::Block(hash) => heddle_rpc::Ballot::Block(hash),
        Ballot::Nil => heddle_rpc::Ballot::Nil(Nil::Nil),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quorum_is_more_than_two_thirds() {
        let table = [(1, 1), (2, 2), (3, 3), (4, 3), (6, 5), (7, 5), (100, 67), (u64::MAX, u64::MAX / 3 * 2 + 1)];
        for (total, expected) in table {
            assert_eq!(quorum_power(total), expected, "{total}");
        }
    }
}
