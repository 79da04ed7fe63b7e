//! A chain in memory for the tests of this crate.

use crate::{
    ChainRules, Code, NextBlock, StateError, StateReader, amsterdam_system_contracts, next_header, system_contracts,
};
use alloy_consensus::{SignableTransaction, Signed, TxEip1559, transaction::Recovered};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Signature, TxKind, U256, keccak256, map::HashMap};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_trie::{
    TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};
use ed25519_dalek::SigningKey;
use heddle_primitives::{
    Account, Genesis, Header, HeddleConfig, RecoveredTransaction, StateChanges, Transaction, Validator, ValidatorSet,
};
use std::collections::BTreeMap;
use std::time::Duration;

pub const CHAIN_ID: u64 = 31_337;
pub const FEE_RECIPIENT: Address = Address::repeat_byte(0xfe);
pub const ETHER: u128 = 1_000_000_000_000_000_000;

/// Adds 1 to slot 0.
pub const COUNTER: &[u8] = &[0x60, 0, 0x54, 0x60, 1, 0x01, 0x60, 0, 0x55, 0x00];
/// Reverts with the word 42.
pub const REVERTER: &[u8] = &[0x60, 42, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xfd];
/// Returns BASEFEE as a word.
pub const BASE_FEE: &[u8] = &[0x48, 0x60, 0, 0x52, 0x60, 32, 0x60, 0, 0xf3];
/// Sends its balance to the zero address and disappears (before Cancun).
pub const SELF_DESTRUCT: &[u8] = &[0x60, 0, 0xff];

pub fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

/// Init code that deploys `runtime` (at most 255 bytes).
pub fn init_code(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![0x60, length, 0x60, 12, 0x60, 0, 0x39, 0x60, length, 0x60, 0, 0xf3];
    code.extend_from_slice(runtime);
    code.into()
}

/// The state as plain maps; its reads fail when told to.
#[derive(Clone, Default)]
pub struct MemoryState {
    pub accounts: HashMap<Address, Account>,
    pub storage: HashMap<(Address, U256), U256>,
    pub code: HashMap<B256, Bytes>,
    pub fails_at: Option<Address>,
}

impl MemoryState {
    pub fn of(alloc: &BTreeMap<Address, GenesisAccount>) -> Self {
        let mut state = Self::default();
        for (address, entry) in alloc {
            let code = entry.code.clone().unwrap_or_default();
            let code_hash = if code.is_empty() { KECCAK256_EMPTY } else { keccak256(&code) };
            let account = Account { nonce: entry.nonce.unwrap_or_default(), balance: entry.balance, code_hash };
            state.accounts.insert(*address, account);
            state.code.insert(code_hash, code);
            for (slot, value) in entry.storage.iter().flatten() {
                state.storage.insert((*address, (*slot).into()), (*value).into());
            }
        }
        state
    }

    pub fn apply(&mut self, changes: &StateChanges) {
        self.code.extend(changes.code.clone());
        for (address, change) in &changes.accounts {
            match change.account {
                Some(account) => self.accounts.insert(*address, account),
                None => self.accounts.remove(address),
            };
            if change.storage_wiped {
                self.storage.retain(|(owner, _), _| owner != address);
            }
            self.storage.extend(change.storage.iter().map(|(slot, value)| ((*address, *slot), *value)));
        }
    }

    pub fn root(&self) -> B256 {
        let trie_account = |(address, account): (&Address, &Account)| {
            let slots = self.storage.iter().filter(|((owner, _), value)| owner == address && !value.is_zero());
            let storage = slots.map(|((_, slot), value)| (B256::from(*slot), *value));
            let root = storage_root_unhashed(storage);
            (*address, TrieAccount::new(account.nonce, account.balance, root, account.code_hash))
        };
        state_root_unhashed(self.accounts.iter().map(trie_account))
    }

    pub fn balance(&self, address: Address) -> U256 {
        self.accounts.get(&address).map_or(U256::ZERO, |account| account.balance)
    }

    pub fn slot(&self, address: Address, slot: u64) -> U256 {
        self.storage.get(&(address, U256::from(slot))).copied().unwrap_or_default()
    }

    fn check(&self, address: Address) -> Result<(), StateError> {
        if self.fails_at == Some(address) { Err(StateError::new("disk on fire")) } else { Ok(()) }
    }
}

impl StateReader for MemoryState {
    fn account(&self, address: Address) -> Result<Option<Account>, StateError> {
        self.check(address)?;
        Ok(self.accounts.get(&address).copied())
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, StateError> {
        self.check(address)?;
        Ok(self.storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Code, StateError> {
        let bytes = self.code.get(&hash).cloned();
        bytes.map(Code::new).ok_or_else(|| StateError::new(format!("no code {hash}")))
    }

    fn has_storage(&self, address: Address) -> Result<bool, StateError> {
        self.check(address)?;
        Ok(self.storage.iter().any(|((owner, _), value)| *owner == address && !value.is_zero()))
    }

    fn block_hash(&self, _number: u64) -> Result<B256, StateError> {
        Ok(B256::ZERO)
    }

    fn root_with(&self, changes: &StateChanges) -> Result<B256, StateError> {
        let mut state = self.clone();
        state.apply(changes);
        Ok(state.root())
    }
}

/// A chain at its genesis, with one rich account.
pub struct TestChain {
    pub genesis: Genesis,
    pub rules: ChainRules,
    pub state: MemoryState,
    pub signer: PrivateKeySigner,
}

impl TestChain {
    /// A Heddle chain with the system contracts and `code` at the given addresses.
    pub fn heddle(code: &[(Address, &'static [u8])]) -> Self {
        Self::with_amsterdam(code, None)
    }

    /// A Heddle chain at Amsterdam from genesis.
    pub fn amsterdam() -> Self {
        Self::with_amsterdam(&[], Some(0))
    }

    fn with_amsterdam(code: &[(Address, &'static [u8])], amsterdam_time: Option<u64>) -> Self {
        let signer = signer(1);
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let config = HeddleConfig {
            validators: ValidatorSet::new(vec![Validator::new(key, 1, FEE_RECIPIENT)]).unwrap(),
            block_time: Duration::from_millis(500),
            empty_block_time: Duration::from_secs(5),
            epoch_length: 100,
            registry: None,
        };
        let mut file = alloy_genesis::Genesis { gas_limit: 30_000_000, ..Default::default() };
        file.config.chain_id = CHAIN_ID;
        file.config.amsterdam_time = amsterdam_time;
        file.alloc.extend(system_contracts());
        file.alloc.extend(amsterdam_time.iter().flat_map(|_| amsterdam_system_contracts()));
        file.alloc.extend(alloc(&signer, code));
        let genesis = Genesis::new_heddle(file, config).unwrap();
        Self::new(genesis, signer)
    }

    /// A plain Ethereum chain at Shanghai.
    pub fn shanghai(code: &[(Address, &'static [u8])]) -> Self {
        let signer = signer(1);
        let text = r#"{"config":{"chainId":31337,"homesteadBlock":0,"eip150Block":0,"eip155Block":0,"eip158Block":0,
            "byzantiumBlock":0,"constantinopleBlock":0,"petersburgBlock":0,"istanbulBlock":0,"berlinBlock":0,
            "londonBlock":0,"terminalTotalDifficulty":0,"shanghaiTime":0},
            "gasLimit":"0x1c9c380","difficulty":"0x0","alloc":{}}"#;
        let mut file: alloy_genesis::Genesis = serde_json::from_str(text).unwrap();
        file.alloc.extend(alloc(&signer, code));
        Self::new(Genesis::from_json(&serde_json::to_string(&file).unwrap()).unwrap(), signer)
    }

    /// A plain Ethereum chain with the given forks in its `config`, and a difficulty at genesis.
    pub fn with_config(config: &str, code: &[(Address, &'static [u8])]) -> Self {
        let signer = signer(1);
        let text = format!(
            r#"{{"config":{{"chainId":31337,{config}}},"gasLimit":"0x1c9c380","difficulty":"0x20000","alloc":{{}}}}"#
        );
        let mut file: alloy_genesis::Genesis = serde_json::from_str(&text).unwrap();
        file.alloc.extend(alloc(&signer, code));
        Self::new(Genesis::from_json(&serde_json::to_string(&file).unwrap()).unwrap(), signer)
    }

    fn new(genesis: Genesis, signer: PrivateKeySigner) -> Self {
        let state = MemoryState::of(&genesis.file().alloc);
        Self { rules: ChainRules::new(&genesis), genesis, state, signer }
    }

    /// The header of block 1 as far as it is known before execution.
    pub fn next_header(&self) -> Header {
        next_header(&self.rules, self.genesis.header(), &self.next_block())
    }

    pub fn next_block(&self) -> NextBlock {
        NextBlock {
            timestamp: 7,
            fee_recipient: FEE_RECIPIENT,
            parent_beacon_block_root: B256::repeat_byte(0xbe),
            gas_limit_target: 30_000_000,
        }
    }

    /// A transaction of the rich account.
    pub fn transaction(&self, nonce: u64, to: TxKind, value: u128, input: Bytes) -> RecoveredTransaction {
        sign(&self.signer, TxEip1559 { nonce, to, value: U256::from(value), input, ..transaction() })
    }

    pub fn transfer(&self, nonce: u64, to: Address, value: u128) -> RecoveredTransaction {
        self.transaction(nonce, TxKind::Call(to), value, Bytes::new())
    }
}

fn alloc(signer: &PrivateKeySigner, code: &[(Address, &'static [u8])]) -> Vec<(Address, GenesisAccount)> {
    let contract = |(address, code): &(Address, &'static [u8])| {
        let storage = BTreeMap::from([(B256::with_last_byte(9), B256::with_last_byte(1))]);
        let account = GenesisAccount::default()
            .with_nonce(Some(1))
            .with_code(Some(Bytes::from_static(code)))
            .with_storage(Some(storage));
        (*address, account)
    };
    let rich = (signer.address(), GenesisAccount::default().with_balance(U256::from(1_000 * ETHER)));
    code.iter().map(contract).chain([rich]).collect()
}

pub fn signer(byte: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).unwrap()
}

/// A transaction with sane fees and no purpose.
pub fn transaction() -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 200_000,
        max_fee_per_gas: 10_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        ..TxEip1559::default()
    }
}

pub fn sign<T>(signer: &PrivateKeySigner, transaction: T) -> RecoveredTransaction
where
    T: SignableTransaction<Signature>,
    Transaction: From<Signed<T>>,
{
    let signature = signer.sign_hash_sync(&transaction.signature_hash()).unwrap();
    Recovered::new_unchecked(Transaction::from(transaction.into_signed(signature)), signer.address())
}
