//! Blocks to propose: transfers between strangers, under the certificates of as many validators as there are nodes.

use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, SignableTransaction, TxEip1559, proofs::calculate_transaction_root,
};
use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use heddle_primitives::{
    Block, CommitCertificate, CommitSignature, ConsensusKey, Header, Height, Proposal, ProposalMessage, ProposedBlock,
    Round, SignedProposal, SignedVote, SigningContext, Transaction, Validator, ValidatorSet, Vote, VoteKind,
    consensus_root,
};
use rayon::prelude::*;
use std::error::Error;
use std::sync::Arc;

/// The chain that every node of a run is on.
pub const GENESIS_HASH: B256 = B256::repeat_byte(0x7e);
const CHAIN_ID: u64 = 1;
const TRANSFER_GAS: u64 = 21_000;

/// The validators, and the blocks that they have agreed on so far.
pub struct Chain {
    keys: Vec<ConsensusKey>,
    validators: ValidatorSet,
    height: Height,
    parent: Option<CommitCertificate>,
    transactions: u64,
}

impl Chain {
    /// A chain of `validators` validators (1 to 255) before its first block.
    ///
    /// # Errors
    /// When such a set of validators cannot be.
    pub fn new(validators: u8) -> Result<Self, Box<dyn Error>> {
        let keys: Vec<_> = (1..=validators).map(|index| ConsensusKey::from_bytes(&[index; 32])).collect();
        let members = keys.iter().map(|key| Validator::new(key.public_key(), 1, Address::ZERO)).collect();
        let validators = ValidatorSet::new(members)?;
        Ok(Self { keys, validators, height: Height::GENESIS, parent: None, transactions: 0 })
    }

    /// What signatures on this chain bind.
    pub fn context() -> SigningContext {
        SigningContext { genesis_hash: GENESIS_HASH }
    }

    /// The validators of every height.
    pub fn validators(&self) -> &ValidatorSet {
        &self.validators
    }

    /// Transfers that no earlier call has made.
    ///
    /// # Errors
    /// When one cannot be signed.
    pub fn transfers(&mut self, count: usize) -> Result<Vec<Transaction>, Box<dyn Error>> {
        let first = self.transactions;
        self.transactions += count as u64;
        let made: Result<_, Box<dyn Error + Send + Sync>> =
            (first..self.transactions).into_par_iter().map(transfer).collect();
        made.map_err(|error| -> Box<dyn Error> { error })
    }

    /// Makes the next block of `transactions`; the chain goes on from there. Also names its proposer, by number from 0.
    ///
    /// # Errors
    /// When the proposer is none of us, which would be a bug.
    pub fn propose(&mut self, transactions: Vec<Transaction>) -> Result<(usize, ProposalMessage), Box<dyn Error>> {
        self.height = self.height.next();
        let (height, round) = (self.height, Round::ZERO);
        let block = self.block(transactions);
        let block_hash = block.header.hash_slow();
        let validator = self.validators.proposer(height, round.as_u32()).address;
        let proposer = self.keys.iter().position(|key| key.address() == validator).ok_or("no such validator")?;
        let key = self.keys.get(proposer).ok_or("no such validator")?;
        let proposal = Proposal { height, round, block_hash, pol_round: None, validator };
        let proposal = SignedProposal::sign(proposal, key, &Self::context());
        let body = ProposedBlock::new(Arc::new(block), self.parent.take());
        self.parent = Some(self.certificate(block_hash));
        Ok((proposer, ProposalMessage { proposal, body }))
    }

    fn block(&self, transactions: Vec<Transaction>) -> Block {
        let header = Header {
            number: self.height.as_u64(),
            transactions_root: calculate_transaction_root(&transactions),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            // A field may only be there when all before it are.
            base_fee_per_gas: Some(1_000_000_000),
            withdrawals_root: Some(EMPTY_ROOT_HASH),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(consensus_root(self.parent.as_ref(), &[])),
            extra_data: B256::repeat_byte(1).into(),
            gas_used: transactions.len() as u64 * TRANSFER_GAS,
            ..Header::default()
        };
        let mut block = Block { header, body: Default::default() };
        block.body.transactions = transactions;
        block.body.withdrawals = Some(Default::default());
        block
    }

    /// Signed by as few validators as suffice.
    fn certificate(&self, block_hash: B256) -> CommitCertificate {
        let quorum = self.keys.len() * 2 / 3 + 1;
        let sign = |key: &ConsensusKey| {
            let (height, round, validator) = (self.height, Round::ZERO, key.address());
            let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash: Some(block_hash), validator };
            let signature = SignedVote::sign(vote, key, &Self::context()).signature;
            CommitSignature { validator, signature }
        };
        CommitCertificate::new(self.height, Round::ZERO, block_hash, self.keys.iter().take(quorum).map(sign).collect())
    }
}

/// The transfer of this number, from a key of its own: as with real users, no two look alike.
fn transfer(number: u64) -> Result<Transaction, Box<dyn Error + Send + Sync>> {
    let key = PrivateKeySigner::from_bytes(&keccak256(number.to_be_bytes()))?;
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: number % 1_000,
        gas_limit: TRANSFER_GAS,
        max_fee_per_gas: 30_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::from_word(keccak256([number.to_be_bytes(), [1; 8]].concat()))),
        value: U256::from(number) * U256::from(1_000_000_000_000_000u64),
        ..TxEip1559::default()
    };
    let signature = key.sign_hash_sync(&transaction.signature_hash())?;
    Ok(transaction.into_signed(signature).into())
}
