//! A chain that began with a state: what came before is absent, which is no error where nothing may be there anyway.

use crate::node::{TestNode, logging, user};
use alloy_primitives::B256;
use heddle_chain::{AdoptedBase, Staging};
use heddle_primitives::{CertifiedBlock, Height, LightClient, Pivot, Request, Response, STATE_RESPONSE_BYTES};
use heddle_storage::{Database, DatabaseConfig};
use serde_json::{Value, json};

/// A node that begins with the state after the head of another.
async fn joined(source: &TestNode) -> TestNode {
    let joining = TestNode::start().await;
    let head = source.chain.head();
    let height = head.height();
    let mut client = LightClient::new(source.chain.genesis()).unwrap();
    let header = |number| source.chain.certified_header(Height::new(number)).unwrap().unwrap();
    let linked = client.follow_linked((1..=head.header.number).map(header).collect()).unwrap();
    let (pivot, ancestors) = linked.split_last().unwrap();
    let ancestors = ancestors.iter().map(|header| header.header().clone()).collect();
    let base = AdoptedBase { pivot: pivot.clone(), ancestors, validator_sets: Vec::new() };
    let staging = Staging::new(Database::open_in_memory(&DatabaseConfig::default()).unwrap()).unwrap();
    let (pivot, state) = (Pivot { height, state_root: head.header.state_root }, head.state());
    let mut tasks = staging.plan(pivot).unwrap();
    while let Some(task) = tasks.pop() {
        let response = match task.request(height) {
            Request::Accounts(asked) => Response::Accounts(state.serve_accounts(&asked, STATE_RESPONSE_BYTES).unwrap()),
            Request::Storage(asked) => Response::Storage(state.serve_storage(&asked, STATE_RESPONSE_BYTES).unwrap()),
            Request::Code(asked) => Response::Code(state.serve_code(&asked.hashes, STATE_RESPONSE_BYTES).unwrap()),
            other => panic!("{other:?}"),
        };
        tasks.extend(staging.accept(pivot, &task, &response).unwrap().tasks);
    }
    assert_eq!(staging.plan(pivot).unwrap(), []);
    let scratch = tempfile::tempdir().unwrap();
    joining.chain.adopt(base, &staging, scratch.path(), &mut |_| {}).unwrap();
    joining
}

fn take_next(node: &TestNode, source: &TestNode) {
    let height = node.chain.head().height().next();
    let block = source.chain.finalized_block(height.as_u64()).unwrap().unwrap();
    let validators = node.chain.validators(height).unwrap();
    node.chain.commit(&CertifiedBlock::verify(block, &validators, &node.chain.signing_context()).unwrap()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_before_the_state_are_absent() {
    let source = TestNode::start().await;
    let topic = B256::repeat_byte(1);
    let first = logging(0, 0, topic);
    source.mine_all(&[&first]).await;
    source.mine_all(&[&logging(0, 1, topic)]).await;
    let node = joined(&source).await;
    assert_eq!(node.get("eth_blockNumber", json!([])).await, "0x2");
    let balance = json!([user(0).address(), "latest"]);
    assert_eq!(node.get("eth_getBalance", balance.clone()).await, source.get("eth_getBalance", balance).await);
    // Nothing that needs a header alone waits for the first block.
    assert_eq!(node.get("eth_feeHistory", json!(["0x9", "latest", [50]])).await["oldestBlock"], "0x2");
    assert!(node.get("eth_gasPrice", json!([])).await.is_string());

    source.mine_all(&[&logging(0, 2, topic)]).await;
    take_next(&node, &source);
    let hash = source.get("eth_getBlockByNumber", json!(["0x1", false])).await["hash"].clone();
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x1", true])),
        ("eth_getBlockByNumber", json!(["0x2", true])),
        ("eth_getBlockByHash", json!([hash, false])),
        ("eth_getBlockReceipts", json!(["0x1"])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x1"])),
        ("eth_getTransactionByHash", json!([first.tx_hash()])),
        ("eth_getTransactionReceipt", json!([first.tx_hash()])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x1", "0x0"])),
    ] {
        assert_eq!(node.get(method, params).await, Value::Null, "{method}");
    }
    for number in ["earliest", "latest", "0x3"] {
        assert_eq!(node.get("eth_getBlockByNumber", json!([number, false])).await["number"], "0x3", "{number}");
    }
    assert_eq!(node.get("eth_getBlockByNumber", json!(["0x0", false])).await["number"], "0x0");

    let logs = node.get("eth_getLogs", json!([{"fromBlock": "earliest"}])).await;
    assert_eq!(logs.as_array().unwrap().len(), 1);
    let (code, message) = node.error("eth_getLogs", json!([{"fromBlock": "0x1"}])).await;
    assert_eq!(code, -32000);
    assert_eq!(message, "block 1 is not in this node's database: the oldest is 3");
    assert_eq!(node.get("heddle_getEvidence", json!([])).await["included"], json!([]));
    let (code, message) = node.error("heddle_getEvidence", json!(["0x2", "0x3"])).await;
    assert_eq!((code, message.as_str()), (-32000, "block 2 is not in this node's database: the oldest is 3"));
    let (code, message) = node.error("eth_getBalance", json!([user(0).address(), "0x1"])).await;
    assert_eq!(code, -32000);
    assert!(message.contains("the oldest kept is of block 2"), "{message}");
    let (code, message) = node.error("eth_feeHistory", json!(["0x1", "0x1", []])).await;
    assert_eq!((code, message.as_str()), (-32000, "request before oldest block: requested 1, oldest 2"));
}
