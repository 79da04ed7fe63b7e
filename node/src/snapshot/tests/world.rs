//! A chain with a registry and one validator, and a state of several pieces.

use alloy_consensus::{SignableTransaction, TxEip1559, transaction::SignerRecoverable};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::{BuildRequest, Chain, ChainConfig};
use heddle_primitives::registry::{self, Governance, RegistryStart};
use heddle_primitives::{
    CertifiedBlock, CommitCertificate, CommitSignature, ConsensusKey, FinalizedBlock, Genesis, HeddleConfig, Height,
    RecoveredTransaction, Round, SignedVote, Transaction, Validator, ValidatorSet, Vote, VoteKind,
};
use heddle_storage::{Database, DatabaseConfig};
use std::collections::BTreeMap;
use std::time::Duration;

const CHAIN_ID: u64 = 31_337;
pub const EPOCH_LENGTH: u64 = 4;

fn key() -> ConsensusKey {
    ConsensusKey::from_bytes(&[1; 32])
}

fn user() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn validator() -> Validator {
    Validator::new(key().public_key(), 1, Address::repeat_byte(1))
}

/// Six thousand accounts; one contract of ten thousand slots, three hundred of three, and four different codes.
pub fn genesis(chain_id: u64) -> Genesis {
    let validators = ValidatorSet::new(vec![validator()]).unwrap();
    let start = RegistryStart::new(Governance::Administered { administrator: user().address() }, EPOCH_LENGTH);
    let funded = GenesisAccount::default().with_balance(U256::from(10).pow(U256::from(20)));
    let mut alloc: BTreeMap<_, _> = heddle_evm::system_contracts().into_iter().collect();
    alloc.insert(user().address(), funded);
    alloc.insert(registry::ADDRESS, start.account(&validators).unwrap());
    for n in 0..6_000u64 {
        alloc.insert(address(n), GenesisAccount::default().with_balance(U256::from(n + 1)));
    }
    let contract = |slots: u64, code: u8| {
        let slots = (1..=slots).map(|slot| (B256::from(U256::from(slot)), B256::from(U256::from(slot * 3))));
        let code = Some(Bytes::copy_from_slice(&[0x60, code, 0x00]));
        GenesisAccount::default().with_nonce(Some(1)).with_code(code).with_storage(Some(slots.collect()))
    };
    alloc.insert(address(10_000), contract(10_000, 9));
    alloc.extend((0..300u64).map(|n| (address(20_000 + n), contract(3, (n % 3) as u8))));
    let mut file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        timestamp: 1_700_000_000,
        alloc: alloc.into_iter().collect(),
        ..Default::default()
    };
    file.config.chain_id = chain_id;
    let heddle = HeddleConfig {
        validators,
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length: EPOCH_LENGTH,
        registry: Some(registry::ADDRESS),
    };
    Genesis::new_heddle(file, heddle).unwrap()
}

fn address(n: u64) -> Address {
    Address::left_padding_from(&(0x1_0000_0000 + n).to_be_bytes())
}

/// A chain in memory.
pub struct World {
    pub chain: Chain,
}

impl World {
    /// One that came to this height.
    pub fn at(height: u64) -> Self {
        Self::of(genesis(CHAIN_ID), height)
    }

    pub fn of(genesis: Genesis, height: u64) -> Self {
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let world = Self { chain: Chain::open(genesis, database, ChainConfig::default()).unwrap() };
        world.run_to(height);
        world
    }

    /// Blocks of one transfer each.
    pub fn run_to(&self, height: u64) {
        while self.chain.head().header.number < height {
            let head = self.chain.head();
            let request = BuildRequest {
                timestamp: head.header.timestamp + 1,
                fee_recipient: validator().fee_recipient,
                candidates: Box::new(std::iter::once(self.transfer(head.header.number))),
                deadline: &|| false,
            };
            let proposed = self.chain.build(request).unwrap().proposed;
            assert_eq!(proposed.block.body.transactions.len(), 1);
            let (height, block_hash) = (head.height().next(), proposed.hash());
            let certificate =
                CommitCertificate::new(height, Round::ZERO, block_hash, vec![self.vote(height, block_hash)]);
            let validators = self.chain.validators(height).unwrap();
            let context = self.chain.signing_context();
            let block = FinalizedBlock { proposed, certificate };
            self.chain.commit(&CertifiedBlock::verify(block, &validators, &context).unwrap()).unwrap();
        }
    }

    fn vote(&self, height: Height, block_hash: B256) -> CommitSignature {
        let validator = validator().address;
        let (round, kind) = (Round::ZERO, VoteKind::Precommit);
        let vote = Vote { height, round, kind, block_hash: Some(block_hash), validator };
        CommitSignature {
            validator,
            signature: SignedVote::sign(vote, &key(), &self.chain.signing_context()).signature,
        }
    }

    fn transfer(&self, nonce: u64) -> RecoveredTransaction {
        let transaction = TxEip1559 {
            chain_id: self.chain.genesis().file().config.chain_id,
            nonce,
            gas_limit: 50_000,
            max_fee_per_gas: 10_000_000_000,
            to: TxKind::Call(address(100 + nonce)),
            value: U256::ONE,
            ..Default::default()
        };
        let signature = user().sign_hash_sync(&transaction.signature_hash()).unwrap();
        let transaction: Transaction = transaction.into_signed(signature).into();
        let signer = transaction.recover_signer().unwrap();
        RecoveredTransaction::new_unchecked(transaction, signer)
    }
}
