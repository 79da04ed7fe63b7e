//! Whether other nodes are of the same chain, and will change its rules at the same time: to be seen before an upgrade.

use super::super::agreement::answers;
use super::super::words::{since, span};
use super::super::{Facts, Finding, Node};
use heddle_primitives::{Fork, Genesis};
use std::time::Duration;

pub(super) fn check(genesis: &Genesis, peers: &[Node]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in peers {
        match &node.answer {
            Ok(_) => {}
            Err(failure) => {
                findings.push(Finding::unknown("forks", format!("{}: {}", node.name, failure.text), failure.fix));
            }
        }
    }
    findings.extend(answers(peers).map(|(name, facts)| judge(genesis, name, facts)));
    findings
}

fn judge(genesis: &Genesis, name: &str, facts: &Facts) -> Finding {
    let theirs = &facts.status;
    if theirs.genesis_hash != genesis.hash() {
        let text =
            format!("{name} is of another chain: its genesis hash is {}, not {}", theirs.genesis_hash, genesis.hash());
        return Finding::problem("forks", text, "give this node the genesis file of its network (--chain)");
    }
    let ours = genesis.fork_schedule();
    let Some(first) = first_difference(&ours, &theirs.forks) else {
        let text = format!("{name} ({}) schedules the same forks", theirs.client_version);
        return Finding::ok("forks", text);
    };
    let when = |forks: &[Fork]| {
        forks.iter().find(|fork| fork.name == first).map_or("never".to_owned(), |fork| at(fork, facts.now()))
    };
    let text =
        format!("{name} does not agree on the fork {first}: {} there, {} here", when(&theirs.forks), when(&ours));
    let fix = "give all nodes the same genesis file, and a version that knows the fork, before the earlier of the two; \
               otherwise they part ways there";
    Finding::problem("forks", text, fix)
}

/// Name of the first fork that only one of two schedules has, or has at that time.
fn first_difference(ours: &[Fork], theirs: &[Fork]) -> Option<String> {
    let only = |here: &[Fork], there: &[Fork]| here.iter().find(|fork| !there.contains(fork)).cloned();
    let earlier = [only(ours, theirs), only(theirs, ours)].into_iter().flatten();
    earlier.min_by_key(|fork| (fork.time, fork.block)).map(|fork| fork.name)
}

/// When a fork begins, seen from `now`, in milliseconds since 1970.
fn at(fork: &Fork, now: u64) -> String {
    match (fork.block, fork.time) {
        (Some(block), _) => format!("at block {block}"),
        (None, Some(time)) => {
            let time = time.to::<u64>().saturating_mul(1_000);
            match time > now {
                true => format!("in {}", span(Duration::from_millis(time - now))),
                false => since(time, now),
            }
        }
        (None, None) => "never".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::super::Level;
    use super::super::super::fixture::{NOW, answering, facts, silent};
    use super::*;
    use alloy_primitives::{B256, U64};

    fn genesis(amsterdam: u64) -> Genesis {
        let text = format!(
            r#"{{"config":{{"chainId":1,"homesteadBlock":0,"amsterdamTime":{amsterdam}}},"gasLimit":"0x1c9c380","difficulty":"0x0","alloc":{{}}}}"#
        );
        Genesis::from_json(&text).unwrap()
    }

    fn peer(genesis: &Genesis) -> Facts {
        let mut facts = facts(9);
        facts.status.genesis_hash = genesis.hash();
        facts.status.forks = genesis.fork_schedule();
        facts
    }

    #[test]
    fn the_same_schedule_agrees() {
        let genesis = genesis(NOW / 1_000 + 3_600);
        let found = check(&genesis, &[answering("a", peer(&genesis)), silent("b")]);
        assert_eq!(found.iter().map(|finding| finding.level).collect::<Vec<_>>(), [Level::Unknown, Level::Ok]);
    }

    #[test]
    fn another_schedule_or_chain_is_a_problem() {
        let genesis = genesis(NOW / 1_000 + 3_600);
        let mut later = peer(&genesis);
        later.status.forks.last_mut().unwrap().time = Some(U64::from(NOW / 1_000 + 7_200));
        let mut unaware = peer(&genesis);
        unaware.status.forks.pop();
        let mut other = peer(&genesis);
        other.status.genesis_hash = B256::ZERO;
        let table = [
            (later, "the fork Amsterdam: in 2 h 0 min there, in 60 min 0 s here"),
            (unaware, "never there, in 60 min 0 s here"),
            (other, "another chain"),
        ];
        for (facts, words) in table {
            let found = check(&genesis, &[answering("a", facts)]);
            assert_eq!(found[0].level, Level::Problem);
            assert!(found[0].text.contains(words), "{words}: {found:?}");
        }
    }
}
