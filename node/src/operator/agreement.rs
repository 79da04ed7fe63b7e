//! Whether nodes are of one chain, and at the same block of it.

use super::words::count;
use super::{Facts, Finding, Node};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Blocks that a node may be behind another one that was asked at nearly the same time.
const LAG_MAX: u64 = 5;

/// What nodes that answer contradict each other in; nothing when they agree.
pub fn disagreements(nodes: &[Node]) -> Vec<Finding> {
    let answers = Vec::from_iter(answers(nodes));
    let mut findings = Vec::new();
    let geneses = group(&answers, |facts| Some(facts.status.genesis_hash));
    if geneses.len() > 1 {
        let text = format!("these nodes are of {} chains by their genesis hashes: {}", geneses.len(), listed(&geneses));
        let fix = "give every node of a network the same genesis file, and a new data directory where it was another";
        findings.push(Finding::problem("genesis", text, fix));
        return findings;
    }
    let hashes = group(&answers, |facts| facts.common);
    if hashes.len() > 1 {
        let number = hashes.keys().next().map_or(0, |(number, _)| *number);
        let by_hash = hashes.into_iter().map(|((_, hash), names)| (hash, names)).collect();
        let text = format!("FORK: these nodes have different blocks at HEIGHT {number}: {}", listed(&by_hash));
        let fix = "stop what relies on them; more than a third of the power has signed twice, or a data directory was \
                   exchanged: compare `heddle_getCommit` of that height, and see `heddle_getEvidence`";
        findings.push(Finding::problem("fork", text, fix));
    }
    let best = answers.iter().map(|(_, facts)| facts.head()).max().unwrap_or_default();
    for (name, facts) in &answers {
        let lag = best.saturating_sub(facts.head());
        if lag > LAG_MAX {
            let text =
                format!("{name} is at block {}, {} behind the best of these nodes", facts.head(), count(lag, "block"));
            findings.push(Finding::warning("lag", text, "see `heddle why stalled` with that node alone"));
        }
    }
    findings
}

/// The nodes that answer, by name.
pub(super) fn answers(nodes: &[Node]) -> impl Iterator<Item = (&str, &Facts)> {
    nodes.iter().filter_map(|node| Some((node.name.as_str(), node.answer.as_ref().ok()?)))
}

fn group<'a, K: Ord>(answers: &[(&'a str, &Facts)], key: impl Fn(&Facts) -> Option<K>) -> BTreeMap<K, Vec<&'a str>> {
    let mut groups = BTreeMap::<K, Vec<&str>>::new();
    for (name, facts) in answers {
        if let Some(key) = key(facts) {
            groups.entry(key).or_default().push(name);
        }
    }
    groups
}

fn listed<K: Display>(groups: &BTreeMap<K, Vec<&str>>) -> String {
    let one = |(key, names): (&K, &Vec<&str>)| format!("{key} at {}", names.join(", "));
    Vec::from_iter(groups.iter().map(one)).join("; ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::fixture::{answering, facts, silent};
    use super::*;
    use alloy_primitives::{B256, U64};

    #[test]
    fn nodes_that_agree_are_not_mentioned() {
        let mut behind = facts(97);
        behind.common = facts(100).common;
        let nodes = [answering("a", facts(100)), answering("b", behind), silent("c")];
        assert_eq!(disagreements(&nodes), []);
    }

    #[test]
    fn another_chain_a_fork_and_a_lag_are_told_apart() {
        let other_hash = |number| {
            let mut facts = facts(100);
            facts.common = Some((number, B256::repeat_byte(9)));
            facts
        };
        let mut other_chain = facts(100);
        other_chain.status.genesis_hash = B256::repeat_byte(7);
        let mut behind = facts(100);
        behind.status.head.number = U64::from(90);
        let table = [
            ("genesis", other_chain, vec!["2 chains", "at a", "at b"]),
            ("fork", other_hash(100), vec!["FORK", "HEIGHT 100", "0x0909", "at b"]),
            ("lag", behind, vec!["b is at block 90", "10 blocks behind"]),
        ];
        for (check, facts_of_b, words) in table {
            let found = disagreements(&[answering("a", facts(100)), answering("b", facts_of_b)]);
            assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), [check]);
            assert!(words.iter().all(|word| found[0].text.contains(word)), "{found:?}");
            assert!(found[0].fix.is_some());
        }
    }
}
