//! Two small chains as files, and the binary to read them.

use alloy_consensus::{SignableTransaction, TxEip1559, transaction::SignerRecoverable};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::{BlockTemplate, BuildRequest, Chain, ChainConfig, RecoveredBlock};
use heddle_evm::system_contracts;
use heddle_primitives::registry::{self, Governance, RegistryStart};
use heddle_primitives::{
    Block, CertifiedBlock, CommitCertificate, CommitSignature, ConsensusKey, FinalizedBlock, Genesis, HeddleConfig,
    RecoveredTransaction, Round, SignedVote, Transaction, Validator, ValidatorSet, Vote, VoteKind,
};
use heddle_storage::{Database, DatabaseConfig};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;
use tempfile::TempDir;

const CHAIN_ID: u64 = 1_337;
/// Blocks.
const EPOCH_LENGTH: u64 = 3;
const GENESIS_TIME: u64 = 1_700_000_000;

/// A directory with a genesis file, in which chains are made, exported and imported.
pub struct Files {
    pub directory: TempDir,
    pub genesis: Genesis,
}

impl Files {
    pub fn plain() -> Self {
        let mut genesis = heddle_genesis().file().clone();
        genesis.config.extra_fields.remove("heddle");
        Self::of(Genesis::from_json(&serde_json::to_string(&genesis).unwrap()).unwrap())
    }

    pub fn heddle() -> Self {
        Self::of(heddle_genesis())
    }

    fn of(genesis: Genesis) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("genesis.json"), genesis.to_json().unwrap()).unwrap();
        Self { directory, genesis }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Imports files into a data directory of this name.
    pub fn import(&self, datadir: &str, files: &[&Path]) -> Ended {
        self.import_with(datadir, files, &[])
    }

    pub fn import_with(&self, datadir: &str, files: &[&Path], options: &[&str]) -> Ended {
        let mut command = self.import_command(datadir, files);
        Ended::of(command.args(options).output().unwrap())
    }

    pub fn import_command(&self, datadir: &str, files: &[&Path]) -> Command {
        let mut command = heddle();
        command.arg("import").arg("--chain").arg(self.path("genesis.json"));
        command.arg("--datadir").arg(self.path(datadir)).args(files);
        command
    }

    pub fn export(&self, datadir: &str, file: &Path, options: &[&str]) -> Ended {
        let mut command = heddle();
        command.arg("export").arg("--datadir").arg(self.path(datadir)).args(options).arg(file);
        Ended::of(command.output().unwrap())
    }

    /// The chain in a data directory.
    pub fn open(&self, datadir: &str) -> Chain {
        let path = self.path(datadir);
        std::fs::create_dir_all(&path).unwrap();
        let database = Database::open(&path.join("db"), &DatabaseConfig::default()).unwrap();
        Chain::open(self.genesis.clone(), database, ChainConfig::default()).unwrap()
    }
}

/// How the binary ended.
pub struct Ended {
    pub code: Option<i32>,
    /// The last line of stdout.
    pub result: Option<Value>,
    pub stderr: String,
}

impl Ended {
    pub fn of(output: Output) -> Self {
        let stdout = String::from_utf8(output.stdout).unwrap();
        Self {
            code: output.status.code(),
            result: stdout.lines().last().map(|line| serde_json::from_str(line).unwrap()),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The result of a command that succeeded.
    pub fn ok(&self) -> &Value {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.result.as_ref().unwrap()
    }

    /// What was kept by a command that failed with this cause in its one sentence.
    pub fn kept(&self, cause: &str) -> &Value {
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        let sentence = self.stderr.lines().last().unwrap();
        assert!(sentence.starts_with("heddle: ") && sentence.contains(cause), "expected `{cause}`, got `{sentence}`");
        self.result.as_ref().unwrap()
    }
}

pub fn heddle() -> Command {
    Command::new(env!("CARGO_BIN_EXE_heddle"))
}

fn user() -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap()
}

fn validator() -> ConsensusKey {
    ConsensusKey::from_bytes(&[1; 32])
}

fn heddle_genesis() -> Genesis {
    let mut alloc = system_contracts();
    alloc.push((user().address(), GenesisAccount::default().with_balance(U256::from(10u128.pow(24)))));
    let validators =
        ValidatorSet::new(vec![Validator::new(validator().public_key(), 1, Address::repeat_byte(1))]).unwrap();
    let governance = Governance::Administered { administrator: user().address() };
    alloc.push((registry::ADDRESS, RegistryStart::new(governance, EPOCH_LENGTH).account(&validators).unwrap()));
    let mut file = alloy_genesis::Genesis {
        gas_limit: 30_000_000,
        timestamp: GENESIS_TIME,
        alloc: alloc.into_iter().collect(),
        ..Default::default()
    };
    file.config.chain_id = CHAIN_ID;
    let heddle = HeddleConfig {
        validators,
        block_time: Duration::from_millis(500),
        empty_block_time: Duration::from_millis(500),
        epoch_length: EPOCH_LENGTH,
        registry: Some(registry::ADDRESS),
    };
    Genesis::new_heddle(file, heddle).unwrap()
}

/// A transfer of the one user, to a new account each.
pub fn transfer(nonce: u64) -> Transaction {
    let to = Address::left_padding_from(&(nonce + 1_000_000).to_be_bytes());
    call(TxEip1559 { nonce, gas_limit: 21_000, to: TxKind::Call(to), value: U256::from(1), ..Default::default() })
}

/// Raises the validator's power to five, from the next epoch on.
pub fn raise(nonce: u64) -> Transaction {
    let selector = &keccak256("setPower(bytes32,uint64)")[..4];
    let power = U256::from(5).to_be_bytes::<32>();
    let input = [selector, validator().public_key().as_bytes(), &power].concat().into();
    call(TxEip1559 { nonce, gas_limit: 200_000, to: TxKind::Call(registry::ADDRESS), input, ..Default::default() })
}

fn call(transaction: TxEip1559) -> Transaction {
    let transaction = TxEip1559 { chain_id: CHAIN_ID, max_fee_per_gas: 10_000_000_000, ..transaction };
    let signature = user().sign_hash_sync(&transaction.signature_hash()).unwrap();
    transaction.into_signed(signature).into()
}

/// Blocks of a plain chain, with two transfers each.
pub fn plain_blocks(files: &Files, count: u64) -> Vec<Block> {
    let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
    let chain = Chain::open(files.genesis.clone(), database, ChainConfig::default()).unwrap();
    let block = |n: u64| {
        let transactions = vec![transfer(n * 2), transfer(n * 2 + 1)];
        let timestamp = chain.head().header.timestamp + 12;
        let template = BlockTemplate { timestamp, transactions, ..BlockTemplate::default() };
        let block = chain.assemble(template).unwrap();
        chain.import(&RecoveredBlock::recover(chain.rules(), block.clone()).unwrap()).unwrap();
        Block::clone(&block)
    };
    (0..count).map(block).collect()
}

pub fn rlp(blocks: &[Block]) -> Vec<u8> {
    blocks.iter().flat_map(alloy_rlp::encode).collect()
}

/// Commits a block with one transaction to a Heddle chain, as its only validator.
pub fn extend_heddle(chain: &Chain, transaction: Transaction) {
    let height = chain.head().height().next();
    let signer = transaction.recover_signer().unwrap();
    let request = BuildRequest {
        timestamp: chain.head().header.timestamp + 1,
        fee_recipient: Address::repeat_byte(1),
        candidates: Box::new(std::iter::once(RecoveredTransaction::new_unchecked(transaction, signer))),
        deadline: &|| false,
    };
    let built = chain.build(request).unwrap();
    let (context, key) = (chain.signing_context(), validator());
    let validator = Validator::new(key.public_key(), 1, Address::ZERO).address;
    let (round, block_hash) = (Round::ZERO, Some(built.hash));
    let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash, validator };
    let signature = CommitSignature { validator, signature: SignedVote::sign(vote, &key, &context).signature };
    let certificate = CommitCertificate::new(height, round, built.hash, vec![signature]);
    let finalized = FinalizedBlock { proposed: built.proposed, certificate };
    let validators = chain.validators(height).unwrap();
    chain.commit(&CertifiedBlock::verify(finalized, &validators, &context).unwrap()).unwrap();
}
