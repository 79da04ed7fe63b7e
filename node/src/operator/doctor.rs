//! What is wrong on this machine with what a node is started with. Each check looks at one thing and judges it by a pure
//! function; nothing but a probe file in the data directory is written.

mod agreement;
mod clock;
mod database;
mod disk;
mod genesis;
mod keys;
mod limits;
mod peers;
mod ports;

use super::{Finding, Node};
use crate::command::Prospect;
use heddle_storage::DirectoryLock;

/// All findings about a node that would be started so, or runs; `peers` are nodes of its chain that were asked.
pub fn examine(prospect: &Prospect, peers: &[Node]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let genesis = genesis::read(&prospect.chain, &mut findings);
    let owner = DirectoryLock::owner(&prospect.datadir.join("db"));
    let is_running = matches!(owner, Ok(Some(_)));
    findings.push(match owner {
        Ok(Some(pid)) => {
            Finding::ok("node", format!("runs{}", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()))
        }
        Ok(None) => Finding::ok("node", "does not run on this data directory"),
        Err(error) => Finding::problem("node", error.to_string(), "run this as the node's user"),
    });
    findings.extend(disk::check(&prospect.datadir));
    let stored = genesis.as_ref().and_then(|genesis| database::check(genesis, &prospect.datadir, &mut findings));
    findings.extend(keys::check(prospect, genesis.as_ref(), stored.as_ref()));
    findings.extend(ports::check(prospect, is_running));
    findings.extend(peers::check(&prospect.network, genesis.as_ref()));
    findings.push(clock::check(peers, stored.as_ref()));
    if let Some(genesis) = &genesis {
        findings.extend(agreement::check(genesis, peers));
    }
    findings.extend(limits::check(prospect.cache));
    findings
}
