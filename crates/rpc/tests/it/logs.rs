//! `eth_getLogs`.

use crate::node::{LOGGER, TestNode, logging, transaction};
use alloy_primitives::{Address, B256};
use heddle_chain::LogLimits;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};

const ONE: B256 = B256::repeat_byte(1);
const TWO: B256 = B256::repeat_byte(2);

/// Blocks 1 and 3 each hold the two logs; block 2 holds none.
async fn node_with_logs() -> TestNode {
    let node = TestNode::start().await;
    node.mine_all(&[&logging(0, 0, ONE), &logging(0, 1, TWO)]).await;
    node.mine_all(&[&transaction(1, 0, Address::repeat_byte(1), 1, [])]).await;
    node.mine_all(&[&logging(0, 2, ONE), &logging(0, 3, TWO)]).await;
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_by_range_address_and_topic() {
    let node = node_with_logs().await;
    let hash = node.get("eth_getBlockByNumber", json!(["0x1", false])).await["hash"].clone();
    for (filter, expected) in [
        (json!({"fromBlock": "0x0"}), vec![(1, ONE), (1, TWO), (3, ONE), (3, TWO)]),
        (json!({}), vec![(3, ONE), (3, TWO)]),
        (json!({"fromBlock": "0x1", "toBlock": "0x2"}), vec![(1, ONE), (1, TWO)]),
        (json!({"fromBlock": "earliest", "toBlock": "0x3", "topics": [ONE]}), vec![(1, ONE), (3, ONE)]),
        (json!({"fromBlock": "0x1", "topics": [[TWO, B256::ZERO]]}), vec![(1, TWO), (3, TWO)]),
        (json!({"fromBlock": "0x1", "topics": [null]}), vec![(1, ONE), (1, TWO), (3, ONE), (3, TWO)]),
        (json!({"fromBlock": "0x1", "topics": [null, ONE]}), vec![]),
        (json!({"fromBlock": "0x1", "topics": [ONE, null]}), vec![]),
        (json!({"fromBlock": "0x3", "address": LOGGER}), vec![(3, ONE), (3, TWO)]),
        (json!({"fromBlock": "0x3", "address": [LOGGER, Address::ZERO], "topics": [ONE]}), vec![(3, ONE)]),
        (json!({"fromBlock": "0x1", "address": Address::ZERO}), vec![]),
        (json!({"blockHash": hash}), vec![(1, ONE), (1, TWO)]),
    ] {
        let logs = node.get("eth_getLogs", json!([filter])).await;
        let found = logs.as_array().unwrap().iter().map(|log| (log["blockNumber"].clone(), log["topics"][0].clone()));
        let expected = expected.into_iter().map(|(number, topic)| (json!(format!("{number:#x}")), json!(topic)));
        assert_eq!(Vec::from_iter(found), Vec::from_iter(expected), "{filter}");
    }
    let log = node.get("eth_getLogs", json!([{"fromBlock": "0x3", "topics": [TWO]}])).await[0].clone();
    let receipt = node.get("eth_getTransactionReceipt", json!([log["transactionHash"]])).await;
    assert_eq!(receipt["logs"], json!([log]));
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_are_bounded() {
    let limits = RpcLimits {
        logs: LogLimits { blocks_max: 2, logs_max: 1, bytes_max: 100, ..LogLimits::default() },
        ..RpcLimits::default()
    };
    let node = TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await;
    node.mine_all(&[&logging(0, 0, ONE), &logging(0, 1, TWO)]).await;
    node.mine().await;
    let error = async |filter: Value| node.error("eth_getLogs", json!([filter])).await;
    let (code, message) = error(json!({"fromBlock": "0x0"})).await;
    assert_eq!((code, &*message), (-32005, "query exceeds 2 blocks, try with this block range [0x0, 0x1]"));
    let (code, message) = error(json!({"fromBlock": "0x1"})).await;
    assert_eq!(
        (code, &*message),
        (-32005, "query exceeds 1 logs, block 1 alone has more: ask for fewer addresses or topics")
    );
    let beyond = json!({"fromBlock": "0x2", "toBlock": "0x3"});
    assert_eq!(error(beyond).await, (-32602, "block range extends beyond current head block".to_owned()));
    let backwards = json!({"fromBlock": "0x2", "toBlock": "0x1"});
    assert_eq!(error(backwards).await, (-32602, "invalid block range params".to_owned()));
    let beyond = json!({"fromBlock": "0x1", "toBlock": "0x3"});
    assert_eq!(error(beyond).await, (-32602, "block range extends beyond current head block".to_owned()));
    for pending in [json!({"fromBlock": "pending"}), json!({"toBlock": "pending"})] {
        assert_eq!(error(pending).await, (-32602, "pending logs are not supported".to_owned()));
    }
    let future = json!({"fromBlock": "0x9", "toBlock": "latest"});
    assert_eq!(error(future).await, (-32602, "invalid block range params".to_owned()));
    let unknown = json!({"blockHash": B256::repeat_byte(9)});
    assert_eq!(error(unknown).await, (-32000, "unknown block".to_owned()));
    let many = json!({"address": Vec::from_iter((0..=1_000u64).map(|n| Address::left_padding_from(&n.to_be_bytes())))});
    let (code, message) = error(many).await;
    assert_eq!((code, message.as_str()), (-32602, "exceed max addresses or topics per search position: 1000"));
    assert_eq!(error(json!({"topics": [[], [], [], [], []]})).await.0, -32602);
}
