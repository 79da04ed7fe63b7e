//! A chain as peers serve it: headers with certificates, ends of epochs, and the states at some heights.

use crate::fixture::{CHAIN_ID, GENESIS_TIME};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use heddle_evm::system_contracts;
use heddle_primitives::registry::{self, Governance, RegistryStart, read_members};
use heddle_primitives::{
    Account, AccountChange, CertifiedHeader, CommitCertificate, CommitSignature, ConsensusKey, Epoch, EpochStep,
    Genesis, Header, HeddleConfig, Height, MembersProof, Round, SigningContext, SlotProof, StateChanges, Validator,
    ValidatorSet, Vote, VoteKind,
};
use heddle_state::{ProofLimits, StateConfig, StateStore, StateView, genesis_changes};
use heddle_storage::{Batch, Database, DatabaseConfig};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Height of the last block.
pub const LENGTH: u64 = 120;
/// Blocks between two states that are served.
pub const INTERVAL: u64 = 10;
/// A node that started at a height of this remainder serves the state of then, too.
pub const STARTED_AT: u64 = 7;
/// Blocks an epoch where there is a registry.
const EPOCH_LENGTH: u64 = 8;
/// Accounts that blocks change.
const ACCOUNTS: u16 = 300;
/// Slots of the one big contract.
const BIG_SLOTS: u64 = 400;

/// A chain, and another one beside it of which nothing must be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shape {
    /// Whether validators change.
    pub has_registry: bool,
    /// The other chain.
    pub is_other: bool,
}

/// What is served, all of it at once: who serves it decides how far it is.
pub struct ServedChain {
    /// Its first block.
    pub genesis: Genesis,
    /// Height 1 and up.
    pub headers: Vec<CertifiedHeader>,
    /// Ends of epochs, from epoch 0.
    pub steps: Vec<EpochStep>,
    /// Every set, with its first epoch.
    pub sets: Vec<(Epoch, ValidatorSet)>,
    /// States by height.
    pub states: BTreeMap<u64, StateView>,
}

impl ServedChain {
    /// The chain of this shape; made once.
    pub fn of(shape: Shape) -> Arc<Self> {
        static MADE: Mutex<BTreeMap<Shape, Arc<ServedChain>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(made.entry(shape).or_insert_with(|| Arc::new(Builder::new(shape).build())))
    }

    /// Hash of the block at a height, which must be there.
    pub fn hash(&self, height: u64) -> B256 {
        self.header(height).map_or(self.genesis.hash(), |header| header.header.hash_slow())
    }

    /// The header at a height from 1 on.
    pub fn header(&self, height: u64) -> Option<&CertifiedHeader> {
        self.headers.get(usize::try_from(height.checked_sub(1)?).ok()?)
    }
}

fn key(n: u8) -> ConsensusKey {
    ConsensusKey::from_bytes(&[n; 32])
}

#[expect(clippy::expect_used, reason = "distinct keys of positive power are a set, or every run fails")]
fn set(members: impl Iterator<Item = (u8, u64)>) -> ValidatorSet {
    let members = members.map(|(n, power)| Validator::new(key(n).public_key(), power, Address::repeat_byte(n)));
    ValidatorSet::new(members.collect()).expect("a set")
}

#[expect(clippy::expect_used, reason = "no deposit is asked for")]
fn registry_account(validators: &ValidatorSet) -> GenesisAccount {
    let governance = Governance::Administered { administrator: Address::repeat_byte(0xad) };
    RegistryStart::new(governance, EPOCH_LENGTH).account(validators).expect("no deposits")
}

fn certificate(height: u64, block_hash: B256, members: &[u8], context: &SigningContext) -> CommitCertificate {
    let (height, round) = (Height::new(height), Round::ZERO);
    let sign = |n: &u8| {
        let (key, kind) = (key(*n), VoteKind::Precommit);
        let validator = key.address();
        let vote = Vote { height, round, kind, block_hash: Some(block_hash), validator };
        CommitSignature { validator, signature: key.sign(vote.digest(context)) }
    };
    CommitCertificate::new(height, round, block_hash, members.iter().map(sign).collect())
}

struct Builder {
    rng: ChaCha8Rng,
    shape: Shape,
    members: Vec<u8>,
    /// What the registry's storage holds.
    registry: BTreeMap<U256, U256>,
    database: Database,
    store: StateStore,
    chain: ServedChain,
}

#[expect(clippy::expect_used, reason = "the chain is made from constants: it is right, or every run fails")]
impl Builder {
    fn new(shape: Shape) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(u64::from(shape.is_other) * 2 + u64::from(shape.has_registry));
        let members = vec![1, 2, 3, 4];
        let validators = set(members.iter().map(|n| (*n, 1)));
        let account = registry_account(&validators);
        let registry = storage_of(&account);
        let mut file = alloy_genesis::Genesis {
            gas_limit: 30_000_000,
            timestamp: GENESIS_TIME + u64::from(shape.is_other),
            alloc: system_contracts().into_iter().collect(),
            ..Default::default()
        };
        if shape.has_registry {
            file.alloc.insert(registry::ADDRESS, account);
        }
        file.config.chain_id = CHAIN_ID;
        let heddle = HeddleConfig {
            validators: validators.clone(),
            block_time: Duration::from_millis(500),
            empty_block_time: Duration::from_millis(1_000),
            epoch_length: EPOCH_LENGTH,
            registry: shape.has_registry.then_some(registry::ADDRESS),
        };
        let genesis = Genesis::new_heddle(file, heddle).expect("a valid genesis");
        let config = DatabaseConfig { block_cache_bytes: 1 << 20, write_buffer_bytes: 8 << 20, ..Default::default() };
        let database = Database::open_in_memory(&config).expect("memory");
        let store = StateStore::new(database.clone(), &StateConfig { cache_bytes: 1 << 20 });
        let sets = vec![(Epoch::default(), validators)];
        let (headers, steps, states) = (Vec::new(), Vec::new(), BTreeMap::new());
        let chain = ServedChain { genesis, headers, steps, sets, states };
        Self { rng, shape, members, registry, database, store, chain }
    }

    fn build(mut self) -> ServedChain {
        let first = genesis_changes(&self.chain.genesis);
        self.commit(0, &first);
        for number in 1..=LENGTH {
            let is_end = self.shape.has_registry && Epoch::is_last(Height::new(number), EPOCH_LENGTH);
            let deciders = self.members.clone();
            let mut changes = self.changes(number);
            if is_end && self.rng.random_ratio(1, 2) {
                self.change_members(&mut changes);
            }
            let state_root = self.commit(number, &changes);
            let parent_hash = self.chain.hash(number - 1);
            let timestamp = GENESIS_TIME + number;
            let header = Header { parent_hash, number, state_root, timestamp, ..Header::default() };
            let context = self.chain.genesis.signing_context();
            let certificate = certificate(number, header.hash_slow(), &deciders, &context);
            let members = is_end.then(|| self.end_epoch(number, &header, &certificate));
            self.chain.headers.push(CertifiedHeader { header, certificate, members });
            if [0, STARTED_AT].contains(&(number % INTERVAL)) {
                self.chain.states.insert(number, self.store.view().expect("memory"));
            }
        }
        self.chain
    }

    fn commit(&mut self, number: u64, changes: &StateChanges) -> B256 {
        let update = self.store.compute(&self.store.view().expect("memory"), changes).expect("the head");
        let (root, mut batch) = (update.state_root, Batch::default());
        let committed = update.write_into(number, &mut batch).expect("the next number");
        self.database.commit_unsynced(batch).expect("memory");
        self.store.committed(committed);
        root
    }

    /// The first block makes many accounts, the others change some.
    fn changes(&mut self, number: u64) -> StateChanges {
        let mut changes = StateChanges::default();
        let several = self.rng.random_range(5..25u16);
        let touched = match number {
            1 => (0..ACCOUNTS).collect(),
            _ => Vec::from_iter((0..several).map(|_| self.rng.random_range(0..ACCOUNTS + ACCOUNTS / 4))),
        };
        for n in touched {
            let (address, change) = self.change(n, &mut changes.code);
            changes.accounts.insert(address, change);
        }
        let slots = if number == 1 { 0..BIG_SLOTS } else { 0..self.rng.random_range(0..4) };
        let storage = slots.map(|n| (U256::from(if number == 1 { n } else { n * 97 % BIG_SLOTS }), self.value()));
        let big = AccountChange { account: Some(self.account(1)), storage_wiped: false, storage: storage.collect() };
        changes.accounts.insert(Address::repeat_byte(0xbb), big);
        changes
    }

    fn value(&self) -> U256 {
        U256::from(self.chain.headers.len() + 1)
    }

    fn account(&self, nonce: u64) -> Account {
        Account { nonce, balance: self.value(), code_hash: KECCAK256_EMPTY }
    }

    fn change(&mut self, n: u16, code: &mut BTreeMap<B256, Bytes>) -> (Address, AccountChange) {
        let address = Address::from_slice(&keccak256(n.to_be_bytes())[12..]);
        let mut change = AccountChange { account: Some(self.account(n.into())), ..AccountChange::default() };
        match n % 6 {
            _ if self.rng.random_ratio(1, 12) => {
                change = AccountChange { account: None, storage_wiped: true, storage: BTreeMap::new() };
            }
            0 | 1 => {
                let slots = self.rng.random_range(1..12u64);
                change.storage_wiped = self.rng.random_ratio(1, 8);
                let zero_or_more = |n: u64| if n % 5 == 4 { U256::ZERO } else { U256::from(n + 1) };
                change.storage = (0..slots)
                    .map(|_| self.rng.random_range(0..30))
                    .map(|n| (U256::from(n), zero_or_more(n)))
                    .collect();
            }
            2 => {
                let bytes = Bytes::from(vec![self.rng.random_range(1..40u8); 200 + usize::from(n)]);
                let code_hash = keccak256(&bytes);
                change.account = Some(Account { code_hash, ..self.account(1) });
                code.insert(code_hash, bytes);
            }
            _ => {}
        }
        (address, change)
    }

    /// Another set from the next epoch on.
    fn change_members(&mut self, changes: &mut StateChanges) {
        let first = self.rng.random_range(1..5);
        self.members = (first..first + self.rng.random_range(4..7)).collect();
        let next = storage_of(&registry_account(&set(self.members.iter().map(|n| (*n, 1)))));
        let mut storage = BTreeMap::from_iter(self.registry.keys().map(|slot| (*slot, U256::ZERO)));
        storage.extend(next.iter().map(|(slot, value)| (*slot, *value)));
        self.registry = next;
        let view = self.store.view().expect("memory");
        let account = view.account(registry::ADDRESS).expect("memory");
        changes.accounts.insert(registry::ADDRESS, AccountChange { account, storage_wiped: false, storage });
    }

    fn end_epoch(&mut self, number: u64, header: &Header, certificate: &CommitCertificate) -> MembersProof {
        let (state, mut slots) = (self.store.view().expect("memory"), Vec::new());
        let members = read_members(|slot| {
            slots.push(slot);
            state.storage(registry::ADDRESS, slot)
        });
        let members = members.expect("memory").expect("a set");
        let proof = state.proof(registry::ADDRESS, &slots, &ProofLimits::default()).expect("the head");
        let slots = proof.storage.into_iter().map(|slot| SlotProof { value: slot.value, nodes: slot.proof });
        let account = proof.account.expect("it is in genesis");
        let proof = MembersProof { account, nodes: proof.proof, slots: slots.collect() };
        let step = EpochStep { header: header.clone(), certificate: certificate.clone(), members: proof.clone() };
        self.chain.steps.push(step);
        if self.chain.sets.last().is_none_or(|(_, set)| *set != members) {
            self.chain.sets.push((Epoch::of(Height::new(number + 1), EPOCH_LENGTH), members));
        }
        proof
    }
}

fn storage_of(account: &GenesisAccount) -> BTreeMap<U256, U256> {
    let slots = account.storage.iter().flatten();
    slots.map(|(slot, value)| (U256::from_be_bytes(slot.0), U256::from_be_bytes(value.0))).collect()
}
