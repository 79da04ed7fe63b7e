//! Carries out what an operator asks, and keeps the file of peers.

use super::NetworkService;
use crate::{
    PeerCommandError,
    handle::OperatorCommand,
    store::{Moment, PeerStore},
};
use libp2p::{Multiaddr, PeerId};
use std::time::{Duration, Instant};

/// How often the file of peers is written.
const SAVE_EVERY: Duration = Duration::from_secs(60);
/// How soon it is written when a peer has come.
const SAVE_SOON: Duration = Duration::from_secs(5);

/// The file of peers and when it is due.
pub(super) struct Saving {
    store: PeerStore,
    due: Instant,
}

impl Saving {
    pub(super) fn new(store: PeerStore, now: Instant) -> Self {
        Self { store, due: now + SAVE_EVERY }
    }

    /// A peer has come: a node that is killed should know it when it starts again.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.due = self.due.min(now + SAVE_SOON);
    }
}

impl NetworkService {
    pub(super) fn on_operator(&mut self, command: OperatorCommand) {
        // Whoever has stopped waiting gets nothing, thus the ignored results of `send`.
        match command {
            OperatorCommand::Add { peer, address, reply } => {
                let _ = reply.send(self.add_peer(peer, address));
            }
            OperatorCommand::Remove { peer, reply } => {
                let _ = reply.send(self.remove_peer(peer));
            }
            OperatorCommand::Ban { peer, time, reply } => {
                tracing::info!(%peer, ?time, "peer banned by the operator");
                self.book.bans.set(peer, time, Instant::now());
                self.apply_bans();
                self.save();
                let _ = reply.send(());
            }
            OperatorCommand::Unban { peer, reply } => {
                let now = Instant::now();
                let was_banned = self.book.bans.pardon(peer, now);
                self.book.dial_anew(peer, now);
                self.apply_bans();
                self.save();
                let _ = reply.send(was_banned);
            }
            OperatorCommand::List { reply } => {
                let _ = reply.send(self.book.records(Instant::now()));
            }
        }
    }

    fn add_peer(&mut self, peer: PeerId, address: Multiaddr) -> Result<(), PeerCommandError> {
        let admission = self.swarm.behaviour_mut().limits.admission();
        let was_persistent = admission.is_persistent(peer);
        admission.set_persistent(peer, true);
        if let Err(refusal) = admission.check_dialable(peer) {
            admission.set_persistent(peer, was_persistent);
            return Err(PeerCommandError::Refused { peer, reason: refusal.to_string() });
        }
        self.book.add_persistent(peer, address, Instant::now());
        Ok(())
    }

    fn remove_peer(&mut self, peer: PeerId) -> bool {
        self.swarm.behaviour_mut().limits.admission().set_persistent(peer, false);
        if let Some(kademlia) = self.swarm.behaviour_mut().kademlia.as_mut() {
            kademlia.remove_peer(&peer);
        }
        let was_known = self.book.remove(peer);
        self.disconnect(peer);
        self.save();
        was_known
    }

    /// Writes the file of peers in the background when it is due.
    pub(super) fn save_when_due(&mut self, now: Instant) {
        if let Some(saving) = self.saving.as_mut().filter(|saving| saving.due <= now) {
            saving.due = now + SAVE_EVERY;
            saving.store.save_in_background(&self.book, Moment::now());
        }
    }

    /// Writes the file of peers before it returns.
    pub(super) fn save(&self) {
        if let Some(saving) = &self.saving {
            saving.store.save(&self.book, Moment::now());
        }
    }
}

/// However the loop ends: what it knew is on disk.
impl Drop for NetworkService {
    fn drop(&mut self) {
        self.save();
    }
}
