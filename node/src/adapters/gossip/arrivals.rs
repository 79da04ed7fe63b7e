//! Blocks that were passed on are filled, and go to whom they are for.

use super::filling::Filling;
use crate::adapters::SyncChain;
use futures::stream::{FuturesUnordered, StreamExt};
use heddle_chain::Chain;
use heddle_consensus::ConsensusHandle;
use heddle_network::{BlockRelay, PeerId};
use heddle_primitives::{
    CertifiedBlock, CompactFinalized, CompactProposal, ConsensusMessage, FinalizedBlock, Height, ProposalMessage,
};
use heddle_sync::{Chain as _, CommitError, SyncHandle};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;
use tracing::{debug, info};

/// Arrivals in hand at once: more than the relay fills, so that what it gives up makes room before new ones wait.
const FILLING_MAX: usize = 32;
/// How long consensus may take to commit a block that is announced as final before it is committed without: a node that hears
/// the votes has them before the announcement.
const GRACE: Duration = Duration::from_millis(300);

/// A block that was judged good and passed on.
pub(super) enum Arrival {
    /// To be delivered to consensus; the last part says for how long it is in hand.
    Proposal(Box<ConsensusHandle>, PeerId, Box<CompactProposal>, Filling),
    /// To be committed, unless consensus does.
    Finalized(SyncHandle, PeerId, Box<CompactFinalized>),
}

impl Arrival {
    /// Is given up: a block that is final is sync's from now on, and a proposal is left to the rounds.
    pub(super) fn give_up(self) {
        match self {
            Self::Proposal(..) => {}
            Self::Finalized(sync, ..) => sync.wake(),
        }
    }
}

/// The blocks to fill.
pub struct BlockArrivals(pub(super) mpsc::Receiver<Arrival>);

/// Fills blocks.
#[derive(Clone)]
pub struct Arrivals {
    /// Fills them.
    pub relay: BlockRelay,
    /// Commits final ones.
    pub source: Arc<SyncChain>,
    /// The same chain.
    pub chain: Chain,
}

impl Arrivals {
    /// Runs until the network is gone, or the chain fails: ends with its reason.
    pub async fn run(self, mut arrivals: BlockArrivals) -> String {
        let mut filling = FuturesUnordered::new();
        loop {
            tokio::select! {
                arrival = arrivals.0.recv(), if filling.len() < FILLING_MAX => match arrival {
                    Some(arrival) => filling.push(self.take(arrival)),
                    None => return "the network is gone".to_owned(),
                },
                Some(ended) = filling.next() => if let Err(reason) = ended {
                    return reason;
                },
            }
        }
    }

    async fn take(&self, arrival: Arrival) -> Result<(), String> {
        match arrival {
            Arrival::Proposal(consensus, peer, message, _filling) => {
                self.deliver(&consensus, peer, *message).await;
                Ok(())
            }
            Arrival::Finalized(sync, peer, message) => {
                let height = message.certificate.height;
                let result = self.commit(peer, *message).await;
                if self.source.head() < height {
                    // Nobody announces it again.
                    sync.wake();
                }
                result
            }
        }
    }

    async fn deliver(&self, consensus: &ConsensusHandle, peer: PeerId, message: CompactProposal) {
        let (height, round) = (message.proposal.proposal.height, message.proposal.proposal.round);
        match self.relay.assemble(peer, message.block).await {
            Ok(block) => {
                let body = Arc::unwrap_or_clone(block);
                let message = ProposalMessage { proposal: message.proposal, body };
                let verdict = consensus.deliver(ConsensusMessage::Proposal(Box::new(message))).await;
                debug!(%height, %round, ?verdict, "proposal delivered");
            }
            Err(error) => info!(%height, %round, %error, "proposal without its block"),
        }
    }

    async fn commit(&self, peer: PeerId, message: CompactFinalized) -> Result<(), String> {
        let CompactFinalized { block, certificate } = message;
        let height = certificate.height;
        if self.committed(height, Duration::ZERO).await {
            return Ok(());
        }
        let (filled, committed) = tokio::join!(self.relay.assemble(peer, block), self.committed(height, GRACE));
        if committed || self.source.head() >= height {
            return Ok(());
        }
        let block = match filled {
            Ok(block) => Arc::unwrap_or_clone(block),
            Err(error) => {
                debug!(%height, %error, "final block not filled");
                return Ok(());
            }
        };
        self.import(FinalizedBlock { proposed: block, certificate }).await
    }

    /// Whether a height is committed within this time.
    async fn committed(&self, height: Height, within: Duration) -> bool {
        let mut commits = self.chain.subscribe();
        let reached = async {
            while self.source.head() < height {
                if let Err(RecvError::Closed) = commits.recv().await {
                    return;
                }
            }
        };
        tokio::time::timeout(within, reached).await.is_ok()
    }

    /// Commits through the door that sync uses.
    async fn import(&self, block: FinalizedBlock) -> Result<(), String> {
        let (source, chain, height) = (self.source.clone(), self.chain.clone(), block.certificate.height);
        let prepared = tokio::task::spawn_blocking(move || {
            let validators = chain.validators(height).map_err(|error| error.to_string())?;
            let context = chain.signing_context();
            let certified = CertifiedBlock::verify(block, &validators, &context).map_err(|error| error.to_string())?;
            let (ready, wrong) = source.prepare(vec![certified]);
            wrong.map_or(Ok(ready), Err)
        });
        let ready = match prepared.await {
            Ok(Ok(ready)) => ready,
            Ok(Err(reason)) => {
                debug!(%height, reason, "final block not committed");
                return Ok(());
            }
            Err(error) => return Err(error.to_string()),
        };
        match self.source.import(ready).await {
            Ok(()) => {
                debug!(%height, "committed by its announcement");
                Ok(())
            }
            Err(error) => match error.error {
                CommitError::Internal(reason) => Err(format!("block {height}: {reason}")),
                other => {
                    debug!(%height, error = ?other, "final block not committed");
                    Ok(())
                }
            },
        }
    }
}
