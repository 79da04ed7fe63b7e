//! A chain's genesis, its validators' keys and its users.

use crate::time::Micros;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_evm::system_contracts;
use heddle_primitives::{ConsensusKey, Genesis, HeddleConfig, Transaction, Validator, ValidatorSet};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// EIP-155 chain id.
pub const CHAIN_ID: u64 = 31_337;
/// Timestamp of the genesis block: what a clock without skew shows when the world begins.
pub const GENESIS_TIME: u64 = 1_700_000_000;
/// Logs its first argument as a topic, and stores it in slot 0.
pub const CONTRACT: Address = address!("0x00000000000000000000000000000000000000aa");
/// Accounts that send transactions.
const USERS: u8 = 4;

/// What all nodes of a world share.
pub struct Fixture {
    /// The chain's genesis.
    pub genesis: Genesis,
    /// Keys of the validators, in the order of the genesis set.
    pub keys: Vec<ConsensusKey>,
    /// Funded accounts.
    pub users: Vec<PrivateKeySigner>,
}

impl Fixture {
    /// The chain of `count` validators of equal power, at most 200; made once.
    pub fn of(count: usize) -> Arc<Self> {
        static MADE: Mutex<BTreeMap<usize, Arc<Fixture>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(count).or_insert_with(|| Arc::new(Self::new(count))))
    }

    #[expect(clippy::expect_used, reason = "a constant genesis is valid, or every run fails")]
    fn new(count: usize) -> Self {
        let mut members = Vec::from_iter((1..=count as u8).map(|n| {
            let key = ConsensusKey::from_bytes(&[n; 32]);
            (Validator::new(key.public_key(), 1, Address::repeat_byte(n)), key)
        }));
        members.sort_by_key(|(validator, _)| validator.address);
        let (validators, keys): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let users = (1..=USERS).map(|n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).expect("not zero"));
        let users = Vec::from_iter(users);
        let heddle = HeddleConfig {
            validators: ValidatorSet::new(validators).expect("distinct keys of power 1"),
            block_time: Duration::from_millis(500),
            empty_block_time: Duration::from_millis(1_000),
            epoch_length: 1_000,
            registry: None,
        };
        let genesis = Genesis::new_heddle(genesis_file(&users), heddle).expect("a valid genesis");
        Self { genesis, keys, users }
    }

    /// The consensus section of the genesis.
    #[expect(clippy::expect_used, reason = "made with one")]
    pub fn heddle(&self) -> &HeddleConfig {
        self.genesis.heddle().expect("a Heddle chain")
    }

    /// The validator that a node of this index is in the genesis set.
    pub fn validator(&self, index: usize) -> Option<&Validator> {
        self.heddle().validators.validators().get(index)
    }

    /// Least time between the starts of two heights, and the wait before an empty block.
    pub fn pace(&self) -> (Micros, Micros) {
        let micros = |duration: Duration| duration.as_micros() as Micros;
        (micros(self.heddle().block_time), micros(self.heddle().empty_block_time))
    }

    /// A signed transaction of a user, in its EIP-2718 encoding.
    #[expect(clippy::expect_used, reason = "signing with a local key does not fail")]
    pub fn transaction(&self, user: usize, nonce: u64, to: Address, value: u64, input: Bytes) -> Bytes {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: 100_000,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(to),
            value: U256::from(value),
            input,
            ..Default::default()
        };
        let user = &self.users[user % self.users.len()];
        let signature = user.sign_hash_sync(&transaction.signature_hash()).expect("a local key signs");
        Transaction::from(transaction.into_signed(signature)).encoded_2718().into()
    }
}

fn genesis_file(users: &[PrivateKeySigner]) -> alloy_genesis::Genesis {
    let ether = U256::from(10).pow(U256::from(18));
    let funded = |user: &PrivateKeySigner| (user.address(), GenesisAccount::default().with_balance(ether));
    let code = Bytes::from_static(&hex!("5f355f5fa15f355f5500"));
    let contract = GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code));
    let mut file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        timestamp: GENESIS_TIME,
        alloc: system_contracts().into_iter().chain(users.iter().map(funded)).chain([(CONTRACT, contract)]).collect(),
        ..Default::default()
    };
    file.config.chain_id = CHAIN_ID;
    file
}
