//! `heddle devnet`, as a developer uses it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use alloy_primitives::{Address, hex, keccak256};
use heddle_e2e::{Devnet, Process, Signal, account, ether, eventually, quantity, run, turn};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::Path;

/// Sends Ctrl-C; returns the JSON object that the command ends with.
async fn interrupt(process: &mut Process) -> Value {
    process.signal(Signal::Interrupt).await;
    let (status, stdout) = process.ended().await;
    assert_eq!(status.code(), Some(0), "{}", process.log());
    serde_json::from_str(stdout.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {stdout}"))
}

#[tokio::test]
async fn prints_its_accounts_makes_blocks_and_stops_cleanly() {
    let _turn = turn().await;
    let mut devnet = Devnet::launch(&[]);
    devnet.process.line("block ").await;

    let printed = devnet.process.log();
    for index in 0..10 {
        let signer = account(index);
        for text in [signer.address().to_string(), signer.to_bytes().to_string()] {
            assert!(printed.contains(&text), "account {index}, {text}, is not in:\n{printed}");
        }
        assert_eq!(devnet.rpc.balance(signer.address()).await, ether(10_000));
    }
    for text in ["test test test", "31337", &format!("http://127.0.0.1:{}", devnet.port()), "ws://127.0.0.1"] {
        assert!(printed.contains(text), "{text} is not in:\n{printed}");
    }
    assert_eq!(devnet.rpc.call("eth_chainId", json!([])).await, "0x7a69");
    devnet.process.line("block      3").await;

    let line = devnet.process.line("Data directory").await;
    let directory = line.split_whitespace().find(|word| word.starts_with('/')).expect("a path").to_owned();
    assert!(Path::new(&directory).exists());
    let result = interrupt(&mut devnet.process).await;
    assert!(result["number"].as_u64() >= Some(3), "{result}");
    assert!(!Path::new(&directory).exists(), "the temporary directory {directory} is left");
}

#[tokio::test]
async fn lists_its_validators_whom_its_first_account_governs() {
    let _turn = turn().await;
    let devnet = Devnet::start(&["--validators", "2"]).await;
    let url = devnet.rpc.url().to_string();
    let listed = run(&["validators", "--rpc", &url, "--height", "3"]).await;
    for text in ["height 3, epoch 0: 2 validators of power 2", "50.0%"] {
        assert!(listed.stderr.contains(text), "{text} is not in:\n{}", listed.stderr);
    }
    assert_eq!(listed.result(), devnet.rpc.call("heddle_getValidators", json!(["0x3"])).await);
    run(&["validators", "--rpc", &url, "--height", "101"]).await.fails_naming(&["later epoch"]);
    run(&["validators", "--rpc", "http://127.0.0.1:1"]).await.fails_naming(&["http://127.0.0.1:1"]);

    let log = devnet.process.log();
    let registry = heddle_primitives::registry::ADDRESS;
    assert!(log.contains(&format!("{registry}, administered by account (0), in epochs of 100 blocks")), "{log}");
    // setAdministrator(account 1), which only the administrator may.
    let call = |from: Address| {
        let data = format!("0x{}{:0>64}", hex::encode(&keccak256("setAdministrator(address)")[..4]), "1");
        json!([{ "from": from, "to": registry, "data": data }, "latest"])
    };
    assert_eq!(devnet.rpc.call("eth_call", call(account(0).address())).await, "0x");
    assert!(devnet.rpc.try_call("eth_call", call(account(1).address())).await.is_err());
}

#[tokio::test]
async fn signs_for_its_accounts() {
    let _turn = turn().await;
    let devnet = Devnet::start(&["--validators", "1", "--accounts", "3", "--balance", "5"]).await;
    let accounts: Vec<Address> = serde_json::from_value(devnet.rpc.call("eth_accounts", json!([])).await).unwrap();
    assert_eq!(accounts, Vec::from_iter((0..3).map(|index| account(index).address())));
    assert_eq!(devnet.rpc.balance(accounts[2]).await, ether(5));

    let to = Address::repeat_byte(0x11);
    let request = json!([{ "from": accounts[0], "to": to, "value": "0xde0b6b3a7640000" }]);
    let hash = devnet.rpc.call("eth_sendTransaction", request).await;
    let hash = serde_json::from_value(hash).unwrap();
    let receipt = eventually("a receipt", async || devnet.rpc.receipt(hash).await).await;
    assert_eq!(quantity(&receipt["status"]), 1);
    assert_eq!(devnet.rpc.balance(to).await, ether(1));
}

#[tokio::test]
async fn a_named_data_directory_survives() {
    let _turn = turn().await;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("chain");
    let options = ["--data-dir", directory.to_str().unwrap(), "--block-time", "200ms"];

    let mut devnet = Devnet::start(&options).await;
    devnet.process.line("block      3").await;
    let (height, hash) = (devnet.rpc.height().await, devnet.rpc.hash(2).await);
    interrupt(&mut devnet.process).await;

    let mut devnet = Devnet::start(&options).await;
    assert!(devnet.rpc.height().await >= height);
    assert_eq!(devnet.rpc.hash(2).await, hash);
    eventually("new blocks", async || (devnet.rpc.height().await > height + 2).then_some(())).await;
    interrupt(&mut devnet.process).await;

    // It holds a chain of four validators, and says so instead of starting another.
    let mut other = Devnet::launch(&[&options[..], &["--validators", "2"]].concat());
    let (status, _) = other.process.ended().await;
    assert_ne!(status.code(), Some(0));
    assert!(other.process.log().contains("--validators 4"), "{}", other.process.log());
}

#[tokio::test]
async fn any_number_of_validators_from_one_to_sixteen() {
    let _turn = turn().await;
    for validators in ["1", "2", "16"] {
        let mut devnet = Devnet::start(&["--validators", validators, "--block-time", "500ms"]).await;
        devnet.process.line("block      3").await;
        interrupt(&mut devnet.process).await;
    }
    for validators in ["0", "17", "four"] {
        let mut devnet = Devnet::launch(&["--validators", validators]);
        let (status, _) = devnet.process.ended().await;
        assert_ne!(status.code(), Some(0));
        let log = devnet.process.log();
        assert!(log.contains("--validators") && log.contains(validators), "{log}");
    }
}

#[tokio::test]
async fn a_busy_port_is_named_with_its_flag() {
    let _turn = turn().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let finished = heddle_e2e::run(&["devnet", "--http-port", &port]).await;
    finished.fails_naming(&[&port, "--http-port"]);
}
