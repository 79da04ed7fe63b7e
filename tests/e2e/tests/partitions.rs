//! Links break in every way, and heal without anyone's help.
//!
//! One network goes through one fault after the other. `HEDDLE_FAULT_SECONDS` says how long each lasts (20 if it is not
//! set). After each, every node has to be in the mesh again and to follow the head; how long that took is printed.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::netns::{Forward, Loss, Namespace, Star};
use heddle_e2e::{DEADLINE, Network, turn, within};
use std::ops::Range;
use std::time::Duration;
use tokio::time::Instant;
use toml::Value;

const VALIDATORS: usize = 7;
const NODES: usize = VALIDATORS + 2;
/// The node that all others are told of. They find each other by it.
const BOOTNODE: usize = 0;
/// Nodes 7 and 8 are full nodes: each half has one, and neither half can decide without the other.
const LEFT: [usize; 4] = [0, 1, 2, 7];
const RIGHT: [usize; 5] = [3, 4, 5, 6, 8];
/// Blocks that every node commits after a fault before it counts as one that follows.
const BLOCKS_AFTER: u64 = 3;

#[tokio::test]
async fn a_network_heals_after_every_fault_and_never_forks() {
    let _turn = turn().await;
    if !Namespace::are_possible().await {
        return;
    }
    let mut world = World::start().await;
    world.hurt("halves cut", |star| star.lose(&Loss::cut(LEFT, RIGHT))).await;
    world.hurt("one-way loss", |star| star.lose(&[Loss::one_way(LEFT, RIGHT)])).await;
    world
        .hurt("20 % random loss", |star| star.lose(&[Loss { percent: 20, ..Loss::one_way(0..NODES, 0..NODES) }]))
        .await;
    world.hurt("200 ms added delay", |star| star.delay(Some(Duration::from_millis(200)))).await;
    world.change_address("a validator's new address", 1).await;
    world.change_address("a full node's new address", 7).await;
    world.lose_bootnode().await;
    world
        .hurt("a validator and a full node cut, no bootnode", |star| star.lose(&Loss::cut([1, 7], [2, 3, 4, 5, 6, 8])))
        .await;
    world.check_one_chain().await;
}

/// The network, on machines of its own.
struct World {
    // The nodes before the machines that they run on.
    network: Network,
    doors: Vec<Forward>,
    star: Star,
    /// The nodes that run.
    alive: Range<usize>,
    fault_time: Duration,
}

impl World {
    /// Starts every node and waits until all are connected to all.
    async fn start() -> Self {
        let star = Star::create(NODES.try_into().unwrap());
        let mut network = Network::create_with(VALIDATORS, &["--block-time", "500ms"]).await;
        (VALIDATORS..NODES).for_each(|_| _ = network.add_follower());
        place_nodes(&mut network, &star);
        let seconds = std::env::var("HEDDLE_FAULT_SECONDS").map_or(20, |text| text.parse().unwrap());
        let mut world =
            Self { network, doors: Vec::new(), star, alive: 0..NODES, fault_time: Duration::from_secs(seconds) };
        for node in 0..NODES {
            let machine = world.star.leaf(node);
            let configuration = world.network.configuration(node);
            let http = configuration["http"]["port"].as_integer().unwrap().try_into().unwrap();
            world.doors.push(machine.forward(http));
            world.network.launch_under(node, &machine.wrapper());
        }
        let took = world.wait_healthy("the start").await;
        println!("start: every node has {} peers and follows after {:.1} s", NODES - 1, took.as_secs_f64());
        world
    }

    /// Hurts the links for a while, and waits until everything is as before.
    async fn hurt(&mut self, fault: &str, begin: impl FnOnce(&mut Star)) {
        let before = self.top().await;
        begin(&mut self.star);
        tokio::time::sleep(self.fault_time).await;
        self.star.lose(&[]);
        self.star.delay(None);
        let during = self.top().await - before;
        self.must_heal(fault, &format!("; {during} blocks during {:?}", self.fault_time)).await;
    }

    /// Moves a running node to another address.
    async fn change_address(&mut self, fault: &str, node: usize) {
        self.star.change_address(node);
        self.must_heal(fault, "").await;
    }

    /// Ends the bootnode for good.
    async fn lose_bootnode(&mut self) {
        let height = self.top().await;
        self.network.check_agreement([BOOTNODE, BOOTNODE + 1], height).await;
        self.network.kill9(BOOTNODE).await;
        self.alive = BOOTNODE + 1..NODES;
        self.must_heal("bootnode gone", "").await;
    }

    async fn must_heal(&mut self, fault: &str, remark: &str) {
        let took = self.wait_healthy(fault).await;
        println!("{fault}: healed after {:.1} s{remark}", took.as_secs_f64());
    }

    /// Waits until every node is connected to all others and has committed blocks that nobody has now.
    async fn wait_healthy(&self, fault: &str) -> Duration {
        let height = self.top().await + BLOCKS_AFTER;
        let start = Instant::now();
        let mut ill = Vec::new();
        let healthy = within(DEADLINE, async || {
            ill = self.ill(height).await;
            ill.is_empty().then_some(())
        });
        assert!(healthy.await.is_some(), "{fault}: after {DEADLINE:?} not every node is healthy: {ill:#?}");
        start.elapsed()
    }

    /// What is wrong with nodes that have not every peer, or are below `height`.
    async fn ill(&self, height: u64) -> Vec<String> {
        let others = self.alive.len() as u64 - 1;
        let mut ill = Vec::new();
        for node in self.alive.clone() {
            let rpc = self.network.rpc(node);
            match rpc.try_height().await {
                None => ill.push(format!("node {node} does not answer")),
                Some(now) => {
                    let peers = rpc.peer_count().await;
                    if peers < others || now < height {
                        ill.push(format!("node {node} has {peers} of {others} peers and height {now} of {height}"));
                    }
                }
            }
        }
        ill
    }

    /// The height of the node that is furthest.
    async fn top(&self) -> u64 {
        let mut top = 0;
        for node in self.alive.clone() {
            top = top.max(self.network.rpc(node).try_height().await.unwrap_or_default());
        }
        top
    }

    /// Checks that all nodes have one block at every height.
    async fn check_one_chain(&self) {
        let height = self.top().await;
        self.network.check_agreement(self.alive.clone(), height).await;
        println!("one chain: {height} blocks are the same at all {} nodes", self.alive.len());
    }
}

/// Makes every node listen on its machine's address and know only the bootnode.
fn place_nodes(network: &mut Network, star: &Star) {
    let told = network.configuration(BOOTNODE + 1)["persistent-peers"][BOOTNODE].as_str().unwrap().to_owned();
    let bootnode = told.replace("/127.0.0.1/", &format!("/{}/", star.address(BOOTNODE)));
    for node in 0..NODES {
        let bootnodes = if node == BOOTNODE { Vec::new() } else { vec![Value::from(bootnode.clone())] };
        network.configure(node, |toml| {
            toml.insert("addr".into(), "0.0.0.0".into());
            toml.remove("persistent-peers");
            toml.insert("bootnodes".into(), bootnodes.into());
        });
    }
}
