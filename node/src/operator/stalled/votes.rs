//! Whose votes are missing at the height that is not decided.

use super::super::agreement::answers;
use super::super::words::{count, since, span};
use super::super::{Facts, Finding, Node};
use super::Diagnosis;
use heddle_primitives::ValidatorAddress;
use heddle_rpc::{Ballot, ConsensusReport, ValidatorReport, VoteReport};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// A validator that was not heard for this long is silent: those that run repeat their votes every second.
const SILENT: Duration = Duration::from_secs(8);

/// Power whose votes come, and what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Power {
    /// Of the validators that are heard.
    pub present: u64,
    /// The least that decides.
    pub needed: u64,
    /// Of all.
    pub total: u64,
}

/// A validator that is silent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    /// Who.
    pub address: ValidatorAddress,
    /// Its power.
    pub power: u64,
    /// Height of its last vote that any of the nodes has seen.
    pub last_height: Option<u64>,
    /// Seconds since it came.
    pub silent_for: Option<u64>,
}

/// What all nodes together know of a validator.
#[derive(Clone, Default)]
struct Heard {
    power: u64,
    /// What it voted in the highest round.
    ballot: Option<Ballot>,
    last: Option<VoteReport>,
    age: Option<Duration>,
}

impl Heard {
    fn is_silent(&self) -> bool {
        self.age.is_none_or(|age| age > SILENT)
    }
}

/// Adds whose votes are missing, and what else keeps the height from its decision.
pub(super) fn judge(nodes: &[Node], diagnosis: &mut Diagnosis) {
    let states = Vec::from_iter(answers(nodes).filter_map(|(_, facts)| Some((facts, facts.consensus.as_ref()?))));
    let Some((observer, state)) = states.iter().copied().max_by_key(|(_, state)| place(state)) else { return };
    let (height, round) = place(state);
    let heard = hear(&states, (height, round));
    let present = power_of(&heard, |heard| !heard.is_silent());
    let power = Power { present, needed: state.quorum_power.to(), total: state.total_power.to() };
    diagnosis.height = Some(height);
    diagnosis.round = Some(round);
    diagnosis.power = Some(power);
    diagnosis.missing = heard.iter().filter(|(_, heard)| heard.is_silent()).map(missing).collect();
    let is_cut_off = states.iter().all(|(facts, state)| facts.peers() == 0 && state.validators.len() > 1);
    let finding = match (is_cut_off, present < power.needed) {
        // Each node says so of itself; who is silent cannot be known then.
        (true, _) => None,
        (false, true) => Some(too_few(observer, state, &heard, power)),
        (false, false) => Some(enough(observer, state, &heard, power)),
    };
    diagnosis.findings.extend(finding);
}

/// Power of the validators that are so; a node may claim any.
fn power_of(heard: &BTreeMap<ValidatorAddress, Heard>, wanted: impl Fn(&Heard) -> bool) -> u64 {
    heard.values().filter(|heard| wanted(heard)).fold(0, |sum, heard| sum.saturating_add(heard.power))
}

/// Height and round.
fn place(state: &ConsensusReport) -> (u64, u64) {
    (state.position.height.to(), state.position.round.to())
}

/// A vote counts whoever has seen it; ages are by the clock of the node that saw it.
fn hear(states: &[(&Facts, &ConsensusReport)], highest: (u64, u64)) -> BTreeMap<ValidatorAddress, Heard> {
    let mut all = BTreeMap::<_, Heard>::new();
    for (facts, state) in states.iter().filter(|(_, state)| place(state).0 == highest.0) {
        for validator in &state.validators {
            let heard = all.entry(validator.address).or_default();
            heard.power = validator.power.to();
            if place(state) == highest {
                heard.ballot = heard.ballot.or(ballot(validator));
            }
            let Some(last) = validator.last_vote else { continue };
            let age = Duration::from_millis(facts.now().saturating_sub(last.time.to()));
            if heard.age.is_none_or(|known| age < known) {
                (heard.age, heard.last) = (Some(age), Some(last));
            }
        }
    }
    all
}

fn ballot(validator: &ValidatorReport) -> Option<Ballot> {
    validator.precommit.or(validator.prevote)
}

fn missing((address, heard): (&ValidatorAddress, &Heard)) -> Missing {
    Missing {
        address: *address,
        power: heard.power,
        last_height: heard.last.map(|last| last.height.to()),
        silent_for: heard.age.map(|age| age.as_secs()),
    }
}

/// Where and since when the height stands still.
fn position(observer: &Facts, state: &ConsensusReport) -> String {
    let (height, round) = place(state);
    let now = observer.now();
    let started = now.saturating_sub(observer.status.node.uptime.to::<u64>().saturating_mul(1_000));
    let head = observer.status.head.timestamp.to::<u64>().saturating_mul(1_000);
    // A node knows of what it has seen itself: a height that was begun earlier seems to begin with its start.
    let since_when = match observer.head() > 0 && head < started {
        true => format!("since before this node started: no block {}", since(head, now)),
        false => since(state.position.height_since.to(), now),
    };
    format!("height {height}, round {round}, {since_when}")
}

/// A third or more of the power is silent: nothing can be decided without it.
fn too_few(
    observer: &Facts,
    state: &ConsensusReport,
    heard: &BTreeMap<ValidatorAddress, Heard>,
    power: Power,
) -> Finding {
    let silent = Vec::from_iter(heard.iter().filter(|(_, heard)| heard.is_silent()));
    let each = |(address, heard): &(&ValidatorAddress, &Heard)| {
        let last = match (heard.last, heard.age) {
            (Some(last), Some(age)) => format!("last vote at height {}, {} ago", last.height, span(age)),
            _ => "not heard since the node asked was started".to_owned(),
        };
        format!("{address} (power {}; {last})", heard.power)
    };
    let text = format!(
        "{}: votes of power {} of {} come, and {} is needed; {} of {} are silent: {}",
        position(observer, state),
        power.present,
        power.total,
        power.needed,
        silent.len(),
        count(heard.len() as u64, "validator"),
        Vec::from_iter(silent.iter().map(each)).join(", ")
    );
    let fix = format!(
        "start the nodes of these validators again, or connect them; `heddle doctor` on their machines says what is wrong \
         there. When power {} more votes, the chain goes on by itself",
        power.needed.saturating_sub(power.present)
    );
    Finding::problem("votes", text, fix)
}

/// Enough validators are there, and do not agree.
fn enough(
    observer: &Facts,
    state: &ConsensusReport,
    heard: &BTreeMap<ValidatorAddress, Heard>,
    power: Power,
) -> Finding {
    let nil = power_of(heard, |heard| matches!(heard.ballot, Some(Ballot::Nil(_))));
    let not_here = power_of(heard, |heard| heard.ballot.is_none() && !heard.is_silent());
    let proposer = state.proposer;
    let proposer_is_silent = heard.get(&proposer).is_some_and(Heard::is_silent);
    let head = format!(
        "{}: votes of power {} of {} come, which is enough, but they do not decide",
        position(observer, state),
        power.present,
        power.total
    );
    let (why, fix) = match () {
        () if state.proposal.is_none() && proposer_is_silent => (
            format!("the proposer of this round, {proposer}, is silent"),
            "wait for the next round, which has another proposer; start that node again".to_owned(),
        ),
        () if state.proposal.is_none() => (
            format!("the proposer of this round, {proposer}, has not proposed a block"),
            "look at that node's log: it may fail to build a block, or its proposals do not come through".to_owned(),
        ),
        () if nil.saturating_mul(3) >= power.total => (
            format!(
                "power {nil} votes for no block: the proposed one does not reach them in time, or they hold it for invalid"
            ),
            "look for `proposed block is invalid` in their logs; do all run the same version and genesis file? \
             Compare with `heddle doctor --peers-rpc`"
                .to_owned(),
        ),
        () if not_here.saturating_mul(3) >= power.total => (
            format!(
                "votes of power {not_here} for this round are not here: those validators are in other rounds or cut off"
            ),
            "see that all validators reach each other: `heddle peers list` at each".to_owned(),
        ),
        () => (
            "why is not to be seen from here".to_owned(),
            "ask all validators' nodes at once, and look at their logs".to_owned(),
        ),
    };
    Finding::problem("votes", format!("{head}: {why}"), fix)
}
