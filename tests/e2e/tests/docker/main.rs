//! The image that operators run, and a network of it on a Docker bridge.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod fleet;

use fleet::{Fleet, RPC_NODE};
use heddle_e2e::docker::{Docker, HARDENED};
use heddle_e2e::{account, ether, eventually, has_program, transfer, turn};
use serde_json::{Value, json};
use std::process::Command;

#[tokio::test]
async fn the_image_says_what_it_is() {
    let _turn = turn().await;
    let Some(docker) = Docker::start().await else { return };
    let text = docker.run(&["image", "inspect", docker.image()]).await;
    let image = serde_json::from_str::<Value>(&text).unwrap()[0]["Config"].take();
    assert_eq!(image["User"], "10001:10001");
    assert_eq!(image["Entrypoint"], json!(["heddle"]));
    assert_eq!(image["StopSignal"], "SIGTERM");
    assert_eq!(image["Volumes"], json!({ "/data": {} }));
    let ports = Vec::from_iter(image["ExposedPorts"].as_object().unwrap().keys());
    assert_eq!(ports, ["30303/tcp", "30303/udp", "8545/tcp", "9001/tcp"]);
    assert_eq!(image["Healthcheck"]["Test"], json!(["CMD", "heddle", "health"]));
    for label in ["title", "description", "licenses", "version", "revision", "created", "source"] {
        assert!(image["Labels"][format!("org.opencontainers.image.{label}")].is_string(), "{label}: {image}");
    }
    let run = [&["run", "--rm"], &HARDENED[..], &[docker.image(), "--version"]].concat();
    assert!(docker.run(&run).await.starts_with("heddle "));
}

#[tokio::test]
async fn the_compose_file_is_valid_also_for_docker_compose_1_29() {
    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docker/compose.yaml");
    if !has_program("docker-compose").await {
        return;
    }
    let checked = Command::new("docker-compose").args(["--file", FILE, "config", "--quiet"]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

/// The validators that are hurt, one after the other: three of four are a quorum.
const KILLED: usize = 0;
const CUT_OFF: usize = 1;
const SHORT_OF_MEMORY: usize = 2;
const SHORT_OF_DISK: usize = 3;
/// The volume of the last one, and the container that keeps it and takes its room.
const DISK: &str = "heddle-e2e-disk";
const MOUNT: &str = "heddle-e2e-disk:/data";
/// Enough for a validator, and too little for any.
const MEMORY: [&str; 2] = ["512m", "24m"];

#[tokio::test]
async fn a_network_of_containers_outlives_what_befalls_them() {
    let _turn = turn().await;
    let Some(docker) = Docker::start().await else { return };
    docker.create_small_volume(DISK, 128).await;
    // A volume in memory lasts while a container has it: this one does nothing else.
    docker.start_container(DISK, &["--volume", MOUNT, "--entrypoint", "sleep"], &["infinity"]).await;
    let fleet = Fleet::start(&docker, |node| match node {
        SHORT_OF_MEMORY => vec!["--memory", MEMORY[0], "--memory-swap", MEMORY[0]],
        SHORT_OF_DISK => vec!["--volume", MOUNT],
        _ => Vec::new(),
    })
    .await;

    transfers(&fleet, 0).await;
    for node in [KILLED, RPC_NODE] {
        fleet.node(node).healthy().await;
    }
    kill(&fleet).await;
    transfers(&fleet, 1).await;
    cut_off(&fleet).await;
    transfers(&fleet, 2).await;
    take_memory(&docker, &fleet).await;
    transfers(&fleet, 3).await;
    fill_disk(&docker, &fleet).await;
    transfers(&fleet, 4).await;

    for node in 0..=RPC_NODE {
        fleet.follows(node).await;
    }
    for node in 0..=RPC_NODE {
        assert_eq!(fleet.node(node).stop().await, 0, "exit status after SIGTERM of node {node}");
        let log = fleet.node(node).log();
        assert!(!log.contains("conflicting messages"), "node {node} saw an equivocation:\n{log}");
        assert!(!log.contains("panicked"), "node {node} panicked:\n{log}");
    }
}

/// A transaction of each of some accounts by the published port, mined before it returns.
async fn transfers(fleet: &Fleet, nonce: u64) {
    let rpc = fleet.node(RPC_NODE).rpc().await;
    for sender in 0..5 {
        let signed = transfer(&account(sender), nonce, account(9).address(), ether(1));
        rpc.call("eth_sendRawTransaction", json!([signed.raw])).await;
        let receipt = eventually("a receipt", async || rpc.receipt(signed.hash).await).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
    }
}

async fn kill(fleet: &Fleet) {
    fleet.node(KILLED).kill().await;
    fleet.goes_on().await;
    fleet.node(KILLED).start().await;
    fleet.follows(KILLED).await;
}

async fn cut_off(fleet: &Fleet) {
    fleet.disconnect(CUT_OFF).await;
    fleet.goes_on().await;
    let state = fleet.node(CUT_OFF).inspect().await["State"].take();
    assert_eq!(state["Status"], "running", "a validator that nobody answers waits: {state}");
    fleet.connect(CUT_OFF).await;
    fleet.follows(CUT_OFF).await;
}

/// Limits its memory below what it needs: the kernel ends it.
async fn take_memory(docker: &Docker, fleet: &Fleet) {
    let validator = fleet.node(SHORT_OF_MEMORY);
    let limit = async |memory| {
        docker.run(&["update", "--memory", memory, "--memory-swap", memory, validator.name()]).await;
    };
    let [enough, too_little] = MEMORY;
    assert_eq!(validator.stop().await, 0);
    limit(too_little).await;
    validator.start().await;
    assert_eq!(validator.ended().await, 137, "killed by the kernel");
    assert_eq!(validator.inspect().await["State"]["OOMKilled"], true);
    fleet.goes_on().await;
    limit(enough).await;
    validator.start().await;
    fleet.follows(SHORT_OF_MEMORY).await;
}

/// Takes all room of its disk: it stops by itself.
async fn fill_disk(docker: &Docker, fleet: &Fleet) {
    let validator = fleet.node(SHORT_OF_DISK);
    let dd = ["dd", "if=/dev/zero", "of=/data/filler", "bs=64k", "oflag=append", "conv=notrunc"];
    let fill = [&["exec", DISK], &dd[..]].concat();
    eventually("the end of the validator without room", async || {
        // Again and again: the database may give room back while it closes files.
        let full = docker.try_run(&fill).await.unwrap_err();
        assert!(full.contains("No space left"), "{full}");
        (validator.inspect().await["State"]["Status"] == "exited").then_some(())
    })
    .await;
    assert_eq!(validator.ended().await, 1, "{}", validator.log());
    let log = validator.log();
    let cause = log.lines().last().unwrap_or_default();
    assert!(cause.contains("No space left"), "the cause: {cause}");
    fleet.goes_on().await;
    docker.run(&["exec", DISK, "rm", "/data/filler"]).await;
    validator.start().await;
    fleet.follows(SHORT_OF_DISK).await;
}
