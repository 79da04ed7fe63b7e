//! A genesis file without a `heddle` section is a plain Ethereum chain: served, never extended.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use alloy_primitives::Address;
use heddle_e2e::{Process, Rpc, Signal, account, ether, eventually, free_port, transfer, turn};
use serde_json::{Value, json};

fn plain_genesis() -> Value {
    json!({
        "config": {
            "chainId": 31337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 0, "terminalTotalDifficulty": 0, "shanghaiTime": 0, "cancunTime": 0,
            "blobSchedule": { "cancun": { "target": 3, "max": 6, "baseFeeUpdateFraction": 3338477 } }
        },
        "nonce": "0x0", "timestamp": "0x0", "extraData": "0x", "gasLimit": "0x1c9c380", "difficulty": "0x0",
        "mixHash": "0x0000000000000000000000000000000000000000000000000000000000000000",
        "coinbase": "0x0000000000000000000000000000000000000000",
        "alloc": {
            account(0).address().to_string(): { "balance": "0xde0b6b3a7640000" },
            "0x00000000000000000000000000000000000c0de0": { "balance": "0x0", "code": "0x602a60005260206000f3" }
        }
    })
}

#[tokio::test]
async fn a_chain_without_validators_is_served_read_only() {
    let _turn = turn().await;
    let dir = tempfile::tempdir().unwrap();
    let genesis = dir.path().join("genesis.json");
    std::fs::write(&genesis, plain_genesis().to_string()).unwrap();
    let data = dir.path().join("data");
    let (http_port, port) = (free_port(), free_port().to_string());
    let http_port_text = http_port.to_string();
    let arguments = ["node", "--chain", genesis.to_str().unwrap(), "--datadir", data.to_str().unwrap()];
    let options = ["--addr", "127.0.0.1", "--port", &port, "--http", "--http.port", &http_port_text];
    let mut process = Process::spawn(&dir.path().join("node.log"), &[&arguments[..], &options].concat());
    let rpc = Rpc::new(http_port);
    eventually("an answer", async || {
        assert!(!process.has_ended(), "{}", process.log());
        rpc.try_height().await
    })
    .await;

    assert_eq!(rpc.height().await, 0);
    assert_eq!(rpc.balance(account(0).address()).await, ether(1));
    let code: Address = "0x00000000000000000000000000000000000c0de0".parse().unwrap();
    let answer = rpc.call("eth_call", json!([{ "to": code }, "latest"])).await;
    assert_eq!(answer.as_str().map(|text| &text[64..]), Some("2a"));

    // It waits, as it would in go-ethereum without a consensus client.
    let signed = transfer(&account(0), 0, Address::ZERO, ether(0));
    rpc.call("eth_sendRawTransaction", json!([signed.raw])).await;
    assert_eq!(rpc.call("txpool_status", json!([])).await, json!({ "pending": "0x1", "queued": "0x0" }));
    assert_eq!(rpc.call("heddle_whyPending", json!([signed.hash])).await["reason"], "read-only");
    assert_eq!(rpc.height().await, 0);
    // Unless told otherwise, all namespaces are served but that of those who rule the node.
    assert!(rpc.call("debug_getRawHeader", json!(["0x0"])).await.is_string());
    process.signal(Signal::Interrupt).await;
    let (status, _) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
}
