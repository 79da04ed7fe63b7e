//! Blocks that break a rule, each in one way, wholly bound by the hash that is signed.

use super::{Adversary, Behaviour, Deception, forge};
use alloy_consensus::proofs::calculate_transaction_root;
use alloy_eips::eip2718::Decodable2718;
use alloy_primitives::{Address, B256, Bytes};
use heddle_chain::Chain;
use heddle_primitives::{Block, CommitCertificate, ProposalMessage, ProposedBlock, Transaction, Vote, consensus_root};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// What is wrong with a block.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    StateRoot,
    GasUsed,
    ReceiptsRoot,
    /// A transaction whose sender cannot send it.
    Transaction,
    FewSigned,
    ForgedSignature,
    OtherCertificate,
    Timestamp,
    Parent,
    Beneficiary,
    GasLimit,
    BaseFee,
}

impl Flaw {
    const ALL: [Self; 12] = [
        Self::StateRoot,
        Self::GasUsed,
        Self::ReceiptsRoot,
        Self::Transaction,
        Self::FewSigned,
        Self::ForgedSignature,
        Self::OtherCertificate,
        Self::Timestamp,
        Self::Parent,
        Self::Beneficiary,
        Self::GasLimit,
        Self::BaseFee,
    ];

    /// Whether everything else is right when the block is executed with the flaw.
    fn precedes_execution(self) -> bool {
        !matches!(self, Self::StateRoot | Self::GasUsed | Self::ReceiptsRoot | Self::Transaction)
    }
}

impl Adversary {
    pub(super) fn deceive_with_proposal(
        &self,
        node: usize,
        message: &ProposalMessage,
        spare: Option<&ProposedBlock>,
        chain: Option<&Chain>,
        deception: &mut Deception,
        rng: &mut ChaCha8Rng,
    ) {
        let proposal = &message.proposal.proposal;
        let body = match self.does(node, Behaviour::ProposesInvalid) && rng.random_ratio(3, 4) {
            true => self.spoil(&message.body, chain, rng),
            false => message.body.clone(),
        };
        let first = deception.add(self.propose(node, proposal.round, proposal.pol_round, body));
        let spare = spare.filter(|_| self.does(node, Behaviour::Equivocates));
        let second = spare.map(|spare| deception.add(self.propose(node, proposal.round, None, spare.clone())));
        for to in self.peers(node) {
            match second {
                Some(second) if rng.random() => deception.send(to, second),
                _ => deception.send(to, first),
            }
            if let Some(second) = second.filter(|_| rng.random_ratio(1, 5)) {
                deception.send(to, second);
            }
        }
    }

    /// Proposes in somebody else's turn, a block that would be good.
    pub(super) fn propose_out_of_turn(
        &self,
        node: usize,
        vote: &Vote,
        spare: ProposedBlock,
        chain: Option<&Chain>,
        deception: &mut Deception,
        rng: &mut ChaCha8Rng,
    ) {
        if spare.block.header.number != vote.height.as_u64() {
            return;
        }
        let round = heddle_primitives::Round::new(vote.round.as_u32() + rng.random_range(0..2));
        let validators = &self.fixture.heddle().validators;
        let mut block = Block::clone(&spare.block);
        block.header.beneficiary = validators.proposer(vote.height, round.as_u32()).fee_recipient;
        let spare = ProposedBlock { block: Arc::new(block), access_list: None, ..spare };
        let spare = chain.and_then(|chain| forge::execute(chain, &spare)).unwrap_or(spare);
        let index = deception.add(self.propose(node, round, None, spare));
        self.peers(node).for_each(|to| deception.send(to, index));
    }

    /// The same block with one flaw.
    pub(super) fn spoil(&self, body: &ProposedBlock, chain: Option<&Chain>, rng: &mut ChaCha8Rng) -> ProposedBlock {
        let mut spoilt = ProposedBlock { access_list: None, ..body.clone() };
        let mut block = Block::clone(&body.block);
        let header = &mut block.header;
        let flaw = Flaw::ALL[rng.random_range(0..Flaw::ALL.len())];
        match flaw {
            Flaw::StateRoot => header.state_root = B256::from(rng.random::<[u8; 32]>()),
            Flaw::GasUsed => header.gas_used += rng.random_range(1..1_000),
            Flaw::ReceiptsRoot => header.receipts_root = B256::from(rng.random::<[u8; 32]>()),
            Flaw::Transaction => {
                let nonce = rng.random_range(1_000..2_000);
                let raw = self.fixture.transaction(0, nonce, Address::repeat_byte(0x80), 1, Bytes::new());
                block.body.transactions.extend(Transaction::decode_2718_exact(&raw));
            }
            Flaw::FewSigned => alter(&mut spoilt, |certificate| certificate.signatures.truncate(1)),
            Flaw::ForgedSignature => alter(&mut spoilt, |certificate| {
                let forged = heddle_primitives::ConsensusSignature::from_bytes([7; 64]);
                certificate.signatures.iter_mut().for_each(|signature| signature.signature = forged);
            }),
            Flaw::OtherCertificate => alter(&mut spoilt, |certificate| {
                certificate.block_hash = B256::repeat_byte(9);
            }),
            Flaw::Timestamp => header.timestamp += rng.random_range(60..100_000),
            Flaw::Parent => header.parent_hash = B256::from(rng.random::<[u8; 32]>()),
            Flaw::Beneficiary => header.beneficiary = Address::repeat_byte(0xfe),
            Flaw::GasLimit => header.gas_limit *= 2,
            Flaw::BaseFee => header.base_fee_per_gas = header.base_fee_per_gas.map(|fee| fee + 1),
        }
        block.header.transactions_root = calculate_transaction_root(&block.body.transactions);
        let root = consensus_root(spoilt.parent_certificate.as_ref(), &spoilt.evidence);
        block.header.parent_beacon_block_root = Some(root);
        spoilt.block = Arc::new(block);
        match chain.filter(|_| flaw.precedes_execution()) {
            Some(chain) => forge::execute(chain, &spoilt).unwrap_or(spoilt),
            None => spoilt,
        }
    }
}

fn alter(body: &mut ProposedBlock, alter: impl FnOnce(&mut CommitCertificate)) {
    if let Some(certificate) = &mut body.parent_certificate {
        alter(certificate);
    }
}
