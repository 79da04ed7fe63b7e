//! A chain's genesis, its validators' keys and its users.

use crate::time::Micros;
use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, hex};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_evm::system_contracts;
use heddle_primitives::registry::{self, Governance, RegistryStart};
use heddle_primitives::{ConsensusKey, Genesis, HeddleConfig, Transaction, Validator, ValidatorAddress, ValidatorSet};
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
/// Blocks an epoch of a chain with a registry. A validator that is always the slowest is in no certificate but its own,
/// so each must have its turn in an epoch, or it counts as absent.
const EPOCH_LENGTH: u64 = 8;

/// What a chain is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// How many nodes there are, each with a key; at most 200.
    pub nodes: usize,
    /// How many of them are validators at the beginning.
    pub members: usize,
    /// Whether a registry decides who is one later.
    pub has_registry: bool,
}

impl Shape {
    /// Validators that never change.
    pub fn fixed(nodes: usize) -> Self {
        Self { nodes, members: nodes, has_registry: false }
    }
}

/// What all nodes of a world share.
pub struct Fixture {
    /// The chain's genesis.
    pub genesis: Genesis,
    /// Keys of the nodes; the first are the validators of genesis, in its order.
    pub keys: Vec<ConsensusKey>,
    /// Funded accounts.
    pub users: Vec<PrivateKeySigner>,
    /// Who decides about validators, where there is a registry.
    pub administrator: PrivateKeySigner,
}

impl Fixture {
    /// The chain of this shape, whose validators have equal power; made once.
    pub fn of(shape: Shape) -> Arc<Self> {
        static MADE: Mutex<BTreeMap<Shape, Arc<Fixture>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(shape).or_insert_with(|| Arc::new(Self::new(shape))))
    }

    #[expect(clippy::expect_used, reason = "a constant genesis is valid, or every run fails")]
    fn new(shape: Shape) -> Self {
        let mut nodes = Vec::from_iter((1..=shape.nodes as u8).map(|n| {
            let key = ConsensusKey::from_bytes(&[n; 32]);
            (Validator::new(key.public_key(), 1, Address::repeat_byte(n)), key)
        }));
        nodes[..shape.members].sort_by_key(|(validator, _)| validator.address);
        let (validators, keys): (Vec<_>, Vec<_>) = nodes.into_iter().unzip();
        let members = validators[..shape.members].to_vec();
        let validators = ValidatorSet::new(members).expect("distinct keys of power 1");
        let users = (1..=USERS).map(|n| PrivateKeySigner::from_bytes(&B256::repeat_byte(n)).expect("not zero"));
        let users = Vec::from_iter(users);
        let administrator = PrivateKeySigner::from_bytes(&B256::repeat_byte(USERS + 1)).expect("not zero");
        let mut file = genesis_file(users.iter().chain([&administrator]));
        if shape.has_registry {
            file.alloc.insert(registry::ADDRESS, registry_account(administrator.address(), &validators));
        }
        let heddle = HeddleConfig {
            validators,
            block_time: Duration::from_millis(500),
            empty_block_time: Duration::from_millis(1_000),
            epoch_length: EPOCH_LENGTH,
            registry: shape.has_registry.then_some(registry::ADDRESS),
        };
        let genesis = Genesis::new_heddle(file, heddle).expect("a valid genesis");
        Self { genesis, keys, users, administrator }
    }

    /// The consensus section of the genesis.
    #[expect(clippy::expect_used, reason = "made with one")]
    pub fn heddle(&self) -> &HeddleConfig {
        self.genesis.heddle().expect("a Heddle chain")
    }

    /// The validator that a node is whenever it is one.
    pub fn address(&self, node: usize) -> ValidatorAddress {
        self.keys.get(node).map(ConsensusKey::address).unwrap_or_default()
    }

    /// Least time between the starts of two heights, and the wait before an empty block.
    pub fn pace(&self) -> (Micros, Micros) {
        let micros = |duration: Duration| duration.as_micros() as Micros;
        (micros(self.heddle().block_time), micros(self.heddle().empty_block_time))
    }

    /// A signed transaction of a user, in its EIP-2718 encoding.
    pub fn transaction(&self, user: usize, nonce: u64, to: Address, value: u64, input: Bytes) -> Bytes {
        sign(&self.users[user % self.users.len()], nonce, to, value, input)
    }

    /// A call of the registry by the administrator.
    pub fn administer(&self, nonce: u64, input: Bytes) -> Bytes {
        sign(&self.administrator, nonce, registry::ADDRESS, 0, input)
    }
}

#[expect(clippy::expect_used, reason = "signing with a local key does not fail")]
fn sign(signer: &PrivateKeySigner, nonce: u64, to: Address, value: u64, input: Bytes) -> Bytes {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 1_000_000,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(to),
        value: U256::from(value),
        input,
        ..Default::default()
    };
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).expect("a local key signs");
    Transaction::from(transaction.into_signed(signature)).encoded_2718().into()
}

/// An epoch in jail is enough.
#[expect(clippy::expect_used, reason = "no deposit is asked for")]
fn registry_account(administrator: Address, validators: &ValidatorSet) -> GenesisAccount {
    let governance = Governance::Administered { administrator };
    let start = RegistryStart { jail_duration: 1, ..RegistryStart::new(governance, EPOCH_LENGTH) };
    start.account(validators).expect("no deposits")
}

fn genesis_file<'a>(users: impl Iterator<Item = &'a PrivateKeySigner>) -> alloy_genesis::Genesis {
    let ether = U256::from(10).pow(U256::from(18));
    let funded = |user: &PrivateKeySigner| (user.address(), GenesisAccount::default().with_balance(ether));
    let code = Bytes::from_static(&hex!("5f355f5fa15f355f5500"));
    let contract = GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code));
    let mut file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        timestamp: GENESIS_TIME,
        alloc: system_contracts().into_iter().chain(users.map(funded)).chain([(CONTRACT, contract)]).collect(),
        ..Default::default()
    };
    file.config.chain_id = CHAIN_ID;
    file
}
