//! The chain and the mempool, as the node's adapters show them to consensus and sync.

use super::{Machine, Stop};
use alloy_primitives::{Address, B256, Bytes};
use heddle_chain::{
    BlockError, BuildRequest, Chain, ChainConfig, ChainError, CommittedBlock, ExecutionMode, Fault,
    RecoveredCertifiedBlock,
};
use heddle_mempool::{
    ChainReadError, ChainReader, ChangedAccounts, CommittedHead, HeadInfo, Mempool, MempoolConfig, MempoolMetrics,
};
use heddle_primitives::{
    Account, CertifiedBlock, CertifiedHeader, Epoch, EpochStep, Evidence, FinalizedBlock, Height, LightClient,
    ProposedBlock, Receipt, Request, Response, Status, TransactionBatch, Validator, ValidatorAddress, ValidatorSet,
};
use heddle_sync::{BlockSource, SyncServer};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;

/// What the chain says about a proposed block.
pub enum Verdict {
    /// It may be voted for.
    Valid,
    /// It breaks a rule.
    Invalid(String),
    /// The head has moved: the answer no longer matters.
    Stale,
    /// It is dated too far ahead; to be asked again after so many seconds.
    Early(u64),
}

/// The chain, the pool, and this node among the validators.
pub struct Application {
    chain: Chain,
    mempool: Mempool,
    blocks: Receiver<Arc<CommittedBlock>>,
    server: SyncServer,
    own: ValidatorAddress,
    epoch_length: u64,
}

/// The committed state, as the mempool and sync ask for it.
struct Reader(Chain);

impl ChainReader for Reader {
    fn account(&self, address: Address) -> Result<Account, ChainReadError> {
        Ok(self.0.state().account(address).map_err(ChainReadError::new)?.unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Bytes, ChainReadError> {
        self.0.state().code(hash).map_err(ChainReadError::new)
    }

    fn head(&self) -> HeadInfo {
        head_info(&self.0)
    }
}

impl BlockSource for Reader {
    fn status(&self) -> Status {
        let head = self.0.head();
        Status { height: head.height(), hash: head.hash(), earliest: Height::GENESIS.next() }
    }

    fn finalized_block(&self, height: Height) -> Result<Option<FinalizedBlock>, String> {
        words(self.0.finalized_block(height.as_u64()))
    }

    fn certified_header(&self, height: Height) -> Result<Option<CertifiedHeader>, String> {
        words(self.0.certified_header(height))
    }

    fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, String> {
        words(self.0.receipts(height.as_u64()))
    }

    fn epoch_step(&self, epoch: Epoch) -> Result<Option<EpochStep>, String> {
        words(self.0.epoch_step(epoch))
    }
}

fn words<T>(result: Result<T, ChainError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

fn head_info(chain: &Chain) -> HeadInfo {
    let head = chain.head();
    HeadInfo {
        number: head.header.number,
        timestamp: head.header.timestamp,
        gas_limit: head.header.gas_limit,
        next_base_fee: head.next_base_fee,
    }
}

fn fault(action: &str) -> impl Fn(ChainError) -> Stop + '_ {
    move |error| Stop::Fault(format!("cannot {action}: {error}"))
}

impl Application {
    /// Opens the chain in the machine's database, with an empty pool.
    ///
    /// # Errors
    /// The chain's.
    pub fn open(machine: &Machine) -> Result<Self, Stop> {
        let config = ChainConfig {
            execution: ExecutionMode::Sequential,
            code_cache_bytes: 1 << 16,
            state_cache_bytes: 1 << 18,
            ..ChainConfig::default()
        };
        let genesis = machine.fixture.genesis.clone();
        let chain = Chain::open(genesis, machine.database.clone(), config).map_err(fault("open the chain"))?;
        let reader = Arc::new(Reader(chain.clone()));
        let metrics = MempoolMetrics::default();
        let (mempool, _) = Mempool::new(MempoolConfig::default(), chain.genesis(), reader.clone(), metrics)
            .map_err(|error| Stop::Fault(error.to_string()))?;
        let (own, epoch_length) = (machine.key.address(), machine.fixture.heddle().epoch_length);
        Ok(Self { blocks: chain.subscribe(), server: SyncServer::new(reader), chain, mempool, own, epoch_length })
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Height of the head.
    pub fn head(&self) -> Height {
        self.chain.head().height()
    }

    /// The validators of a height; `None` where they are not known yet.
    ///
    /// # Errors
    /// The chain's.
    pub fn validators(&self, height: Height) -> Result<Option<Arc<ValidatorSet>>, Stop> {
        let next = self.head().next();
        let epoch = |height| Epoch::of(height, self.epoch_length);
        if height > next && epoch(height) != epoch(next) {
            return Ok(None);
        }
        self.chain.validators(height.min(next)).map(Some).map_err(fault("read the validators"))
    }

    /// A light client at the head.
    ///
    /// # Errors
    /// The chain's.
    pub fn light_client(&self) -> Result<LightClient, Stop> {
        let client = self.chain.light_client_at_head();
        client.ok_or_else(|| Stop::Fault("the chain has no validators".to_owned()))
    }

    /// Does with certified blocks all that needs no execution, up to the first whose contents are not its own.
    pub fn recover(&self, blocks: Vec<CertifiedBlock>) -> (Vec<RecoveredCertifiedBlock>, Option<String>) {
        let mut ready = Vec::with_capacity(blocks.len());
        for block in blocks {
            let number = block.proposed().block.header.number;
            match self.chain.recover_ahead(block) {
                Ok(block) => ready.push(block),
                Err(error) => return (ready, Some(format!("block {number}: {error}"))),
            }
        }
        (ready, None)
    }

    /// Keeps evidence until a block has it; true when it is new.
    ///
    /// # Errors
    /// The chain's; evidence that proves nothing is not kept.
    pub fn report(&self, evidence: Evidence) -> Result<bool, Stop> {
        match self.chain.add_evidence(evidence) {
            Err(error) if error.fault() == Fault::Peer => Ok(false),
            result => result.map_err(fault("keep evidence")),
        }
    }

    /// Whether transactions wait to be mined.
    pub fn has_transactions(&self) -> bool {
        self.mempool.has_ready()
    }

    /// Takes in transactions; what is wrong with them is theirs.
    pub fn receive(&self, batch: &TransactionBatch) {
        self.mempool.receive(&batch.0);
    }

    /// The nonce that a user's next transaction needs.
    pub fn next_nonce(&self, user: Address) -> Option<u64> {
        let account = || self.chain.state().account(user).ok().flatten().unwrap_or_default().nonce;
        Some(self.mempool.pending_nonce(user).unwrap_or_else(account))
    }

    /// Answers a peer.
    ///
    /// # Errors
    /// The database's; a peer's request never causes one.
    pub fn answer(&self, request: &Request) -> Result<Response, Stop> {
        self.server.read(request).map_err(|error| Stop::Fault(error.to_string()))
    }

    /// Builds the block to propose; `None` when the head is not its parent, or this is no validator.
    ///
    /// # Errors
    /// The chain's.
    pub fn build(&self, height: Height, timestamp: u64) -> Result<Option<ProposedBlock>, Stop> {
        let validators = self.validators(height)?;
        let Some(own) = validators.as_ref().and_then(|set| set.get(&self.own)) else { return Ok(None) };
        let request = BuildRequest {
            timestamp,
            fee_recipient: own.fee_recipient,
            candidates: Box::new(self.mempool.best()),
            deadline: &|| false,
        };
        let built = self.chain.build(request).map_err(fault("build a block"))?;
        self.mempool.remove_invalid(&Vec::from_iter(built.invalid.iter().map(|(hash, _)| *hash)));
        Ok((built.proposed.block.header.number == height.as_u64()).then_some(built.proposed))
    }

    /// Judges a proposed block.
    ///
    /// # Errors
    /// The chain's own; what is wrong with the block is a verdict.
    pub fn validate(&self, block: &ProposedBlock, proposer: &Validator, now: u64) -> Result<Verdict, Stop> {
        let hashes = Vec::from_iter(block.block.body.transactions.iter().map(|tx| *tx.tx_hash()));
        let pooled = self.mempool.get_many(&hashes).into_iter().flatten();
        let senders: BTreeMap<_, _> = pooled.map(|tx| (tx.hash(), tx.sender())).collect();
        match self.chain.validate(block, proposer, now, &|hash| senders.get(hash).copied()) {
            Ok(()) => Ok(Verdict::Valid),
            Err(ChainError::NotNext { .. }) => Ok(Verdict::Stale),
            Err(ChainError::InvalidBlock(BlockError::FutureTimestamp { timestamp, now, drift })) => {
                Ok(Verdict::Early(timestamp.saturating_sub(now.saturating_add(drift))))
            }
            Err(error) if error.fault() == Fault::Peer => Ok(Verdict::Invalid(error.to_string())),
            Err(error) => Err(fault("validate a block")(error)),
        }
    }

    /// Commits a block and tells the pool.
    ///
    /// # Errors
    /// The chain's, whosever fault.
    pub fn commit(&mut self, block: &CertifiedBlock) -> Result<(), ChainError> {
        self.chain.commit(block)?;
        self.tell_pool();
        Ok(())
    }

    /// As [`Self::commit`], by the door that sync takes.
    ///
    /// # Errors
    /// The chain's, whosever fault.
    pub fn commit_recovered(&mut self, block: RecoveredCertifiedBlock) -> Result<(), ChainError> {
        let mut importer = self.chain.importer()?;
        importer.commit_recovered(block)?;
        importer.finish()?;
        self.tell_pool();
        Ok(())
    }

    fn tell_pool(&mut self) {
        while let Ok(committed) = self.blocks.try_recv() {
            let changed = ChangedAccounts::These(committed.changed_accounts.clone());
            // Without the accounts the pool offers what the builder will refuse: no matter of safety.
            let _ = self.mempool.on_committed(&CommittedHead { head: head_info(&self.chain), changed });
        }
    }
}
