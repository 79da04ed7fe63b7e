//! Transaction tests: bytes that each fork takes as a transaction of some sender, or refuses.
//!
//! The rules are the node's own: what decodes in a block, whose signature recovers, and what the executor accepts from a
//! sender who has all the money there is.

use crate::alloc::{Alloc, AllocAccount, MemoryState};
use crate::network::{self, FixtureConfig, Fork, Network};
use crate::number::{Number, parse_bytes};
use crate::verdict::{Case, Refusal, Verdict};
use crate::{exceptions, skips};
use alloy_consensus::{EthereumTypedTransaction, SignableTransaction, Transaction as _, transaction::Recovered};
use alloy_eips::eip2718::Decodable2718;
use alloy_genesis::Genesis as GenesisFile;
use alloy_primitives::{Address, B256, U256};
use heddle_evm::{ChainRules, recover_sender, transact};
use heddle_primitives::{Header, RecoveredTransaction, Transaction};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug, Deserialize)]
struct TransactionTest {
    txbytes: String,
    result: BTreeMap<String, Expected>,
    config: Option<FixtureConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Expected {
    exception: Option<String>,
    hash: Option<B256>,
    sender: Option<Address>,
    intrinsic_gas: Option<Number>,
}

/// Judges every fork of a test.
pub(crate) fn run(test: Value) -> Vec<Case> {
    let test: TransactionTest = match serde_json::from_value(test) {
        Ok(test) => test,
        Err(error) => return vec![Case::whole(Verdict::Failed(format!("not a transaction test: {error}")))],
    };
    let judge_one = |(network, expected): (&String, &Expected)| {
        let judge = || judge(&test, network, expected).unwrap_or_else(Verdict::Failed);
        Case { label: network.clone(), verdict: Verdict::isolate(judge) }
    };
    test.result.iter().map(judge_one).collect()
}

fn judge(test: &TransactionTest, network: &str, expected: &Expected) -> Result<Verdict, String> {
    let rules = Rules::new(network, test.config.as_ref()).map_err(|error| error.to_string())?;
    let bytes = parse_bytes(&test.txbytes).unwrap_or_default();
    let checked = Transaction::decode_2718_exact(&bytes)
        .map_err(|error| Refusal::malformed(error.to_string()))
        .and_then(|transaction| rules.recover(transaction));
    let checked = match checked {
        Ok(transaction) => rules.check(&transaction)?.map(|()| transaction),
        Err(refusal) => Err(refusal),
    };
    match (&expected.exception, checked) {
        (Some(expected), Err(refusal)) => Ok(refusal.judge(expected)),
        (Some(expected), Ok(_)) => Err(format!("expected {expected}, but the transaction is valid")),
        (None, Err(_)) if skips::has_fee_of_128_bits(&bytes) => Ok(Verdict::Skipped(skips::FEE_OF_128_BITS.reason)),
        (None, Err(refusal)) => Err(format!("expected a valid transaction, refused: {}", refusal.reason)),
        (None, Ok(transaction)) => compare(expected, &rules, &transaction).map(|()| Verdict::Passed),
    }
}

fn compare(expected: &Expected, rules: &Rules, transaction: &RecoveredTransaction) -> Result<(), String> {
    let (hash, sender) = (*transaction.tx_hash(), transaction.signer());
    if let Some(expected) = expected.hash.filter(|expected| *expected != hash) {
        return Err(format!("hash: expected {expected}, got {hash}"));
    }
    if let Some(expected) = expected.sender.filter(|expected| *expected != sender) {
        return Err(format!("sender: expected {expected}, got {sender}"));
    }
    let Some(intrinsic_gas) = expected.intrinsic_gas else { return Ok(()) };
    let gas: u64 = intrinsic_gas.narrow().map_err(|error| error.to_string())?;
    // The intrinsic gas is the least with which the transaction is valid.
    if let Err(refusal) = rules.check(&with_gas_limit(transaction, gas))? {
        return Err(format!("with its intrinsic gas {gas} as limit the transaction is refused: {}", refusal.reason));
    }
    if gas > 0 && rules.check(&with_gas_limit(transaction, gas - 1))?.is_ok() {
        return Err(format!("with less than its intrinsic gas {gas} as limit the transaction is valid"));
    }
    Ok(())
}

/// The transaction with another gas limit. A signature matters no more once its sender is recovered.
fn with_gas_limit(transaction: &RecoveredTransaction, gas: u64) -> RecoveredTransaction {
    with(transaction, |fields| *fields.gas_limit = gas)
}

/// The transaction with as little value as changes no rule: whether its sender has it, is not asked here.
fn with_small_value(transaction: &RecoveredTransaction) -> RecoveredTransaction {
    with(transaction, |fields| *fields.value = U256::from(1).min(*fields.value))
}

struct Fields<'a> {
    gas_limit: &'a mut u64,
    value: &'a mut U256,
}

fn with(transaction: &RecoveredTransaction, change: impl FnOnce(Fields<'_>)) -> RecoveredTransaction {
    let signature = *transaction.signature();
    let mut typed = EthereumTypedTransaction::from(transaction.inner().clone());
    let (gas_limit, value) = match &mut typed {
        EthereumTypedTransaction::Legacy(fields) => (&mut fields.gas_limit, &mut fields.value),
        EthereumTypedTransaction::Eip2930(fields) => (&mut fields.gas_limit, &mut fields.value),
        EthereumTypedTransaction::Eip1559(fields) => (&mut fields.gas_limit, &mut fields.value),
        EthereumTypedTransaction::Eip4844(fields) => (&mut fields.gas_limit, &mut fields.value),
        EthereumTypedTransaction::Eip7702(fields) => (&mut fields.gas_limit, &mut fields.value),
    };
    change(Fields { gas_limit, value });
    Recovered::new_unchecked(typed.into_signed(signature).into(), transaction.signer())
}

/// A chain and a block that refuse nothing for the block's sake.
struct Rules {
    chain: ChainRules,
    header: Header,
}

impl Rules {
    fn new(network: &str, config: Option<&FixtureConfig>) -> Result<Self, network::NetworkError> {
        let network = Network::parse(network)?;
        let fork = network.from;
        let file = GenesisFile {
            config: network.chain_config(config)?,
            gas_limit: i64::MAX as u64,
            base_fee_per_gas: (fork >= Fork::London).then_some(0),
            ..GenesisFile::default()
        };
        let genesis = network::genesis(&file)?;
        Ok(Self {
            chain: ChainRules::new(&genesis),
            header: Header { gas_limit: u64::MAX, ..(**genesis.header()).clone() },
        })
    }

    fn recover(&self, transaction: Transaction) -> Result<RecoveredTransaction, Refusal> {
        let sender = recover_sender(&self.chain, self.header.number, &transaction);
        let sender = sender.map_err(|error| exceptions::transaction_refusal(&error))?;
        Ok(Recovered::new_unchecked(transaction, sender))
    }

    /// Whether the executor accepts a transaction; the outer error is a failure of ours.
    fn check(&self, transaction: &RecoveredTransaction) -> Result<Result<(), Refusal>, String> {
        let nonce = Number(U256::from(transaction.nonce()));
        let rich = AllocAccount { nonce, balance: Number(U256::MAX), ..AllocAccount::default() };
        let state = MemoryState::new(&Alloc::from([(transaction.signer(), Some(rich))]))?;
        match transact(&self.chain, &state, &self.header, &with_small_value(transaction)) {
            Ok(_) => Ok(Ok(())),
            Err(error) if error.is_invalid_block() => Ok(Err(exceptions::execution_refusal(&error))),
            Err(error) => Err(format!("our own failure: {error}")),
        }
    }
}
