//! Consensus asks the chain and the mempool.

use crate::telemetry::traces::{Event, TransactionTraces};
use async_trait::async_trait;
use heddle_chain::{BlockError, BuildRequest, Chain, ChainError, Fault};
use heddle_consensus::{Application, ApplicationError, BlockVerdict};
use heddle_mempool::Mempool;
use heddle_primitives::{
    CertifiedBlock, Evidence, Height, ProposedBlock, Round, Validator, ValidatorAddress, ValidatorSet,
};
use heddle_sync::SyncHandle;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::broadcast::error::RecvError;

/// A proposer that has not finished by then proposes what it has; well below the first propose timeout.
const BUILD_TIME: Duration = Duration::from_millis(800);

/// The application that consensus decides for.
pub struct ChainApplication {
    /// Builds, validates and commits.
    pub chain: Chain,
    /// Offers transactions.
    pub mempool: Mempool,
    /// Woken when peers are ahead.
    pub sync: SyncHandle,
    /// The validator whose key this node has.
    pub own: Option<ValidatorAddress>,
    /// Told of blocks that are proposed and executed.
    pub traces: TransactionTraces,
}

impl ChainApplication {
    /// This node among the validators of a height, if it is one of them.
    fn own(&self, height: Height) -> Result<Option<Validator>, ApplicationError> {
        let Some(own) = self.own else { return Ok(None) };
        Ok(self.validators(height)?.and_then(|validators| validators.get(&own).cloned()))
    }
}

/// Seconds since the Unix epoch; a clock before it counts as the epoch.
fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

/// Runs a blocking call of the chain; a panic in it is our fault, and ends the node.
async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, ChainError> + Send + 'static,
) -> Result<Result<T, ChainError>, ApplicationError> {
    tokio::task::spawn_blocking(call).await.map_err(|error| ApplicationError(error.to_string()))
}

/// Validates with the senders that the mempool has recovered.
fn validate(chain: &Chain, mempool: &Mempool, block: &ProposedBlock, proposer: &Validator) -> Result<(), ChainError> {
    let hashes = Vec::from_iter(block.block.body.transactions.iter().map(|tx| *tx.tx_hash()));
    let pooled = mempool.get_many(&hashes).into_iter().flatten();
    let senders: HashMap<_, _> = pooled.map(|transaction| (transaction.hash(), transaction.sender())).collect();
    chain.validate(block, proposer, unix_seconds(), &|hash| senders.get(hash).copied())
}

fn ours(error: ChainError) -> ApplicationError {
    ApplicationError(error.to_string())
}

#[async_trait]
impl Application for ChainApplication {
    fn validators(&self, height: Height) -> Result<Option<Arc<ValidatorSet>>, ApplicationError> {
        match self.chain.validators(height) {
            Err(ChainError::UnknownBlock { .. }) => Ok(None),
            validators => validators.map(Some).map_err(ours),
        }
    }

    fn has_transactions(&self) -> bool {
        self.mempool.has_ready()
    }

    async fn wait_for_transactions(&self) {
        // Subscribed before the check: a transaction that comes between them is not missed.
        let mut arrivals = self.mempool.subscribe();
        while !self.mempool.has_ready() {
            if let Err(RecvError::Closed) = arrivals.recv().await {
                return std::future::pending().await;
            }
        }
    }

    async fn build(&self, height: Height, round: Round) -> Result<Option<ProposedBlock>, ApplicationError> {
        let Some(own) = self.own(height)? else { return Ok(None) };
        let stage = self.traces.begin();
        let (chain, mempool, fee_recipient) = (self.chain.clone(), self.mempool.clone(), own.fee_recipient);
        let built = blocking(move || {
            let started = Instant::now();
            let built = chain.build(BuildRequest {
                timestamp: unix_seconds(),
                fee_recipient,
                candidates: Box::new(mempool.best()),
                deadline: &move || started.elapsed() >= BUILD_TIME,
            })?;
            mempool.remove_invalid(&Vec::from_iter(built.invalid.iter().map(|(hash, _)| *hash)));
            Ok(built)
        })
        .await?;
        let built = built.map_err(ours)?;
        if built.proposed.block.header.number != height.as_u64() {
            return Ok(None);
        }
        stage.end_block(&built.proposed.block, |block| Event::Proposed { block, round });
        Ok(Some(built.proposed))
    }

    async fn validate(&self, block: ProposedBlock, proposer: Validator) -> Result<BlockVerdict, ApplicationError> {
        let (block, proposer) = (Arc::new(block), Arc::new(proposer));
        loop {
            let stage = self.traces.begin();
            let (chain, mempool, validated, proposer) =
                (self.chain.clone(), self.mempool.clone(), block.clone(), proposer.clone());
            match blocking(move || validate(&chain, &mempool, &validated, &proposer)).await? {
                Ok(()) => {
                    stage.end_block(&block.block, |block| Event::Executed { block, invalid: None });
                    return Ok(BlockVerdict::Valid);
                }
                Err(ChainError::NotNext { .. }) => return Ok(BlockVerdict::Stale),
                // Time cures this one, and a verdict is for good: consensus goes on without it meanwhile.
                Err(ChainError::InvalidBlock(BlockError::FutureTimestamp { timestamp, now, drift })) => {
                    let early = timestamp.saturating_sub(now.saturating_add(drift));
                    tokio::time::sleep(Duration::from_secs(early)).await;
                }
                Err(error) if error.fault() == Fault::Peer => {
                    let reason = error.to_string();
                    stage.end_block(&block.block, |block| Event::Executed { block, invalid: Some(&reason) });
                    return Ok(BlockVerdict::Invalid(reason));
                }
                Err(error) => return Err(ours(error)),
            }
        }
    }

    async fn commit(&self, block: CertifiedBlock) -> Result<(), ApplicationError> {
        let chain = self.chain.clone();
        blocking(move || chain.commit(&block)).await?.map(drop).map_err(ours)
    }

    async fn report_evidence(&self, evidence: Evidence) -> Result<bool, ApplicationError> {
        let chain = self.chain.clone();
        match blocking(move || chain.add_evidence(evidence)).await? {
            Err(error) if error.fault() == Fault::Peer => Ok(false),
            result => result.map_err(ours),
        }
    }

    fn behind(&self, _heard: Height) {
        self.sync.wake();
    }
}
