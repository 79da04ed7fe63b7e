//! The genesis file.

use super::super::Finding;
use heddle_primitives::Genesis;
use std::path::Path;

pub(super) fn read(path: &Path, findings: &mut Vec<Finding>) -> Option<Genesis> {
    match Genesis::read(path) {
        Ok(genesis) => {
            let text = format!("{}: chain {}, genesis hash {}", path.display(), genesis.chain_id(), genesis.hash());
            findings.push(Finding::ok("genesis", text));
            Some(genesis)
        }
        Err(error) => {
            let fix = "give the node the genesis file of its network (--chain)";
            findings.push(Finding::problem("genesis", error.to_string(), fix));
            None
        }
    }
}
