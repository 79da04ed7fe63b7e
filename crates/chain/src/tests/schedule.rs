//! Forks after genesis, which the genesis hash does not cover.

use super::fixture::{GENESIS_TIME, Node, genesis_with_balance};
use crate::{ChainError, Fault};
use heddle_primitives::Genesis;
use serde_json::json;

/// The chain's genesis with something in its `config` changed.
fn genesis_with(key: &str, value: serde_json::Value) -> Genesis {
    let mut file = serde_json::to_value(genesis_with_balance(1_000).file()).unwrap();
    file["config"][key] = value;
    let genesis = Genesis::from_json(&file.to_string()).unwrap();
    assert_eq!(genesis.hash(), genesis_with_balance(1_000).hash(), "it is the same chain");
    genesis
}

/// A node at block 2, one second a block, and closed.
fn closed_node() -> Node {
    let mut node = Node::start();
    node.extend(Vec::new());
    node.extend(Vec::new());
    node.close();
    node
}

fn refused(node: &Node, genesis: Genesis) -> String {
    let error = node.open_with(genesis).err().unwrap();
    assert!(matches!(error, ChainError::ForkMismatch { .. }), "{error}");
    assert_eq!(error.fault(), Fault::Caller);
    error.to_string()
}

#[test]
fn a_fork_to_come_can_be_set_moved_and_taken_back() {
    let node = closed_node();
    for after in [50, 100, 3] {
        drop(node.open_with(genesis_with("amsterdamTime", json!(GENESIS_TIME + after))).unwrap());
    }
    drop(node.open_with(genesis_with_balance(1_000)).unwrap());
}

#[test]
fn a_fork_that_is_past_cannot_be_added() {
    let node = closed_node();
    for after in [1, 2] {
        let text = refused(&node, genesis_with("amsterdamTime", json!(GENESIS_TIME + after)));
        for part in ["Amsterdam", &(GENESIS_TIME + after).to_string(), "never", "(2, "] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }
    // What was refused has not replaced the file that is known.
    drop(node.open_with(genesis_with_balance(1_000)).unwrap());
}

#[test]
fn a_blob_schedule_that_is_past_cannot_be_changed() {
    let node = closed_node();
    let schedule = json!({ "osaka": { "target": 3, "max": 5, "baseFeeUpdateFraction": 3_338_477 } });
    let text = refused(&node, genesis_with("blobSchedule", schedule));
    assert!(text.contains("blob schedule"), "{text}");
}
