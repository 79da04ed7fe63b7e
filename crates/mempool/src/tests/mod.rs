//! The pool from the outside: signed transactions in, what blocks and peers get out.

mod eviction;
mod handle;
mod lifecycle;
mod ordering;
mod properties;
mod refusals;

use crate::sender::{AccountCode, SenderAccount};
use crate::state::{Added, Pool};
use crate::{HeadInfo, MempoolConfig, Origin, PoolError, PoolTransaction};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, Signature, TxHash, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_primitives::{Genesis, Transaction};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

const CHAIN_ID: u64 = 31_337;
const BASE_FEE: u64 = 100;
const ETHER: u128 = 1_000_000_000_000_000_000;
/// When Amsterdam starts on the chain of these tests.
const AMSTERDAM_TIME: u64 = 1_000;

fn genesis() -> Genesis {
    let text = format!(
        r#"{{"config":{{"chainId":{CHAIN_ID},"londonBlock":0,"terminalTotalDifficulty":"0x0","shanghaiTime":0,
        "cancunTime":0,"pragueTime":0,"osakaTime":0,"amsterdamTime":{AMSTERDAM_TIME}}},
        "difficulty":"0x0","gasLimit":"0x1c9c380","alloc":{{}}}}"#
    );
    Genesis::from_json(&text).unwrap()
}

fn head(number: u64) -> HeadInfo {
    HeadInfo { number, timestamp: number, gas_limit: 30_000_000, next_base_fee: BASE_FEE }
}

/// The senders 1 to 50.
static SIGNERS: LazyLock<Vec<PrivateKeySigner>> = LazyLock::new(|| {
    (1..=50).map(|sender| PrivateKeySigner::from_bytes(&B256::repeat_byte(sender)).unwrap()).collect()
});

fn signer(sender: u8) -> &'static PrivateKeySigner {
    &SIGNERS[usize::from(sender) - 1]
}

fn address(sender: u8) -> Address {
    signer(sender).address()
}

fn rich() -> SenderAccount {
    SenderAccount { nonce: 0, balance: U256::from(ETHER), code: AccountCode::Empty }
}

fn with_nonce(nonce: u64) -> SenderAccount {
    SenderAccount { nonce, ..rich() }
}

fn with_balance(balance: u64) -> SenderAccount {
    SenderAccount { balance: U256::from(balance), ..rich() }
}

/// A transaction to be signed; EIP-1559 unless `kind` says otherwise.
#[derive(Clone, Debug)]
struct Draft {
    kind: u8,
    chain_id: Option<u64>,
    sender: u8,
    nonce: u64,
    tip: u128,
    fee_cap: u128,
    gas: u64,
    value: u128,
    to: TxKind,
    data: Bytes,
    authorizations: Vec<SignedAuthorization>,
}

/// A transfer of nothing at twice the base fee and a tip of 10.
fn draft(sender: u8, nonce: u64) -> Draft {
    Draft {
        kind: 2,
        chain_id: Some(CHAIN_ID),
        sender,
        nonce,
        tip: 10,
        fee_cap: 2 * u128::from(BASE_FEE),
        gas: 21_000,
        value: 0,
        to: TxKind::Call(Address::repeat_byte(0x11)),
        data: Bytes::new(),
        authorizations: Vec::new(),
    }
}

impl Draft {
    /// Pays `tip` above the base fee of these tests, and no more.
    fn tip(self, tip: u128) -> Self {
        Self { tip, fee_cap: u128::from(BASE_FEE) + tip, ..self }
    }

    fn fees(self, fee_cap: u128, tip: u128) -> Self {
        Self { tip, fee_cap, ..self }
    }

    fn data(self, bytes: usize) -> Self {
        Self { data: vec![0; bytes].into(), gas: 21_000 + 10 * bytes as u64, ..self }
    }

    fn authorize(self, authority: u8) -> Self {
        let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: Address::ZERO, nonce: 0 };
        let signature = signer(authority).sign_hash_sync(&authorization.signature_hash()).unwrap();
        let mut authorizations = self.authorizations;
        authorizations.push(authorization.into_signed(signature));
        Self { kind: 4, gas: 100_000, authorizations, ..self }
    }

    fn sign(self) -> Transaction {
        let Self { chain_id, nonce, tip, fee_cap, gas, value, to, data: input, .. } = self;
        let (gas_limit, value, gas_price) = (gas, U256::from(value), fee_cap);
        let (max_fee_per_gas, max_priority_fee_per_gas) = (fee_cap, tip);
        let access_list = Default::default();
        let id = chain_id.unwrap_or(CHAIN_ID);
        let callee = to.into_to().unwrap_or_default();
        match self.kind {
            0 => sign(self.sender, TxLegacy { chain_id, nonce, gas_price, gas_limit, to, value, input }),
            1 => sign(
                self.sender,
                TxEip2930 { chain_id: id, nonce, gas_price, gas_limit, to, value, input, access_list },
            ),
            2 => sign(
                self.sender,
                TxEip1559 {
                    chain_id: id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to,
                    value,
                    access_list,
                    input,
                },
            ),
            3 => sign(
                self.sender,
                TxEip4844 {
                    chain_id: id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: callee,
                    value,
                    access_list,
                    blob_versioned_hashes: vec![B256::with_last_byte(1)],
                    max_fee_per_blob_gas: 1,
                    input,
                },
            ),
            _ => sign(
                self.sender,
                TxEip7702 {
                    chain_id: id,
                    nonce,
                    gas_limit,
                    max_fee_per_gas,
                    max_priority_fee_per_gas,
                    to: callee,
                    value,
                    access_list,
                    authorization_list: self.authorizations,
                    input,
                },
            ),
        }
    }

    fn encode(self) -> Bytes {
        self.sign().encoded_2718().into()
    }

    fn hash(&self) -> TxHash {
        *self.clone().sign().tx_hash()
    }
}

fn sign<T: SignableTransaction<Signature>>(sender: u8, transaction: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    let signature = signer(sender).sign_hash_sync(&transaction.signature_hash()).unwrap();
    transaction.into_signed(signature).into()
}

/// Pending and queued transactions as (sender, nonce).
type Content = (Vec<(u8, u64)>, Vec<(u8, u64)>);

/// A pool with a clock and accounts; every sender is rich unless told otherwise.
struct Fixture {
    pool: Pool,
    accounts: HashMap<Address, SenderAccount>,
    now: Instant,
}

impl Fixture {
    fn new() -> Self {
        Self::with(MempoolConfig::default())
    }

    fn with(config: MempoolConfig) -> Self {
        Self { pool: Pool::new(config, &genesis(), head(1)), accounts: HashMap::new(), now: Instant::now() }
    }

    fn account(mut self, sender: u8, account: SenderAccount) -> Self {
        self.accounts.insert(address(sender), account);
        self
    }

    fn add_raw(&mut self, raw: &[u8]) -> Result<Added, PoolError> {
        let transaction = Arc::new(PoolTransaction::decode(raw, &self.pool.rules())?);
        let account = self.accounts.get(&transaction.sender()).copied().unwrap_or(rich());
        self.pool.set_account(transaction.sender(), account);
        self.pool.add(transaction, account, Origin::Local, self.now)
    }

    fn add(&mut self, draft: Draft) -> Result<Added, PoolError> {
        self.add_raw(&draft.encode())
    }

    /// Adds drafts that must be accepted.
    fn holding(mut self, drafts: impl IntoIterator<Item = Draft>) -> Self {
        for draft in drafts {
            self.add(draft).unwrap();
        }
        self
    }

    /// Commits a block that leaves these accounts behind; returns what became pending and how many left.
    fn commit(&mut self, head: HeadInfo, changed: &[(u8, SenderAccount)]) -> (Vec<(u8, u64)>, usize) {
        let changed: HashMap<_, _> = changed.iter().map(|(sender, account)| (address(*sender), *account)).collect();
        self.accounts.extend(&changed);
        let changes = self.pool.on_committed(head, &changed);
        (names(changes.promoted.iter().map(|entry| &entry.transaction)), changes.removed)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn content(&self) -> Content {
        let content = self.pool.content();
        let mut sides = [&content.pending, &content.queued].map(|side| names(side.values().flatten()));
        sides.iter_mut().for_each(|side| side.sort_unstable());
        let [pending, queued] = sides;
        (pending, queued)
    }

    fn counts(&self) -> (usize, usize) {
        (self.pool.status().pending, self.pool.status().queued)
    }

    fn best(&self) -> Vec<(u8, u64)> {
        self.pool.best().map(|tx| (name(tx.signer()), alloy_consensus::Transaction::nonce(&*tx))).collect()
    }
}

/// Which sender has this address.
fn name(address: Address) -> u8 {
    SIGNERS.iter().position(|signer| signer.address() == address).unwrap() as u8 + 1
}

fn names<'a>(transactions: impl Iterator<Item = &'a Arc<PoolTransaction>>) -> Vec<(u8, u64)> {
    transactions.map(|transaction| (name(transaction.sender()), transaction.nonce())).collect()
}
