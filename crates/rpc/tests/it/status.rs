//! `heddle_status` and `heddle_consensusState`.

use crate::node::{CHAIN_ID, GENESIS_TIME, TestNode, keys, transaction, user, validator_key};
use alloy_primitives::{Address, B256, U64};
use heddle_primitives::Validator;
use heddle_rpc::{
    Ballot, ConsensusPosition, ConsensusReport, ConsensusStep, Nil, StatusReport, SyncProgress, ValidatorReport,
    VoteReport,
};
use serde_json::{Value, json};

fn consensus() -> ConsensusReport {
    let address = Validator::new(validator_key().public_key(), 1, Address::ZERO).address;
    let last_vote = VoteReport { height: U64::from(7), round: U64::from(1), time: U64::from(1_500) };
    let silent = ValidatorReport {
        address: B256::repeat_byte(1)[..20].try_into().unwrap(),
        power: U64::from(1),
        is_own: false,
        prevote: None,
        precommit: None,
        last_vote: None,
    };
    let own = ValidatorReport {
        address,
        is_own: true,
        prevote: Some(Ballot::Block(B256::repeat_byte(2))),
        precommit: Some(Ballot::Nil(Nil::Nil)),
        last_vote: Some(last_vote),
        ..silent.clone()
    };
    ConsensusReport {
        position: ConsensusPosition {
            height: U64::from(7),
            round: U64::from(1),
            step: ConsensusStep::CatchUp,
            height_since: U64::from(1_000),
            since: U64::from(1_200),
        },
        proposer: address,
        proposal: None,
        total_power: U64::from(2),
        quorum_power: U64::from(2),
        refusal: None,
        validators: vec![silent, own],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_says_where_it_stands() {
    let node = TestNode::start().await;
    let idle = node.get("heddle_status", json!([])).await;
    assert_eq!((&idle["transactionsPerSecond"], &idle["gasPerSecond"]), (&Value::Null, &Value::Null));
    assert_eq!((&idle["consensus"], &idle["sync"]), (&Value::Null, &Value::Null));
    // Five transactions in two blocks, which take a second each.
    node.mine_all(&[&transaction(0, 0, user(1).address(), 1, [])]).await;
    let transfers = [0, 1, 2, 3].map(|nonce| transaction(1, nonce, user(0).address(), 1, []));
    let block = node.mine_all(&transfers.each_ref()).await;
    *node.status.consensus.lock() = Some(consensus());
    let progress = SyncProgress { starting: 1, current: 2, highest: 40, state: None };
    *node.status.progress.lock() = Some(progress);
    node.send(&transaction(2, 0, user(0).address(), 1, [])).await;
    let status = node.get("heddle_status", json!([])).await;
    let expected = [
        "blockTime",
        "chainId",
        "clientVersion",
        "consensus",
        "emptyBlockTime",
        "forkId",
        "forks",
        "freeBytes",
        "gasPerSecond",
        "genesisHash",
        "head",
        "lag",
        "mempool",
        "peerId",
        "peers",
        "sync",
        "time",
        "transactionsPerSecond",
        "uptime",
        "validator",
    ];
    assert_eq!(keys(&status), expected);
    assert_eq!(status["chainId"], format!("{CHAIN_ID:#x}"));
    let timestamp = format!("{:#x}", GENESIS_TIME + 2);
    assert_eq!(status["head"], json!({"number": "0x2", "hash": block.header.seal(), "timestamp": timestamp}));
    assert_eq!(status["transactionsPerSecond"], 2.5);
    assert_eq!(status["gasPerSecond"], format!("{:#x}", 5 * 21_000 / 2));
    assert_eq!(status["mempool"], json!({"pending": "0x1", "queued": "0x0"}));
    assert_eq!(status["peers"], json!({"inbound": "0x1", "outbound": "0x2"}));
    assert_eq!(status["sync"], json!({"starting": "0x1", "current": "0x2", "highest": "0x28", "state": null}));
    assert_eq!((&status["blockTime"], &status["forkId"]["next"]), (&json!("0x1f4"), &json!("0x0")));
    let forks = status["forks"].as_array().unwrap();
    assert_eq!(forks.last(), Some(&json!({"name": "Osaka", "time": "0x0"})));
    let position = json!({
        "height": "0x7", "round": "0x1", "step": "catch-up", "heightSince": "0x3e8", "since": "0x4b0",
    });
    assert_eq!(status["consensus"], position);
    let report: StatusReport = serde_json::from_value(status.clone()).unwrap();
    assert_eq!(serde_json::to_value(report).unwrap(), status, "clients read what nodes write");
    assert_eq!(node.error("heddle_status", json!([1])).await.0, -32602);
}

#[tokio::test(flavor = "multi_thread")]
async fn consensus_says_who_has_voted() {
    let node = TestNode::start().await;
    assert_eq!(node.get("heddle_consensusState", json!([])).await, Value::Null);
    *node.status.consensus.lock() = Some(consensus());
    let state = node.get("heddle_consensusState", json!([])).await;
    assert_eq!(
        (&state["height"], &state["proposal"], &state["quorumPower"]),
        (&json!("0x7"), &Value::Null, &json!("0x2"))
    );
    let [silent, own] = [&state["validators"][0], &state["validators"][1]];
    assert_eq!((&silent["prevote"], &silent["lastVote"]), (&Value::Null, &Value::Null));
    assert_eq!(
        (&own["isOwn"], &own["prevote"], &own["precommit"]),
        (&json!(true), &json!(B256::repeat_byte(2)), &json!("nil"))
    );
    assert_eq!(own["lastVote"], json!({"height": "0x7", "round": "0x1", "time": "0x5dc"}));
    assert_eq!(serde_json::from_value::<ConsensusReport>(state).unwrap(), consensus());
}
