//! Nodes behind address translation, in network namespaces: a relay brings them peers, and hole punching frees these of
//! the relay where the translation lets it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use heddle_e2e::netns::Namespace;
use heddle_e2e::{Network, eventually, heddle, path_text, turn};
use serde_json::Value;

/// The validator, which relays; it has a public address.
const RELAY: usize = 0;
const RELAY_IP: &str = "11.0.1.2";

/// How two peers are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connection {
    is_relayed: bool,
    inbound: bool,
}

/// A host and the router that hides it.
struct Home {
    host: Namespace,
    _router: Namespace,
}

impl Home {
    /// A home at network 11.0.`number`.0 of the internet. Only what its host began may come in, from the very address and
    /// port that it began with.
    fn create(internet: &Namespace, number: u8, masquerade: &str) -> Self {
        let (host, router) = (Namespace::create(), Namespace::create());
        let (interface, gateway) = (format!("home{number}"), format!("11.0.{number}.1"));
        let (inside, outside) = (format!("{gateway}/24"), format!("11.0.{number}.2/24"));
        router.link(("wan", &outside), internet, (&interface, &inside));
        router.route_all_by(&gateway);
        router.become_router();
        router.nft(&format!(
            "table ip home {{
                chain hide {{
                    type nat hook postrouting priority 100
                    oifname \"wan\" {masquerade}
                }}
                chain guard {{
                    type filter hook forward priority 0; policy accept
                    iifname \"wan\" ct state new,invalid drop
                }}
                chain doorstep {{
                    type filter hook input priority 0; policy accept
                    iifname \"wan\" ct state new,invalid drop
                }}
            }}"
        ));
        let (lan, own) = (format!("192.168.{number}.1"), format!("192.168.{number}.2/24"));
        host.link(("eth0", &own), &router, ("lan", &format!("{lan}/24")));
        host.route_all_by(&lan);
        Self { host, _router: router }
    }
}

/// A chain whose validator relays, and two followers in homes of their own, of which only the first asks to be relayed.
struct Homes {
    network: Network,
    hidden: usize,
    visitor: usize,
    homes: [Home; 2],
    relay: Namespace,
    _internet: Namespace,
}

impl Homes {
    async fn create(masquerade: &str) -> Self {
        let (internet, relay) = (Namespace::create(), Namespace::create());
        internet.become_router();
        internet.link(("relay", "11.0.1.1/24"), &relay, ("eth0", "11.0.1.2/24"));
        relay.route_all_by("11.0.1.1");
        let homes = [2, 3].map(|number| Home::create(&internet, number, masquerade));
        let mut network = Network::create_with(1, &["--block-time", "500ms"]).await;
        let (hidden, visitor) = (network.add_follower(), network.add_follower());
        for node in [RELAY, hidden, visitor] {
            network.configure(node, |toml| _ = toml.insert("addr".into(), "0.0.0.0".into()));
        }
        network.configure(RELAY, |toml| {
            toml.insert("nat".into(), format!("extip:{RELAY_IP}").into());
            toml.insert("relay.server".into(), true.into());
        });
        Self { network, hidden, visitor, homes, relay, _internet: internet }
    }

    fn place(&self, node: usize) -> &Namespace {
        match node {
            RELAY => &self.relay,
            node if node == self.hidden => &self.homes[0].host,
            _ => &self.homes[1].host,
        }
    }

    /// Starts a node in its place and waits until it answers there.
    async fn start(&mut self, node: usize) {
        let wrapper = self.place(node).wrapper().map(str::to_owned);
        self.network.launch_under(node, &wrapper.each_ref().map(String::as_str));
        eventually(&format!("an answer of node {node}"), async || self.list(node)).await;
    }

    /// What `heddle peers list --all` says beside a node; `None` while the node does not run.
    fn list(&self, node: usize) -> Option<Value> {
        let datadir = self.network.datadir(node);
        let arguments = ["peers", "list", "--all", "--datadir", path_text(&datadir)];
        let shown = self.place(node).output(path_text(&heddle()), &arguments).ok()?;
        serde_json::from_str(shown.lines().last()?).ok()
    }

    fn id(&self, node: usize) -> String {
        self.list(node).unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// Starts all; the hidden node asks to be relayed, or not. Returns the visitor's id.
    async fn start_all(&mut self, relayed: bool) -> String {
        self.start(RELAY).await;
        let listed = self.list(RELAY).unwrap();
        let mut addresses = listed["listenAddresses"].as_array().unwrap().iter().filter_map(Value::as_str);
        let own = |address: &&str| address.contains(RELAY_IP) && address.contains("/tcp/");
        let relay = addresses.find(own).expect("the relay's public address").to_owned();
        if relayed {
            self.network
                .configure(self.hidden, |toml| _ = toml.insert("relay.through".into(), vec![relay.clone()].into()));
        }
        for node in [self.hidden, self.visitor] {
            self.network.configure(node, |toml| _ = toml.insert("bootnodes".into(), vec![relay.clone()].into()));
            self.start(node).await;
        }
        self.id(self.visitor)
    }

    /// How the hidden node is connected with the visitor, if it is.
    fn connection(&self, visitor: &str) -> Option<Connection> {
        let listed = self.list(self.hidden)?;
        let record = listed["peers"].as_array()?.iter().find(|record| record["id"] == visitor)?;
        let is_relayed = record["addresses"][0].as_str()?.contains("/p2p-circuit");
        (record["state"] == "ready").then_some(Connection { is_relayed, inbound: record["inbound"] == true })
    }

    /// Checks how the two are connected all the time while the chain makes so many blocks.
    async fn stays(&self, visitor: &str, connection: Option<Connection>, blocks: u64) {
        let port = self.network.configuration(RELAY)["http"]["port"].as_integer().unwrap();
        let _door = self.relay.forward(port.try_into().unwrap());
        let end = self.network.rpc(RELAY).height().await + blocks;
        eventually("the end of the blocks", async || {
            assert_eq!(self.connection(visitor), connection);
            (self.network.rpc(RELAY).height().await >= end).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn two_hidden_nodes_do_not_meet_without_a_relay() {
    if !Namespace::are_possible().await {
        return;
    }
    let _turn = turn().await;
    let mut homes = Homes::create("masquerade fully-random").await;
    let visitor = homes.start_all(false).await;
    homes.stays(&visitor, None, 20).await;
}

#[tokio::test]
async fn a_hidden_node_gets_a_peer_through_the_relay_and_then_directly_where_ports_are_kept() {
    if !Namespace::are_possible().await {
        return;
    }
    let _turn = turn().await;
    let mut homes = Homes::create("masquerade").await;
    let visitor = homes.start_all(true).await;
    eventually("a direct connection", async || homes.connection(&visitor).filter(|found| !found.is_relayed)).await;
}

#[tokio::test]
async fn a_hidden_node_keeps_its_peer_through_the_relay_where_every_connection_has_another_port() {
    if !Namespace::are_possible().await {
        return;
    }
    let _turn = turn().await;
    let mut homes = Homes::create("masquerade fully-random").await;
    let visitor = homes.start_all(true).await;
    eventually("the visitor as a peer", async || homes.connection(&visitor)).await;
    // Long enough for every attempt at a direct connection.
    homes.stays(&visitor, Some(Connection { is_relayed: true, inbound: true }), 30).await;
}
