//! A chain of one validator whose blocks do nothing but make accounts: of every eight, one is a contract with four slots.

use crate::genesis::{NewChain, new_chain, validator_set};
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use alloy_consensus::{SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, Bytes, TxKind, U256, address, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_chain::{BuildRequest, Chain};
use heddle_primitives::{
    CertifiedBlock, CommitCertificate, CommitSignature, ConsensusKey, FinalizedBlock, Genesis, Height,
    RecoveredTransaction, Round, SignedVote, Vote, VoteKind,
};
use std::error::Error;
use std::time::Duration;

const CHAIN_ID: u64 = 1_337;
/// Accounts that one transaction makes, near the most gas that one may use (EIP-7825).
const ACCOUNTS_PER_TRANSACTION: u64 = 320;
const TRANSACTIONS_PER_BLOCK: u64 = 15;
const TRANSACTION_GAS: u64 = 16_700_000;
/// Twice what a block uses at most, so that the base fee does not rise.
const GAS_LIMIT: u64 = 2 * TRANSACTIONS_PER_BLOCK * TRANSACTION_GAS;
const MAKER: Address = address!("0x000000000000000000000000000000000000face");

/// Makes the accounts with numbers from argument 0 on, as many as argument 1 says. Assembly:
///
/// ```text
/// 5f 35 80 6020 35 01 90                            the end, the number
/// 5b 81 81 10 15 6050 57                            until they are equal
/// 80 6007 16 15 602b 57                             a multiple of eight?
/// 80 5f 52 5f 5f 5f 5f 6001 6020 5f 20 5a f1 50     otherwise one wei to the address that hashing the number gives
/// 6049 56
/// 5b 72 (19 bytes of initialisation) 5f 52 6013 600d 5f f0 50     a contract
/// 5b 6001 01 6008 56                                the next number
/// 5b 00
/// ```
///
/// The initialisation stores the contract's address in slots 0 to 3, and returns one byte of code:
/// `30 5f 55 30 6001 55 30 6002 55 30 6003 55 6001 5f f3`.
const MAKER_CODE: [u8; 82] = hex!(
    "5f358060203501905b818110156050578060071615602b57805f525f5f5f5f600160205f205af150604956"
    "5b72305f5530600155306002553060035560015ff35f526013600d5ff0505b6001016008565b00"
);

/// Who signs the transactions and the blocks.
pub struct Growth {
    validator: ConsensusKey,
    sender: PrivateKeySigner,
    transactions: u64,
}

impl Growth {
    /// The same chain at every run.
    ///
    /// # Errors
    /// Never, but for a broken hash function.
    pub fn new() -> Result<Self, Box<dyn Error>> {
        let sender = PrivateKeySigner::from_bytes(&keccak256("sender"))?;
        Ok(Self { validator: ConsensusKey::from_bytes(&[7; 32]), sender, transactions: 0 })
    }

    /// Its genesis.
    ///
    /// # Errors
    /// Never, but for a broken genesis parser.
    pub fn genesis(&self) -> Result<Genesis, Box<dyn Error>> {
        let rich = GenesisAccount::default().with_balance(U256::from(10u64).pow(U256::from(24u64)));
        let maker = rich.clone().with_nonce(Some(1)).with_code(Some(Bytes::from_static(&MAKER_CODE)));
        new_chain(NewChain {
            chain_id: CHAIN_ID,
            gas_limit: GAS_LIMIT,
            block_time: Duration::from_secs(1),
            empty_block_time: Duration::from_secs(3_600),
            epoch_length: 1_000,
            governance: None,
            validators: validator_set([self.validator.public_key()])?,
            alloc: vec![(self.sender.address(), rich), (MAKER, maker)],
        })
    }

    /// Blocks that make so many accounts.
    pub fn blocks(accounts: u64) -> u64 {
        accounts.div_ceil(ACCOUNTS_PER_TRANSACTION * TRANSACTIONS_PER_BLOCK)
    }

    /// Commits so many blocks.
    ///
    /// # Errors
    /// The chain's, and that of a signal.
    pub fn grow(&mut self, chain: &Chain, blocks: u64, show: bool, stop: &StopFlag) -> Result<(), Box<dyn Error>> {
        let mut progress = show.then(|| Progress::new("generate", blocks));
        for number in 1..=blocks {
            if stop.is_raised() {
                return Err("stopped by a signal".into());
            }
            self.grow_by_block(chain)?;
            if let Some(progress) = &mut progress {
                progress.at(number, || format!("block {number}"));
            }
        }
        Ok(())
    }

    fn grow_by_block(&mut self, chain: &Chain) -> Result<(), Box<dyn Error>> {
        let first = self.transactions;
        self.transactions += TRANSACTIONS_PER_BLOCK;
        let candidates =
            (first..self.transactions).map(|nonce| self.transaction(nonce)).collect::<Result<Vec<_>, _>>()?;
        let head = chain.head();
        let built = chain.build(BuildRequest {
            timestamp: head.header.timestamp + 1,
            fee_recipient: self.fee_recipient(chain)?,
            candidates: Box::new(candidates.into_iter()),
            deadline: &|| false,
        })?;
        let height = head.height().next();
        let certificate = self.certificate(chain, height, built.hash);
        let validators = chain.validators(height)?;
        let block = FinalizedBlock { proposed: built.proposed, certificate };
        chain.commit(&CertifiedBlock::verify(block, &validators, &chain.signing_context())?)?;
        Ok(())
    }

    fn fee_recipient(&self, chain: &Chain) -> Result<Address, Box<dyn Error>> {
        let validators = chain.validators(chain.head().height().next())?;
        Ok(validators.get(&self.validator.address()).ok_or("the validator is none")?.fee_recipient)
    }

    fn certificate(&self, chain: &Chain, height: Height, block_hash: alloy_primitives::B256) -> CommitCertificate {
        let (round, kind, validator) = (Round::ZERO, VoteKind::Precommit, self.validator.address());
        let vote = Vote { height, round, kind, block_hash: Some(block_hash), validator };
        let signature = SignedVote::sign(vote, &self.validator, &chain.signing_context()).signature;
        CommitCertificate::new(height, round, block_hash, vec![CommitSignature { validator, signature }])
    }

    fn transaction(&self, nonce: u64) -> Result<RecoveredTransaction, alloy_signer::Error> {
        let words = [nonce * ACCOUNTS_PER_TRANSACTION, ACCOUNTS_PER_TRANSACTION].map(U256::from);
        let unsigned = TxEip1559 {
            chain_id: CHAIN_ID,
            nonce,
            gas_limit: TRANSACTION_GAS,
            max_fee_per_gas: 100_000_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(MAKER),
            input: words.map(|word| word.to_be_bytes::<32>()).concat().into(),
            ..Default::default()
        };
        let signature = self.sender.sign_hash_sync(&unsigned.signature_hash())?;
        Ok(Recovered::new_unchecked(unsigned.into_signed(signature).into(), self.sender.address()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_chain::ChainConfig;
    use heddle_storage::{Database, DatabaseConfig, Table};

    #[test]
    fn a_block_makes_the_accounts_that_it_says() {
        let mut growth = Growth::new().unwrap();
        let database = Database::open_in_memory(&DatabaseConfig::default()).unwrap();
        let chain = Chain::open(growth.genesis().unwrap(), database.clone(), ChainConfig::default()).unwrap();
        let rows = |table| database.snapshot().scan(table, &[]).unwrap().count() as u64;
        let (accounts, slots) = (rows(Table::Accounts), rows(Table::Storage));
        growth.grow(&chain, 1, false, &StopFlag::default()).unwrap();
        let receipts = chain.receipts(1).unwrap().unwrap();
        assert_eq!(receipts.len() as u64, TRANSACTIONS_PER_BLOCK);
        assert!(receipts.iter().all(|receipt| receipt.status()), "{:?}", chain.head().header.gas_used);
        let made = ACCOUNTS_PER_TRANSACTION * TRANSACTIONS_PER_BLOCK;
        // The fee recipient's account is new too; system contracts write a slot or two.
        assert!((made..=made + 2).contains(&(rows(Table::Accounts) - accounts)));
        assert!((made / 2..=made / 2 + 4).contains(&(rows(Table::Storage) - slots)));
    }
}
