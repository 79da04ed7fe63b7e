//! What an operator asks of the network while it runs.

use super::{Command, NetworkHandle};
use crate::{PeerCommandError, PeerRecord, config::split_peer_id};
use libp2p::{Multiaddr, PeerId};
use std::time::Duration;
use tokio::sync::oneshot;

/// A command with the way back for its answer.
#[derive(Debug)]
pub(crate) enum OperatorCommand {
    Add { peer: PeerId, address: Multiaddr, reply: oneshot::Sender<Result<(), PeerCommandError>> },
    Remove { peer: PeerId, reply: oneshot::Sender<bool> },
    Ban { peer: PeerId, time: Duration, reply: oneshot::Sender<()> },
    Unban { peer: PeerId, reply: oneshot::Sender<bool> },
    List { reply: oneshot::Sender<Vec<PeerRecord>> },
}

impl NetworkHandle {
    /// Makes a peer persistent: it is dialled now, redialled for ever, and exempt from limits. Until the node stops.
    ///
    /// # Errors
    /// [`PeerCommandError::NoPeerId`], [`PeerCommandError::Own`], [`PeerCommandError::Refused`] if the deny list or a
    /// ban is in the way, [`PeerCommandError::Stopped`].
    pub async fn add_peer(&self, address: Multiaddr) -> Result<(), PeerCommandError> {
        let (peer, dialable) = split_peer_id(&address).ok_or(PeerCommandError::NoPeerId(address))?;
        if peer == self.local {
            return Err(PeerCommandError::Own);
        }
        self.operate(|reply| OperatorCommand::Add { peer, address: dialable, reply }).await?
    }

    /// Disconnects a peer, dials it no more and forgets its addresses; whether it was known. It may come back by
    /// dialling us.
    ///
    /// # Errors
    /// [`PeerCommandError::Stopped`].
    pub async fn remove_peer(&self, peer: PeerId) -> Result<bool, PeerCommandError> {
        self.operate(|reply| OperatorCommand::Remove { peer, reply }).await
    }

    /// Disconnects a peer and keeps it away for `time`, over restarts if there is a peer store. In place of any ban
    /// that it has; the peer need not be known.
    ///
    /// # Errors
    /// [`PeerCommandError::Stopped`].
    pub async fn ban_peer(&self, peer: PeerId, time: Duration) -> Result<(), PeerCommandError> {
        self.operate(|reply| OperatorCommand::Ban { peer, time, reply }).await
    }

    /// Ends a peer's ban, and that of its address, and forgets what it did; whether it was banned.
    ///
    /// # Errors
    /// [`PeerCommandError::Stopped`].
    pub async fn unban_peer(&self, peer: PeerId) -> Result<bool, PeerCommandError> {
        self.operate(|reply| OperatorCommand::Unban { peer, reply }).await
    }

    /// Every peer known, connected or not, in order of identities.
    ///
    /// # Errors
    /// [`PeerCommandError::Stopped`].
    pub async fn peer_records(&self) -> Result<Vec<PeerRecord>, PeerCommandError> {
        self.operate(|reply| OperatorCommand::List { reply }).await
    }

    async fn operate<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> OperatorCommand,
    ) -> Result<T, PeerCommandError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Operator(command(reply));
        self.commands.send(command).await.map_err(|_| PeerCommandError::Stopped)?;
        answer.await.map_err(|_| PeerCommandError::Stopped)
    }
}
