//! Two or more nodes' chains of one genesis, and the hands of its four validators and one user.

use crate::{BuildRequest, CallLimits, Chain, ChainConfig, ChainError, Head};
use alloy_consensus::{SignableTransaction, TxEip1559, transaction::SignerRecoverable};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_evm::system_contracts;
use heddle_primitives::{
    Block, CertifiedBlock, CommitCertificate, CommitSignature, ConsensusKey, Evidence, FinalizedBlock, Genesis,
    HeddleConfig, Height, ProposedBlock, RecoveredTransaction, Round, SignedVote, Transaction, Validator, ValidatorSet,
    Vote, VoteKind,
};
use heddle_storage::{Database, DatabaseConfig};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub(super) const CHAIN_ID: u64 = 31_337;
pub(super) const GENESIS_TIME: u64 = 1_700_000_000;
pub(super) const LIMITS: CallLimits<'static> =
    CallLimits { gas: 50_000_000, memory: 64 << 20, time: Duration::MAX, elapsed: &|| Duration::ZERO };
/// Logs its first argument as a topic, and stores it in slot 0.
pub(super) const LOGGER: Address = address!("0x00000000000000000000000000000000000000aa");
/// Reverts with the number 42.
pub(super) const REVERTER: Address = address!("0x00000000000000000000000000000000000000bb");
/// Returns the hash of the block whose number is its argument.
pub(super) const HASHER: Address = address!("0x00000000000000000000000000000000000000cc");
/// Stores the hash of the block before.
pub(super) const ANCESTOR: Address = Address::repeat_byte(0xee);
/// Emits a log of 32 bytes of data and no topic.
pub(super) const SPEAKER: Address = Address::repeat_byte(0xdd);

/// Logs its first two arguments as topics.
pub(super) const PAIR_LOGGER: Address = Address::repeat_byte(0xab);

/// The user's key, funded in genesis.
pub(super) fn user() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

pub(super) fn keys() -> Vec<ConsensusKey> {
    (1..=4u8).map(|n| ConsensusKey::from_bytes(&[n; 32])).collect()
}

/// Those of the protocol and ours.
pub(super) fn contracts() -> Vec<(Address, GenesisAccount)> {
    let contract =
        |code: &[u8]| GenesisAccount::default().with_nonce(Some(1)).with_code(Some(Bytes::copy_from_slice(code)));
    let mut alloc = system_contracts();
    alloc.push((LOGGER, contract(&hex!("5f355f5fa15f355f5500"))));
    alloc.push((REVERTER, contract(&hex!("602a5f5260205ffd"))));
    alloc.push((HASHER, contract(&hex!("5f35405f5260205ff3"))));
    alloc.push((ANCESTOR, contract(&hex!("60014303405f5500"))));
    alloc.push((PAIR_LOGGER, contract(&hex!("6020355f355f5fa200"))));
    alloc.push((SPEAKER, contract(&hex!("60205fa000"))));
    alloc
}

pub(super) fn genesis_with_balance(ether: u64) -> Genesis {
    let wei = U256::from(ether) * U256::from(10).pow(U256::from(18));
    let mut alloc = contracts();
    alloc.push((user().address(), GenesisAccount::default().with_balance(wei)));
    let mut file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        timestamp: GENESIS_TIME,
        alloc: alloc.into_iter().collect(),
        ..Default::default()
    };
    file.config.chain_id = CHAIN_ID;
    let validators =
        keys().into_iter().zip(1u8..).map(|(key, n)| Validator::new(key.public_key(), 1, Address::repeat_byte(n)));
    let heddle = HeddleConfig {
        validators: ValidatorSet::new(validators.collect()).unwrap(),
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length: 1_000,
        registry: None,
    };
    Genesis::new_heddle(file, heddle).unwrap()
}

/// A node's chain in a directory of its own.
pub(super) struct Node {
    chain: Option<Chain>,
    directory: TempDir,
}

impl Node {
    pub(super) fn start() -> Self {
        let mut node = Self { chain: None, directory: tempfile::tempdir().unwrap() };
        node.reopen();
        node
    }

    /// Closes the database and opens it again, as a restart does.
    pub(super) fn reopen(&mut self) {
        self.reopen_with(ChainConfig::default());
    }

    /// The same with another configuration.
    pub(super) fn reopen_with(&mut self, config: ChainConfig) {
        self.chain = None;
        self.chain = Some(Chain::open(genesis_with_balance(1_000), self.database(), config).unwrap());
    }

    pub(super) fn close(&mut self) {
        self.chain = None;
    }

    pub(super) fn open_with(&self, genesis: Genesis) -> Result<Chain, ChainError> {
        Chain::open(genesis, self.database(), ChainConfig::default())
    }

    pub(super) fn database(&self) -> Database {
        Database::open(self.directory.path(), &DatabaseConfig::default()).unwrap()
    }

    /// Builds a block of `transactions` as the proposer of round 0, one second after the head.
    pub(super) fn build(&self, transactions: Vec<Transaction>) -> ProposedBlock {
        self.build_at(transactions, self.head().header.timestamp + 1)
    }

    pub(super) fn build_at(&self, transactions: Vec<Transaction>, timestamp: u64) -> ProposedBlock {
        let candidates = transactions.into_iter().map(recovered);
        let request = BuildRequest {
            timestamp,
            fee_recipient: self.proposer().fee_recipient,
            candidates: Box::new(candidates),
            deadline: &|| false,
        };
        let built = Chain::build(self, request).unwrap();
        assert_eq!(built.hash, built.proposed.hash());
        built.proposed
    }

    /// The proposer of the next height in round 0.
    pub(super) fn proposer(&self) -> Validator {
        let height = self.head().height().next();
        self.validators(height).unwrap().proposer(height, 0).clone()
    }

    /// Validates as a voter whose clock agrees with the block's.
    pub(super) fn vote(&self, proposed: &ProposedBlock) -> Result<(), ChainError> {
        self.validate(proposed, &self.proposer(), proposed.block.header.timestamp, &|_| None)
    }

    /// Builds, certifies and commits a block.
    pub(super) fn extend(&self, transactions: Vec<Transaction>) -> Arc<Head> {
        let proposed = self.build(transactions);
        self.commit(&certify(proposed, [0, 1, 2])).unwrap()
    }
}

impl std::ops::Deref for Node {
    type Target = Chain;

    fn deref(&self) -> &Chain {
        self.chain.as_ref().unwrap()
    }
}

pub(super) fn recovered(transaction: Transaction) -> RecoveredTransaction {
    let signer = transaction.recover_signer().unwrap();
    RecoveredTransaction::new_unchecked(transaction, signer)
}

/// A transaction of the user.
pub(super) fn transaction(nonce: u64, to: Address, value: u64, input: impl Into<Bytes>) -> Transaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 100_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        input: input.into(),
        ..Default::default()
    };
    let signature = user().sign_hash_sync(&transaction.signature_hash()).unwrap();
    transaction.into_signed(signature).into()
}

/// The precommits of these validators for a block.
pub(super) fn certificate(
    height: u64,
    block_hash: B256,
    signers: impl IntoIterator<Item = usize>,
) -> CommitCertificate {
    let context = genesis_with_balance(1_000).signing_context();
    let (height, round) = (Height::new(height), Round::ZERO);
    let signatures = signers.into_iter().map(|index| {
        let key = &keys()[index];
        let validator = Validator::new(key.public_key(), 1, Address::ZERO).address;
        let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash: Some(block_hash), validator };
        CommitSignature { validator, signature: SignedVote::sign(vote, key, &context).signature }
    });
    CommitCertificate::new(height, round, block_hash, signatures.collect())
}

/// What these validators made final.
pub(super) fn certify(proposed: ProposedBlock, signers: impl IntoIterator<Item = usize>) -> CertifiedBlock {
    let genesis = genesis_with_balance(1_000);
    let certificate = certificate(proposed.block.header.number, proposed.hash(), signers);
    let validators = &genesis.heddle().unwrap().validators;
    CertifiedBlock::verify(FinalizedBlock { proposed, certificate }, validators, &genesis.signing_context()).unwrap()
}

/// The same proposal with its block changed.
pub(super) fn altered(proposed: &ProposedBlock, alter: impl FnOnce(&mut Block)) -> ProposedBlock {
    let mut block = Block::clone(&proposed.block);
    alter(&mut block);
    ProposedBlock { block: Arc::new(block), ..proposed.clone() }
}

/// Two precommits of one validator for one round.
pub(super) fn equivocation(signer: usize, height: u64) -> Evidence {
    let context = genesis_with_balance(1_000).signing_context();
    let key = &keys()[signer];
    let vote = |block_hash| {
        let validator = Validator::new(key.public_key(), 1, Address::ZERO).address;
        let (height, kind) = (Height::new(height), VoteKind::Precommit);
        SignedVote::sign(Vote { height, round: Round::ZERO, kind, block_hash, validator }, key, &context)
    };
    Evidence::of_votes(vote(None), vote(Some(B256::repeat_byte(1))), &context)
}
