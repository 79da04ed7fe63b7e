//! A node of one validator whose blocks are made by hand.

use crate::client;
use crate::limits::until;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip7702, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxHash, TxKind, U64, U256, address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{Revert, SolError};
use async_trait::async_trait;
use heddle_chain::{BuildRequest, Chain, ChainConfig, CommittedBlock};
use heddle_mempool::{
    BlockFeed, ChainReadError, ChainReader, ChangedAccounts, CommittedHead, Gossip, HeadInfo, Mempool, MempoolConfig,
    MempoolMetrics, Origin, PoolTransaction,
};
use heddle_primitives::registry::{self, Governance, RegistryStart};
use heddle_primitives::{
    Account, CertifiedBlock, CommitCertificate, CommitSignature, ConsensusKey, FinalizedBlock, Genesis, HeddleConfig,
    Round, SignedVote, Transaction, Validator, ValidatorSet, Vote, VoteKind,
};
use heddle_rpc::{
    ConsensusReport, DevAccounts, NodeReport, NodeStatus, PeerCounts, RpcConfig, RpcContext, RpcError, RpcMetrics,
    RpcServer, SyncProgress,
};
use heddle_storage::{Database, DatabaseConfig};
use jsonrpsee::{Methods, RpcModule};
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::broadcast;

pub const CHAIN_ID: u64 = 31_337;
pub const GENESIS_TIME: u64 = 1_700_000_000;
pub const FEE_RECIPIENT: Address = Address::repeat_byte(0xfe);
/// Emits its argument as a topic, stores it in slot 0, and returns it.
pub const LOGGER: Address = address!("0x00000000000000000000000000000000000000aa");
/// Reverts with [`REVERT_REASON`].
pub const REVERTER: Address = address!("0x00000000000000000000000000000000000000bb");
/// Executes an invalid opcode.
pub const HALTER: Address = address!("0x00000000000000000000000000000000000000cc");
pub const REVERT_REASON: &str = "not the owner";
/// Balance of each user in genesis, in wei.
pub const BALANCE: u128 = 1_000_000_000_000_000_000_000;

/// Blocks.
pub const EPOCH_LENGTH: u64 = 100;

pub struct TestNode {
    pub chain: Chain,
    pub mempool: Mempool,
    pub status: Arc<TestStatus>,
    server: RpcServer,
    registry: Registry,
    _directory: TempDir,
}

/// The node's status, set by tests.
#[derive(Default)]
pub struct TestStatus {
    pub progress: Mutex<Option<SyncProgress>>,
    pub consensus: Mutex<Option<ConsensusReport>>,
}

impl NodeStatus for TestStatus {
    fn client_version(&self) -> String {
        "heddle/v0.0.0/test".to_owned()
    }

    fn peer_count(&self) -> u64 {
        3
    }

    fn is_listening(&self) -> bool {
        true
    }

    fn sync_progress(&self) -> Option<SyncProgress> {
        *self.progress.lock()
    }

    fn report(&self) -> NodeReport {
        NodeReport {
            peer_id: Some("12D3".to_owned()),
            validator: None,
            peers: PeerCounts { inbound: U64::from(1), outbound: U64::from(2) },
            lag: U64::ZERO,
            free_bytes: Some(U64::from(1 << 30)),
            uptime: U64::from(60),
            time: U64::from(GENESIS_TIME * 1_000),
        }
    }

    fn consensus(&self) -> Option<ConsensusReport> {
        self.consensus.lock().clone()
    }
}

/// A funded account; there are three.
pub fn user(index: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(index + 1)).unwrap()
}

pub fn validator_key() -> ConsensusKey {
    ConsensusKey::from_bytes(&[9; 32])
}

fn reverter_code() -> Vec<u8> {
    let data = Revert::from(REVERT_REASON).abi_encode();
    let size = u8::try_from(data.len()).unwrap();
    // CODECOPY of what follows the ten bytes of code, then REVERT with it.
    [&[0x60, size, 0x60, 10, 0x5f, 0x39, 0x60, size, 0x5f, 0xfd], &data[..]].concat()
}

fn genesis() -> Genesis {
    let contract = |code: Vec<u8>| GenesisAccount::default().with_nonce(Some(1)).with_code(Some(Bytes::from(code)));
    let mut alloc = heddle_evm::system_contracts();
    alloc.extend((0..3).map(|i| (user(i).address(), GenesisAccount::default().with_balance(U256::from(BALANCE)))));
    alloc.push((LOGGER, contract(hex!("5f355f5fa15f355f555f355f5260205ff3").to_vec())));
    alloc.push((REVERTER, contract(reverter_code())));
    alloc.push((HALTER, contract(vec![0xfe])));
    let mut file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        timestamp: GENESIS_TIME,
        alloc: alloc.into_iter().collect(),
        ..Default::default()
    };
    file.config.chain_id = CHAIN_ID;
    let validator = Validator::new(validator_key().public_key(), 1, FEE_RECIPIENT);
    let validators = ValidatorSet::new(vec![validator]).unwrap();
    let governance = Governance::Administered { administrator: user(0).address() };
    let registry = RegistryStart::new(governance, EPOCH_LENGTH).account(&validators).unwrap();
    file.alloc.insert(registry::ADDRESS, registry);
    let heddle = HeddleConfig {
        validators,
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length: EPOCH_LENGTH,
        registry: Some(registry::ADDRESS),
    };
    Genesis::new_heddle(file, heddle).unwrap()
}

impl TestNode {
    pub async fn start() -> Self {
        Self::start_with(RpcConfig { port: 0, ..RpcConfig::default() }, None).await
    }

    pub async fn start_with(config: RpcConfig, dev_accounts: Option<DevAccounts>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(directory.path(), &DatabaseConfig::default()).unwrap();
        let chain = Chain::open(genesis(), database, ChainConfig::default()).unwrap();
        let reader = Arc::new(Reader(chain.clone()));
        let (mempool, service) =
            Mempool::new(MempoolConfig::default(), chain.genesis(), reader, MempoolMetrics::default()).unwrap();
        tokio::spawn(service.run(Feed { events: chain.subscribe(), chain: chain.clone() }, Arc::new(NoGossip)));
        let status = Arc::new(TestStatus::default());
        let mut registry = Registry::default();
        let metrics = RpcMetrics::new(&mut registry);
        let context = RpcContext {
            chain: chain.clone(),
            mempool: mempool.clone(),
            intake: Arc::new(mempool.clone()),
            node: status.clone(),
            dev_accounts,
            admin: admin(),
            metrics,
        };
        let server = RpcServer::start(config, context).await.unwrap();
        Self { chain, mempool, status, server, registry, _directory: directory }
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addr().unwrap()
    }

    /// The port that wants a token.
    pub fn auth_address(&self) -> SocketAddr {
        self.server.auth_addr().unwrap()
    }

    /// What the server counted.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    pub async fn call(&self, method: &str, params: Value) -> Result<Value, Value> {
        client::call(self.address(), method, params).await
    }

    /// The result of a call that must succeed.
    pub async fn get(&self, method: &str, params: Value) -> Value {
        let result = self.call(method, params.clone()).await;
        result.unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    /// Code and message of a call that must fail.
    pub async fn error(&self, method: &str, params: Value) -> (i64, String) {
        let error = self.call(method, params.clone()).await.expect_err(method);
        (error["code"].as_i64().unwrap(), error["message"].as_str().unwrap().to_owned())
    }

    /// Sends a transaction through `eth_sendRawTransaction`.
    pub async fn send(&self, transaction: &Transaction) -> TxHash {
        let hash = self.get("eth_sendRawTransaction", json!([raw(transaction)])).await;
        assert_eq!(hash, json!(transaction.tx_hash()));
        *transaction.tx_hash()
    }

    /// Makes a block of what the mempool holds, one second after the head, and commits it; returns when the mempool knows.
    pub async fn mine(&self) -> Arc<CommittedBlock> {
        let block = self.commit_next();
        let mined = || block.block.body.transactions.iter().map(|transaction| transaction.tx_hash());
        until("the mempool after the block", || mined().all(|hash| self.mempool.get(hash).is_none())).await;
        block
    }

    fn commit_next(&self) -> Arc<CommittedBlock> {
        let mut events = self.chain.subscribe();
        let head = self.chain.head();
        let request = BuildRequest {
            timestamp: head.header.timestamp + 1,
            fee_recipient: FEE_RECIPIENT,
            candidates: Box::new(self.mempool.best()),
            deadline: &|| false,
        };
        let built = self.chain.build(request).unwrap();
        let (key, context) = (validator_key(), self.chain.signing_context());
        let (height, round) = (head.height().next(), Round::ZERO);
        let validator = Validator::new(key.public_key(), 1, FEE_RECIPIENT).address;
        let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash: Some(built.hash), validator };
        let signature = SignedVote::sign(vote, &key, &context).signature;
        let certificate =
            CommitCertificate::new(height, round, built.hash, vec![CommitSignature { validator, signature }]);
        let finalized = FinalizedBlock { proposed: built.proposed, certificate };
        let validators = self.chain.validators(height).unwrap();
        self.chain.commit(&CertifiedBlock::verify(finalized, &validators, &context).unwrap()).unwrap();
        events.try_recv().unwrap()
    }

    /// Sends these and mines them all into one block.
    pub async fn mine_all(&self, transactions: &[&Transaction]) -> Arc<CommittedBlock> {
        for transaction in transactions {
            self.send(transaction).await;
        }
        let block = self.mine().await;
        assert_eq!(block.block.body.transactions.len(), transactions.len());
        block
    }

    /// A second server over the same chain.
    pub async fn try_server(&self, config: RpcConfig) -> Result<RpcServer, RpcError> {
        let context = RpcContext {
            chain: self.chain.clone(),
            mempool: self.mempool.clone(),
            intake: Arc::new(self.mempool.clone()),
            node: self.status.clone(),
            dev_accounts: None,
            admin: admin(),
            metrics: RpcMetrics::default(),
        };
        RpcServer::start(config, context).await
    }

    /// Stops the server.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

/// What stands for the namespace `admin`.
fn admin() -> Methods {
    let mut module = RpcModule::new(());
    module.register_method("admin_test", |_, _, _| "an answer").unwrap();
    module.into()
}

/// A transaction as `eth_sendRawTransaction` takes it.
pub fn raw(transaction: &Transaction) -> Bytes {
    transaction.encoded_2718().into()
}

/// A transaction with a user's signature.
pub fn signed<T: SignableTransaction<alloy_primitives::Signature>>(index: u8, unsigned: T) -> Transaction
where
    alloy_consensus::Signed<T>: Into<Transaction>,
{
    let signature = user(index).sign_hash_sync(&unsigned.signature_hash()).unwrap();
    unsigned.into_signed(signature).into()
}

/// A fee-market transaction of a user to `to`, with a tip of 2 gwei.
pub fn transaction(index: u8, nonce: u64, to: Address, value: u64, input: impl Into<Bytes>) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 2_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        input: input.into(),
        ..TxEip1559::default()
    };
    signed(index, unsigned)
}

/// A plain transfer of a user to [`LOGGER`] at these prices.
pub fn transaction_of(index: u8, nonce: u64, fee_cap: u128, tip: u128, value: U256) -> Transaction {
    let unsigned = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: fee_cap,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(LOGGER),
        value,
        ..TxEip1559::default()
    };
    signed(index, unsigned)
}

/// A call of [`LOGGER`] that emits `topic`.
pub fn logging(index: u8, nonce: u64, topic: B256) -> Transaction {
    transaction(index, nonce, LOGGER, 0, topic.0)
}

pub fn legacy(index: u8, nonce: u64, to: TxKind, input: impl Into<Bytes>) -> Transaction {
    let unsigned = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 3_000_000_000,
        gas_limit: 200_000,
        to,
        value: U256::ZERO,
        input: input.into(),
    };
    signed(index, unsigned)
}

pub fn with_access_list(index: u8, nonce: u64) -> Transaction {
    let unsigned = TxEip2930 {
        chain_id: CHAIN_ID,
        nonce,
        gas_price: 3_000_000_000,
        gas_limit: 200_000,
        to: TxKind::Call(LOGGER),
        ..TxEip2930::default()
    };
    signed(index, unsigned)
}

/// User `index` delegates to [`LOGGER`] for itself (EIP-7702).
pub fn delegating(index: u8, nonce: u64) -> Transaction {
    let authorization =
        alloy_eips::eip7702::Authorization { chain_id: U256::from(CHAIN_ID), address: LOGGER, nonce: nonce + 1 };
    let signature = user(index).sign_hash_sync(&authorization.signature_hash()).unwrap();
    let unsigned = TxEip7702 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 200_000,
        max_fee_per_gas: 20_000_000_000,
        max_priority_fee_per_gas: 2_000_000_000,
        to: Address::repeat_byte(0x77),
        authorization_list: vec![authorization.into_signed(signature)],
        ..TxEip7702::default()
    };
    signed(index, unsigned)
}

/// The keys of a JSON object, sorted.
pub fn keys(object: &Value) -> Vec<&str> {
    let mut keys = Vec::from_iter(object.as_object().unwrap().keys().map(String::as_str));
    keys.sort_unstable();
    keys
}

struct Reader(Chain);

impl ChainReader for Reader {
    fn account(&self, address: Address) -> Result<Account, ChainReadError> {
        self.0.state().account(address).map(Option::unwrap_or_default).map_err(ChainReadError::new)
    }

    fn code(&self, hash: B256) -> Result<Bytes, ChainReadError> {
        self.0.state().code(hash).map_err(ChainReadError::new)
    }

    fn head(&self) -> HeadInfo {
        head_info(&self.0)
    }
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

struct Feed {
    events: broadcast::Receiver<Arc<CommittedBlock>>,
    chain: Chain,
}

#[async_trait]
impl BlockFeed for Feed {
    async fn next(&mut self) -> Option<CommittedHead> {
        let block = self.events.recv().await.ok()?;
        let changed = ChangedAccounts::These(block.changed_accounts.clone());
        Some(CommittedHead { head: head_info(&self.chain), changed })
    }
}

struct NoGossip;

impl Gossip for NoGossip {
    fn announce(&self, _: &[Arc<PoolTransaction>], _: Origin) {}

    fn announce_again(&self, _: &[Arc<PoolTransaction>]) {}
}
