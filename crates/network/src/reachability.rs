//! Finding out by AutoNAT whether addresses are reached, and helping others to find out.
//!
//! What peers say of our address (identify's observed addresses) are candidates only: AutoNAT asks a peer to dial them,
//! and those that it says it reached are confirmed. What is proven is that this peer connected to us somewhere with the
//! number it was given; that it did so at the address in question is its word. A lie makes us announce an address where
//! nobody is found, which costs others a dial. With a confirmed address Kademlia serves others and is told to them.
//!
//! An operator who named the addresses knows better: then nobody is asked, and this node only helps others.

use crate::{
    candidates::{CandidateFilter, Filtered},
    hook::{Action, Hook, Hooked},
    probes::Probes,
};
use libp2p::{
    autonat,
    swarm::{NetworkBehaviour, ToSwarm, behaviour::toggle::Toggle},
};

/// Most candidates, ever: each is remembered, so that no peer can invent them without end.
const CANDIDATES_MAX: usize = 32;

/// Both sides of AutoNAT.
#[derive(NetworkBehaviour)]
pub(crate) struct AutoNat {
    client: Toggle<Filtered<autonat::v2::client::Behaviour>>,
    server: autonat::v2::server::Behaviour,
}

/// AutoNAT that tells which connections belong to it, so that they are let in beside a peer's own.
pub(crate) type Reachability = Hooked<AutoNat, Probes>;

/// AutoNAT that shares what it probes by `probes`; asks others only if `asks`.
pub(crate) fn behaviour(probes: Probes, asks: bool) -> Reachability {
    let client = || Filtered::new(autonat::v2::client::Behaviour::default(), CandidateFilter::at_most(CANDIDATES_MAX));
    let autonat = AutoNat { client: asks.then(client).into(), server: autonat::v2::server::Behaviour::default() };
    Hooked::new(autonat, probes)
}

impl Hook<AutoNat> for Probes {
    fn on_action(&mut self, action: &Action<AutoNat>) {
        match action {
            // The client's only message to a connection: dial me back.
            ToSwarm::NotifyHandler { peer_id, .. } => self.asked(*peer_id),
            // The server's only dial.
            ToSwarm::Dial { opts } => {
                if let Some(peer) = opts.get_peer_id() {
                    self.dialling_back(peer, opts.connection_id());
                }
            }
            _ => {}
        }
    }
}
