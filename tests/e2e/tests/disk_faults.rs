//! A validator's disk fails: it stops signing, says which file, and goes on by itself once the disk is well.

use heddle_e2e::{Network, SmallDisk, eventually, has_program, turn};
use std::time::Instant;

/// The validator that is hurt; the three others are a quorum.
const HURT: usize = 3;
/// What is injected into: every call that makes something durable.
const SYNCS: &str = "fsync,fdatasync";

/// The command line that runs a node with this fault in its syncs. The tracer is a grandchild, so that the node is the
/// process that the test sees.
fn strace(fault: &str) -> Vec<String> {
    let inject = format!("inject={SYNCS}:{fault}");
    let trace = format!("trace={SYNCS}");
    ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject].map(str::to_owned).to_vec()
}

fn launch_with(network: &mut Network, fault: &str) {
    let wrapper = strace(fault);
    network.launch_under(HURT, &Vec::from_iter(wrapper.iter().map(String::as_str)));
}

async fn fast_network() -> Network {
    let mut network = Network::create_with(4, &["--block-time", "100ms"]).await;
    network.start_all().await;
    network.wait_heights(0..4, 2).await;
    network
}

/// All agree, the hurt one signs again, and nobody saw it contradict itself.
async fn check_recovered(network: &mut Network) {
    let height = network.wait_blocks(0, 3).await;
    network.wait_heights(0..4, height).await;
    network.check_agreement(0..4, height).await;
    for node in 0..4 {
        let log = network.process(node).log();
        assert!(!log.contains("conflicting messages"), "node {node} saw an equivocation:\n{log}");
        assert!(!log.contains("panicked"), "node {node} panicked:\n{log}");
    }
}

#[tokio::test]
async fn killed_at_every_sync_it_never_contradicts_itself() {
    /// Syncs of a start and of a few heights after it.
    const SYNCS_KILLED: u32 = 40;
    let _turn = turn().await;
    if !has_program("strace").await {
        return;
    }
    let mut network = fast_network().await;
    network.kill9(HURT).await;
    for sync in 1..=SYNCS_KILLED {
        launch_with(&mut network, &format!("signal=KILL:when={sync}"));
        let (status, _) = network.process(HURT).ended().await;
        assert_eq!(status.code(), None, "ended by itself before sync {sync}: {status}");
        network.forget(HURT);
    }
    network.wait_blocks(0, 1).await;
    network.start(HURT).await;
    check_recovered(&mut network).await;
}

#[tokio::test]
async fn a_disk_that_reports_errors_stops_it_at_once() {
    let _turn = turn().await;
    if !has_program("strace").await {
        return;
    }
    let mut network = fast_network().await;
    network.kill9(HURT).await;
    // After the syncs of its start and some more.
    launch_with(&mut network, "error=EIO:when=60+");
    let (status, _) = network.process(HURT).ended().await;
    assert_eq!(status.code(), Some(1), "{status}:\n{}", network.process(HURT).log());
    let log = network.process(HURT).log();
    let cause = log.lines().last().unwrap_or_default();
    assert!(cause.contains("/node3/") && cause.contains("os error 5"), "the file and the cause: {cause}");
    network.forget(HURT);

    network.wait_blocks(0, 3).await;
    network.start(HURT).await;
    check_recovered(&mut network).await;
}

#[tokio::test]
async fn a_full_disk_stops_it_and_room_lets_it_go_on() {
    let _turn = turn().await;
    let mut network = Network::create_with(4, &["--block-time", "100ms"]).await;
    let Some(disk) = SmallDisk::over(network.node_dir(HURT), 96) else { return };
    network.start_all().await;
    network.wait_heights(0..4, 2).await;

    disk.fill();
    let full = Instant::now();
    eventually("the end of the validator without room", async || {
        // RocksDB may give room back while it closes files.
        disk.fill();
        network.process(HURT).has_ended().then_some(())
    })
    .await;
    println!("ended {:?} after its disk was full", full.elapsed());
    let (status, _) = network.process(HURT).ended().await;
    assert_eq!(status.code(), Some(1), "{status}");
    network.forget(HURT);
    network.wait_blocks(0, 3).await;

    disk.free();
    network.start(HURT).await;
    check_recovered(&mut network).await;
    for node in 0..4 {
        network.kill9(node).await;
    }
}
