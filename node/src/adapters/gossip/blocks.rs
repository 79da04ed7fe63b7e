//! Final blocks: announced by their proposer, so that whoever missed their decision has them as well.

use super::arrivals::Arrival;
use super::{Deciding, NetworkOutbound, check_aside, decode};
use heddle_chain::{Chain, ChainError, CommittedBlock};
use heddle_network::{BlockShelf, PeerId, Topic, Verdict};
use heddle_primitives::{
    CommitCertificate, CompactFinalized, Height, ProposedBlock, SigningContext, ValidatorAddress, ValidatorSet,
};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tracing::debug;

/// Heights whose announcement is remembered, the highest ones.
const ANNOUNCED_MAX: usize = 64;

/// Judges announcements of final blocks: the first of each height is passed on.
pub(super) struct FinalizedBlocks {
    chain: Chain,
    announced: Mutex<BTreeSet<u64>>,
}

impl FinalizedBlocks {
    pub(super) fn new(chain: Chain) -> Self {
        Self { chain, announced: Mutex::default() }
    }

    /// What is to be filled, of a message that is to be passed on; else why it is not.
    pub(super) async fn judge(
        &self,
        deciding: &Deciding,
        peer: PeerId,
        bytes: &[u8],
    ) -> Result<Option<Arrival>, Verdict> {
        let message: CompactFinalized = decode(peer, Topic::Blocks, bytes)?;
        let (height, head) = (message.block.header.number, self.chain.head().header.number);
        if height < head || self.announced().contains(&height) {
            return Err(Verdict::Ignore);
        }
        let validators = self.validators(height, head)?;
        let context = self.chain.signing_context();
        let checked = check_aside(message, move |message| check(message, &validators, &context)).await?;
        let message = checked.map_err(|reason| {
            debug!(%peer, height, reason, "announcement of a block that is not final");
            // Further ahead there may be other validators than those known here.
            if height <= head + 1 { Verdict::Reject } else { Verdict::Ignore }
        })?;
        if !self.announce(height) {
            return Err(Verdict::Ignore);
        }
        if height > head + 1 {
            deciding.sync.wake();
        }
        Ok((height == head + 1).then(|| Arrival::Finalized(deciding.sync.clone(), peer, Box::new(message))))
    }

    /// Who decided a height, or the height after the head where that is not known yet.
    fn validators(&self, height: u64, head: u64) -> Result<Arc<ValidatorSet>, Verdict> {
        let validators = self.chain.validators(Height::new(height.min(head + 1)));
        validators.map_err(|error| {
            debug!(%error, height, "announcement of a block not judged");
            Verdict::Ignore
        })
    }

    fn announced(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        // A panic between the lines that change it leaves nothing half done.
        self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers an announcement; false when it is not the first of its height.
    fn announce(&self, height: u64) -> bool {
        let mut announced = self.announced();
        if !announced.insert(height) {
            return false;
        }
        while announced.len() > ANNOUNCED_MAX {
            announced.pop_first();
        }
        true
    }
}

/// Whether the certificate makes this block final, and the header binds what came with it.
fn check(message: &CompactFinalized, validators: &ValidatorSet, context: &SigningContext) -> Result<(), String> {
    let (block, certificate) = (&message.block, &message.certificate);
    if certificate.block_hash != block.hash() || certificate.height.as_u64() != block.header.number {
        return Err("the certificate is for another block".to_owned());
    }
    certificate.verify(validators, context).map_err(|error| error.to_string())?;
    block.check().map_err(|fault| fault.to_string())
}

/// Announces the blocks that this validator proposed, once they are committed. Ends with its reason.
pub async fn announce_commits(chain: Chain, own: ValidatorAddress, outbound: NetworkOutbound) -> String {
    let mut commits = chain.subscribe();
    loop {
        let committed = match commits.recv().await {
            Ok(committed) => committed,
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return "the chain is closed".to_owned(),
        };
        let (of, on) = (chain.clone(), outbound.shelf.clone());
        let found = tokio::task::spawn_blocking(move || proposed_by(&of, &committed, own, &on)).await;
        let block = match found {
            Ok(Ok(block)) => block,
            Ok(Err(error)) => return error.to_string(),
            Err(error) => return error.to_string(),
        };
        let Some((block, certificate)) = block else { continue };
        let block = outbound.compact(block).await;
        let bytes = alloy_rlp::encode(CompactFinalized { block, certificate });
        if let Err(error) = outbound.network.publish(Topic::Blocks, bytes.into()).await {
            debug!(%error, "final block not announced");
        }
    }
}

type Certified = (Arc<ProposedBlock>, CommitCertificate);

/// A committed block with its certificate, if this validator proposed it in the round that decided.
fn proposed_by(
    chain: &Chain,
    committed: &CommittedBlock,
    own: ValidatorAddress,
    shelf: &BlockShelf,
) -> Result<Option<Certified>, ChainError> {
    let Some(certificate) = &committed.certificate else { return Ok(None) };
    let validators = chain.validators(certificate.height)?;
    if validators.proposer(certificate.height, certificate.round.as_u32()).address != own {
        return Ok(None);
    }
    let block = match shelf.get(certificate.block_hash) {
        Some(block) => Some(block),
        None => chain.finalized_block(certificate.height.as_u64())?.map(|block| Arc::new(block.proposed)),
    };
    Ok(block.map(|block| (block, certificate.clone())))
}
