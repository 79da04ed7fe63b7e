//! A chain with a registry, and the keys of all who are or may become validators.

use crate::tests::fixture::{CHAIN_ID, GENESIS_TIME, LIMITS, contracts, recovered, user};
use crate::{BuildRequest, CallRequest, Chain, ChainConfig, Head, Overrides};
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_sol_types::{SolCall, sol};
use heddle_primitives::registry::{self, Governance, RegistryStart, read_members};
use heddle_primitives::{
    CertifiedBlock, CommitCertificate, CommitSignature, ConsensusKey, Evidence, FinalizedBlock, Genesis, HeddleConfig,
    Height, ProposedBlock, Round, SignedVote, SigningContext, Transaction, Validator, ValidatorSet, Vote, VoteKind,
};
use heddle_storage::{Database, DatabaseConfig};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

sol! {
    struct Member { bytes32 key; uint64 power; address feeRecipient; }
    struct Record {
        bytes32 key; uint64 power; address feeRecipient; uint8 status; uint16 seat; uint64 releaseBlock; address operator;
        uint256 deposit;
    }
    function add(bytes32 key, uint64 power, address feeRecipient);
    function remove(bytes32 key);
    function setPower(bytes32 key, uint64 power);
    function setFeeRecipient(bytes32 key, address feeRecipient);
    function rotateKey(bytes32 oldKey, bytes32 newKey);
    function unjail(bytes32 key);
    function setAdministrator(address to);
    function deposit(bytes32 key, address feeRecipient);
    function topUp(bytes32 key);
    function exit(bytes32 key);
    function withdraw(bytes32 key);
    function onBlock(uint256 signers, bytes32[] absent, bytes32[] equivocators);
    function validators() returns (Member[] members);
    function validatorOf(bytes32 key) returns (Record record);
    function isTombstoned(bytes32 key) returns (bool isSo);
    function isMember(bytes32 key) returns (bool isSo);
    function totalPower() returns (uint64 power);
    function epoch() returns (uint64 number);
}

/// `Status` of the contract.
pub const JAILED: u8 = 2;
pub const GONE: u8 = 4;
pub const TOMBSTONED: u8 = 5;

pub fn signing_key(n: u8) -> ConsensusKey {
    ConsensusKey::from_bytes(&[n; 32])
}

pub fn key(n: u8) -> B256 {
    signing_key(n).public_key().to_bytes().into()
}

pub fn member(n: u8, power: u64) -> Validator {
    Validator::new(signing_key(n).public_key(), power, Address::repeat_byte(n))
}

pub fn set_of(members: impl IntoIterator<Item = (u8, u64)>) -> ValidatorSet {
    ValidatorSet::new(members.into_iter().map(|(n, power)| member(n, power)).collect()).unwrap()
}

pub fn administered() -> Governance {
    Governance::Administered { administrator: user().address() }
}

pub fn ether(amount: u64) -> U256 {
    U256::from(amount) * U256::from(10).pow(U256::from(18))
}

/// Validators 1 to 4, each of power 1; an epoch in jail, two until a deposit is free.
pub fn genesis(governance: Governance, epoch_length: u64) -> Genesis {
    let validators = set_of((1..=4).map(|n| (n, 1)));
    let start = RegistryStart { exit_delay: 2 * epoch_length, ..RegistryStart::new(governance, epoch_length) };
    let mut alloc = contracts();
    alloc.push((user().address(), GenesisAccount::default().with_balance(ether(100_000))));
    alloc.push((registry::ADDRESS, start.account(&validators).unwrap()));
    let alloc = alloc.into_iter().collect();
    let mut file =
        alloy_genesis::Genesis { gas_limit: 30_000_000, timestamp: GENESIS_TIME, alloc, ..Default::default() };
    file.config.chain_id = CHAIN_ID;
    let heddle = HeddleConfig {
        validators,
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length,
        registry: Some(registry::ADDRESS),
    };
    Genesis::new_heddle(file, heddle).unwrap()
}

/// A chain in memory.
pub struct World {
    pub chain: Chain,
    pub database: Database,
    genesis: Genesis,
    nonce: Cell<u64>,
    /// These sign nothing.
    pub asleep: Vec<u8>,
}

impl World {
    pub fn start(governance: Governance, epoch_length: u64) -> Self {
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let genesis = genesis(governance, epoch_length);
        let chain = Chain::open(genesis.clone(), database.clone(), ChainConfig::default()).unwrap();
        Self { chain, database, genesis, nonce: Cell::new(0), asleep: Vec::new() }
    }

    /// Another node at genesis.
    pub fn peer(&self) -> Chain {
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        Chain::open(self.genesis.clone(), database, ChainConfig::default()).unwrap()
    }

    /// The same database opened again.
    pub fn reopened(&self) -> Chain {
        Chain::open(self.genesis.clone(), self.database.clone(), ChainConfig::default()).unwrap()
    }

    pub fn number(&self) -> u64 {
        self.chain.head().header.number
    }

    pub fn context(&self) -> SigningContext {
        self.chain.signing_context()
    }

    /// The members of the height after the head, by the numbers of their keys.
    pub fn members(&self) -> Vec<(u8, u64)> {
        members_of(&self.chain.validators(Height::new(self.number() + 1)).unwrap())
    }

    /// A transaction of the user to the registry.
    pub fn send(&self, call: impl SolCall) -> Transaction {
        self.pay(call, U256::ZERO)
    }

    pub fn pay(&self, call: impl SolCall, value: U256) -> Transaction {
        self.transaction(registry::ADDRESS, value, call.abi_encode())
    }

    /// A transaction of the user to anybody.
    pub fn transaction(&self, to: Address, value: U256, input: impl Into<Bytes>) -> Transaction {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce: self.nonce.replace(self.nonce.get() + 1),
            gas_limit: 1_000_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(to),
            value,
            input: input.into(),
            ..Default::default()
        };
        let signature = user().sign_hash_sync(&transaction.signature_hash()).unwrap();
        transaction.into_signed(signature).into()
    }

    /// The next block, whose proposer is awake.
    pub fn build(&self, transactions: Vec<Transaction>) -> ProposedBlock {
        let head = self.chain.head();
        let validators = self.chain.validators(head.height().next()).unwrap();
        let request = BuildRequest {
            timestamp: head.header.timestamp + 1,
            fee_recipient: validators.proposer(head.height().next(), 0).fee_recipient,
            candidates: Box::new(transactions.into_iter().map(recovered)),
            deadline: &|| false,
        };
        self.chain.build(request).unwrap().proposed
    }

    /// Makes a block final by all who are awake.
    pub fn certify(&self, proposed: ProposedBlock) -> CertifiedBlock {
        let (height, block_hash) = (Height::new(proposed.block.header.number), proposed.hash());
        let validators = self.chain.validators(height).unwrap();
        let awake = validators.validators().iter().filter_map(|member| {
            let n = number_of(member);
            (!self.asleep.contains(&n)).then(|| precommit(n, height, block_hash, &self.context()))
        });
        let certificate = CommitCertificate::new(height, Round::ZERO, block_hash, awake.collect());
        let finalized = FinalizedBlock { proposed, certificate };
        CertifiedBlock::verify(finalized, &validators, &self.context()).unwrap()
    }

    /// Builds and commits a block; says which transactions succeeded.
    pub fn extend(&self, transactions: Vec<Transaction>) -> Vec<bool> {
        let expected = transactions.len();
        let proposed = self.build(transactions);
        assert_eq!(proposed.block.body.transactions.len(), expected);
        let head = self.chain.commit(&self.certify(proposed)).unwrap();
        let receipts = self.chain.receipts(head.header.number).unwrap().unwrap();
        receipts.iter().map(|receipt| receipt.status()).collect()
    }

    /// One transaction in a block.
    #[must_use]
    pub fn does(&self, call: impl SolCall) -> bool {
        self.extend(vec![self.send(call)])[0]
    }

    /// Empty blocks to this height.
    pub fn run_to(&self, height: u64) -> Arc<Head> {
        while self.number() < height {
            self.extend(Vec::new());
        }
        self.chain.head()
    }

    /// What the contract answers.
    pub fn ask<C: SolCall>(&self, call: C) -> C::Return {
        let request =
            CallRequest { to: Some(registry::ADDRESS), data: call.abi_encode().into(), ..CallRequest::default() };
        let outcome = self.chain.call(self.number(), &request, &Overrides::default(), &LIMITS).unwrap();
        C::abi_decode_returns(&outcome.output).unwrap()
    }

    /// The members that nodes read from storage.
    pub fn registered(&self) -> ValidatorSet {
        let state = self.chain.state();
        read_members(|slot| state.storage(registry::ADDRESS, slot)).unwrap().unwrap()
    }

    /// Two precommits of one validator for one round.
    pub fn equivocation(&self, n: u8, height: u64) -> Evidence {
        let vote = |block_hash| {
            let (height, kind) = (Height::new(height), VoteKind::Precommit);
            let vote = Vote { height, round: Round::ZERO, kind, block_hash, validator: member(n, 1).address };
            SignedVote::sign(vote, &signing_key(n), &self.context())
        };
        Evidence::of_votes(vote(None), vote(Some(B256::repeat_byte(1))), &self.context())
    }
}

pub fn number_of(member: &Validator) -> u8 {
    (1..=255).find(|n| signing_key(*n).public_key() == member.public_key).unwrap()
}

pub fn members_of(set: &ValidatorSet) -> Vec<(u8, u64)> {
    let mut members: Vec<_> = set.validators().iter().map(|member| (number_of(member), member.power)).collect();
    members.sort_unstable();
    members
}

fn precommit(n: u8, height: Height, block_hash: B256, context: &SigningContext) -> CommitSignature {
    let validator = member(n, 1).address;
    let vote = Vote { height, round: Round::ZERO, kind: VoteKind::Precommit, block_hash: Some(block_hash), validator };
    CommitSignature { validator, signature: SignedVote::sign(vote, &signing_key(n), context).signature }
}
