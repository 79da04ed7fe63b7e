//! Why a chain makes no blocks, from what nodes say of themselves and of each other.

mod votes;

use super::agreement::{answers, disagreements};
use super::words::{count, span};
use super::{Facts, Finding, Node};
use heddle_rpc::{ConsensusReport, ConsensusStep, ValidatorReport};
use serde::Serialize;
use std::time::Duration;
pub use votes::{Missing, Power};

/// The answer, for programs, with the sentences for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Whether no block comes where one should; `None` when no node says, or the best of them is behind its peers.
    pub stalled: Option<bool>,
    /// The highest head.
    pub head: Option<u64>,
    /// For how long it has been that, in seconds; `None` while a state is fetched.
    pub head_age: Option<u64>,
    /// The height that is not decided, when stalled.
    pub height: Option<u64>,
    /// The highest round there.
    pub round: Option<u64>,
    /// Power whose votes come, and that would decide, when stalled.
    pub power: Option<Power>,
    /// The validators that are silent, when stalled.
    pub missing: Vec<Missing>,
    /// The sentences.
    pub findings: Vec<Finding>,
}

/// Judges what nodes say.
pub fn diagnose(nodes: &[Node]) -> Diagnosis {
    let mut diagnosis = Diagnosis {
        stalled: None,
        head: None,
        head_age: None,
        height: None,
        round: None,
        power: None,
        missing: Vec::new(),
        findings: Vec::new(),
    };
    let unreachable = nodes.iter().filter_map(|node| Some((&node.name, node.answer.as_ref().err()?)));
    for (name, failure) in unreachable {
        diagnosis.findings.push(Finding::problem("node", format!("{name}: {}", failure.text), failure.fix));
    }
    let Some((_, best)) = answers(nodes).max_by_key(|(_, facts)| (facts.head(), !facts.is_behind(), facts.now()))
    else {
        return diagnosis;
    };
    let disagreements = disagreements(nodes);
    let other_chains = disagreements.iter().any(|finding| finding.check == "genesis");
    diagnosis.findings.extend(disagreements);
    if other_chains {
        return diagnosis;
    }
    diagnosis.head = Some(best.head());
    diagnosis.head_age = (!best.is_fetching_state()).then(|| best.head_age().as_secs());
    diagnosis.findings.extend(head(best));
    diagnosis.stalled = (!best.is_behind()).then(|| best.stalled_for().is_some());
    let stalled = diagnosis.stalled == Some(true);
    if stalled {
        votes::judge(nodes, &mut diagnosis);
    }
    diagnosis.findings.extend(answers(nodes).flat_map(|(name, facts)| alone(name, facts, stalled)));
    diagnosis
}

/// Whether a block is overdue.
fn head(best: &Facts) -> Vec<Finding> {
    let (number, age) = (best.head(), span(best.head_age()));
    let Some(expected) = best.block_expected() else {
        let text = "this is a plain Ethereum chain, served read-only: no blocks come";
        return vec![Finding::ok("chain", text)];
    };
    if best.is_behind() {
        let text = format!(
            "whether the chain is stalled is not to be seen: the best of these nodes is at block {number}, behind its peers"
        );
        return vec![Finding::unknown("chain", text, "ask a node that follows the head, or wait until this one does")];
    }
    match best.stalled_for() {
        None => vec![Finding::ok("chain", format!("the chain is not stalled: block {number} came {age} ago"))],
        Some(time) => {
            let text = format!(
                "the chain is stalled: no block has come after block {number} for {}, and one is expected every {}",
                span(time),
                span(expected)
            );
            vec![Finding::problem("chain", text, "see what follows")]
        }
    }
}

/// What is wrong with a node by itself.
fn alone(name: &str, facts: &Facts, stalled: bool) -> Vec<Finding> {
    let mut findings = Vec::from_iter(connection(name, facts, stalled));
    findings.extend(syncing(name, facts));
    let Some(state) = &facts.consensus else { return findings };
    let own = state.validators.iter().find(|validator| validator.is_own);
    match (own, facts.status.node.validator) {
        (Some(own), _) => findings.extend(own_validator(name, facts, state, own, stalled)),
        (None, Some(address)) => {
            let text =
                format!("{name} has the key of {address}, which is no validator at height {}", state.position.height);
            let fix = "nothing, when it is to become one; otherwise see `heddle validators`";
            findings.push(Finding::warning("key", text, fix));
        }
        (None, None) => {}
    }
    findings
}

fn connection(name: &str, facts: &Facts, stalled: bool) -> Option<Finding> {
    let needs_peers = facts.consensus.as_ref().is_none_or(|state| {
        let alone = |validator: &ValidatorReport| validator.is_own && validator.power >= state.quorum_power;
        !state.validators.iter().any(alone)
    });
    if facts.block_expected().is_none() || facts.peers() > 0 || !needs_peers {
        return None;
    }
    let text = format!("{name} has no peers: it hears no votes and gets no blocks");
    let fix = "see that its --bootnodes or --persistent-peers are right and up, that a firewall lets TCP and UDP of \
               --port through, and that its clock is right: `heddle doctor` on its machine tries all of them";
    Some(if stalled { Finding::problem("peers", text, fix) } else { Finding::warning("peers", text, fix) })
}

fn syncing(name: &str, facts: &Facts) -> Option<Finding> {
    let sync = facts.status.sync.as_ref()?;
    let text = match sync.state {
        Some(parts) => format!("{name} fetches a state to begin with, {}% of which is there", parts / 10_000),
        None => {
            let left = sync.highest.saturating_sub(sync.current);
            format!("{name} is {} behind its peers and catches up", count(left, "block"))
        }
    };
    Some(Finding::warning("sync", text, "wait; where the numbers stand still, its log says why"))
}

/// A validator signs nothing while it waits for its peers, when that could contradict what it signed, or when it is stuck.
fn own_validator(
    name: &str,
    facts: &Facts,
    state: &ConsensusReport,
    own: &ValidatorReport,
    stalled: bool,
) -> Option<Finding> {
    let (height, round, address) = (state.position.height, state.position.round, own.address);
    if let Some(reason) = &state.refusal {
        let text = format!("{name} signs nothing for its validator {address} at height {height}: {reason}");
        let fix = "see that no other node runs with this key; it signs again at the next height. Without its log \
                   (consensus.log) back, the others must decide this height";
        return Some(Finding::problem("signing", text, fix));
    }
    if !stalled {
        return None;
    }
    let waits = Duration::from_millis(facts.now().saturating_sub(state.position.since.to()));
    let has_voted = own.prevote.is_some() || own.precommit.is_some();
    match state.position.step {
        ConsensusStep::CatchUp => {
            let text = format!(
                "{name} takes no part for its validator {address}: for {} it has waited until it stands where its {} are",
                span(waits),
                count(facts.peers(), "peer")
            );
            let fix = "connect it with peers that have the chain; it signs by itself when it has caught up";
            Some(Finding::problem("signing", text, fix))
        }
        ConsensusStep::Prevote | ConsensusStep::Precommit if !has_voted => {
            let text = format!("{name} has not voted for its validator {address} at height {height}, round {round}");
            Some(Finding::problem("signing", text, "look at its log for errors of signing or of the disk"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
