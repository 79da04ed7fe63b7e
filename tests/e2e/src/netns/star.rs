//! Machines around one router.

use super::Namespace;
use super::shaper::{self, Shaper};
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

/// The routing table of packets that are to be delayed.
const DELAY_TABLE: &str = "100";

/// Packets that the router loses.
#[derive(Clone, Debug)]
pub struct Loss {
    /// The leaves that sent them.
    pub from: Vec<usize>,
    /// The leaves that they are for.
    pub to: Vec<usize>,
    /// How many of a hundred, by chance [0 to 100].
    pub percent: u8,
}

impl Loss {
    /// Everything from these leaves to those, but nothing of what comes back.
    pub fn one_way(from: impl IntoIterator<Item = usize>, to: impl IntoIterator<Item = usize>) -> Self {
        Self { from: Vec::from_iter(from), to: Vec::from_iter(to), percent: 100 }
    }

    /// Everything between these leaves and those.
    pub fn cut(left: impl IntoIterator<Item = usize>, right: impl IntoIterator<Item = usize>) -> [Self; 2] {
        let way = Self::one_way(left, right);
        let back = Self { from: way.to.clone(), to: way.from.clone(), ..way };
        [way, back]
    }
}

/// A router and leaves, each in a namespace and in an IPv4 network of its own, which reach one another by the router.
#[derive(Debug)]
pub struct Star {
    leaves: Vec<Leaf>,
    // Before the router, in which it is.
    shaper: Option<Shaper>,
    router: Arc<Namespace>,
}

#[derive(Debug)]
struct Leaf {
    namespace: Namespace,
    address: Ipv4Addr,
}

impl Star {
    /// Makes so many leaves, at most 250.
    ///
    /// # Panics
    /// When it cannot: see [`Namespace::are_possible`].
    pub fn create(leaves: u8) -> Self {
        let router = Namespace::create();
        router.become_router();
        let leaf = |number| {
            let (namespace, address) = (Namespace::create(), address(number, 2));
            let (own, gateway) = (format!("{address}/24"), address_of_router(number));
            namespace.link(("eth0", &own), &router, (&interface(number.into()), &format!("{gateway}/24")));
            namespace.route_all_by(&gateway.to_string());
            Leaf { namespace, address }
        };
        Self { leaves: Vec::from_iter((0..leaves).map(leaf)), shaper: None, router: router.into() }
    }

    /// The namespace of a leaf.
    pub fn leaf(&self, leaf: usize) -> &Namespace {
        &self.leaves[leaf].namespace
    }

    /// Where the others reach a leaf.
    pub fn address(&self, leaf: usize) -> Ipv4Addr {
        self.leaves[leaf].address
    }

    /// Gives a leaf another address, as when a machine's lease ends or a pod moves; the old one answers no more.
    pub fn change_address(&mut self, leaf: usize) {
        let Leaf { namespace, address } = &mut self.leaves[leaf];
        let [.., number, host] = address.octets();
        *address = self::address(number, host + 1);
        namespace.ip(&["address", "flush", "dev", "eth0"]);
        namespace.ip(&["address", "add", &format!("{address}/24"), "dev", "eth0"]);
        namespace.route_all_by(&address_of_router(number).to_string());
    }

    /// From now on the router loses these packets and no others.
    pub fn lose(&self, losses: &[Loss]) {
        // One file: the old rules are gone when the new ones are there.
        let mut rules = "table ip loss\ndelete table ip loss\n".to_owned();
        rules += "table ip loss { chain forward { type filter hook forward priority 0;\n";
        for Loss { from, to, percent } in losses {
            let (from, to) = (interfaces(from), interfaces(to));
            let chance = if *percent < 100 { format!("numgen random mod 100 < {percent} ") } else { String::new() };
            writeln!(rules, "iifname {{ {from} }} oifname {{ {to} }} {chance}drop").unwrap();
        }
        self.router.nft(&(rules + "}\n}\n"));
    }

    /// From now on every packet between leaves is held for so long, which adds twice that to a round trip; `None` takes
    /// the delay away, with the packets that are held. A router that delays loses nothing by [`Self::lose`].
    pub fn delay(&mut self, delay: Option<Duration>) {
        if self.shaper.take().is_some() {
            for leaf in 0..self.leaves.len() {
                self.router.ip(&["rule", "del", "iif", &interface(leaf), "lookup", DELAY_TABLE]);
            }
        }
        if let Some(delay) = delay {
            self.shaper = Some(Shaper::new(self.router.clone(), delay));
            self.router.ip(&["route", "add", "default", "dev", shaper::INTERFACE, "table", DELAY_TABLE]);
            for leaf in 0..self.leaves.len() {
                self.router.ip(&["rule", "add", "iif", &interface(leaf), "lookup", DELAY_TABLE]);
            }
        }
    }
}

fn address(leaf: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, leaf, host)
}

fn address_of_router(leaf: u8) -> Ipv4Addr {
    address(leaf, 1)
}

/// The router's interface to a leaf.
fn interface(leaf: usize) -> String {
    format!("leaf{leaf}")
}

fn interfaces(leaves: &[usize]) -> String {
    Vec::from_iter(leaves.iter().map(|leaf| interface(*leaf))).join(", ")
}
