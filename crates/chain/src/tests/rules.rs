//! A block with any field wrong gets no vote, is told which rule it breaks, and leaves no trace.

use super::fixture::{LOGGER, Node, altered, certificate, certify, transaction};
use crate::{BlockError, ChainError, Fault};
use alloy_eips::eip4895::{Withdrawal, Withdrawals};
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use heddle_primitives::{Block, CertificateError, Header, ProposedBlock};

/// A proposer and a voter at height 1, so that the next block needs a parent certificate.
fn nodes() -> (Node, Node) {
    let (proposer, voter) = (Node::start(), Node::start());
    let first = certify(proposer.build(Vec::new()), [0, 1, 2]);
    proposer.commit(&first).unwrap();
    voter.commit(&first).unwrap();
    (proposer, voter)
}

fn proposal(node: &Node) -> ProposedBlock {
    node.build(vec![transaction(0, LOGGER, 0, B256::with_last_byte(1).0), transaction(1, LOGGER, 1, [])])
}

fn refused(voter: &Node, proposed: &ProposedBlock) -> String {
    let error = voter.vote(proposed).unwrap_err();
    assert_eq!(error.fault(), Fault::Peer, "{error}");
    error.to_string()
}

#[test]
fn every_header_field_is_checked() {
    type Alter = fn(&mut Header);
    let fields: [(&str, Alter); 24] = [
        ("parent hash is", |h| h.parent_hash = B256::repeat_byte(0x77)),
        ("ommers hash is", |h| h.ommers_hash = B256::repeat_byte(0x77)),
        ("beneficiary is", |h| h.beneficiary = Address::repeat_byte(0x77)),
        ("state root is", |h| h.state_root = B256::repeat_byte(0x77)),
        ("transactions root is", |h| h.transactions_root = B256::repeat_byte(0x77)),
        ("receipts root is", |h| h.receipts_root = B256::repeat_byte(0x77)),
        ("logs bloom is", |h| h.logs_bloom = Bloom::ZERO),
        ("difficulty is", |h| h.difficulty = U256::from(1)),
        ("is too far from the parent's", |h| h.gas_limit += h.gas_limit / 1024),
        ("gas limit 4999 is not in", |h| h.gas_limit = 4_999),
        ("gas used is", |h| h.gas_used += 1),
        ("is more than the gas limit", |h| h.gas_used = h.gas_limit + 1),
        ("is too early", |h| h.timestamp -= 2),
        ("extra data is", |h| h.extra_data = Bytes::new()),
        ("prevRandao is", |h| h.mix_hash = B256::repeat_byte(0x77)),
        ("nonce is", |h| h.nonce = B64::repeat_byte(1)),
        ("base fee is", |h| h.base_fee_per_gas = h.base_fee_per_gas.map(|fee| fee + 1)),
        ("withdrawals root is", |h| h.withdrawals_root = Some(B256::repeat_byte(0x77))),
        ("blob gas used", |h| h.blob_gas_used = Some(131_072)),
        ("excess blob gas is", |h| h.excess_blob_gas = Some(1)),
        ("parentBeaconBlockRoot is", |h| h.parent_beacon_block_root = Some(B256::repeat_byte(0x77))),
        ("requests hash is", |h| h.requests_hash = Some(B256::repeat_byte(0x77))),
        ("blockAccessListHash", |h| h.block_access_list_hash = Some(B256::ZERO)),
        ("slotNumber", |h| {
            h.block_access_list_hash = None;
            h.slot_number = Some(2);
        }),
    ];
    let (proposer, voter) = nodes();
    let good = proposal(&proposer);
    for (rule, alter) in fields {
        let text = refused(&voter, &altered(&good, |block| alter(&mut block.header)));
        assert!(text.contains(rule), "expected `{rule}`, got `{text}`");
    }
    let number = altered(&good, |block| block.header.number += 1);
    assert!(matches!(voter.vote(&number), Err(ChainError::NotNext { number: 3, head: 1 })));

    voter.vote(&good).unwrap();
    let certified = certify(good, [0, 1, 2]);
    assert_eq!(voter.commit(&certified).unwrap().hash(), proposer.commit(&certified).unwrap().hash());
}

#[test]
fn every_part_of_the_body_is_checked() {
    type Alter = fn(&mut Block);
    let withdrawals = |block: &mut Block| {
        block.body.withdrawals = Some(Withdrawals::new(vec![Withdrawal::default()]));
    };
    let parts: [(&str, Alter); 5] = [
        ("transactions root is", |block| block.body.transactions.swap(0, 1)),
        ("transactions root is", |block| block.body.transactions.clear()),
        ("ommers hash is", |block| block.body.ommers.push(Header::default())),
        ("withdrawals root is", withdrawals),
        ("withdrawals", |block| block.body.withdrawals = None),
    ];
    let (proposer, voter) = nodes();
    let good = proposal(&proposer);
    for (rule, alter) in parts {
        let text = refused(&voter, &altered(&good, alter));
        assert!(text.contains(rule), "expected `{rule}`, got `{text}`");
    }
    let invalid = altered(&good, |block| {
        block.body.transactions.swap(0, 1);
        block.header.transactions_root = alloy_consensus::proofs::calculate_transaction_root(&block.body.transactions);
    });
    let text = refused(&voter, &invalid);
    assert!(text.contains("transaction 0") && text.contains("nonce"), "{text}");
    voter.vote(&good).unwrap();
}

#[test]
fn the_proposer_and_the_clock_are_checked_before_voting() {
    let (proposer, voter) = nodes();
    let good = proposal(&proposer);
    let timestamp = good.block.header.timestamp;
    let height = voter.head().height().next();
    let validators = voter.validators(height).unwrap();
    let next_proposer = validators.proposer(height, 1);
    let error = voter.validate(&good, next_proposer, timestamp, &|_| None).unwrap_err();
    assert!(matches!(error, ChainError::InvalidBlock(BlockError::Beneficiary { .. })), "{error}");

    let error = voter.validate(&good, &voter.proposer(), timestamp - 16, &|_| None).unwrap_err();
    assert!(matches!(error, ChainError::InvalidBlock(BlockError::FutureTimestamp { drift: 15, .. })), "{error}");
    voter.validate(&good, &voter.proposer(), timestamp - 15, &|_| None).unwrap();
}

#[test]
fn the_parent_certificate_must_be_there_be_bound_and_verify() {
    let (proposer, voter) = nodes();
    let good = proposal(&proposer);
    let parent = voter.head();
    let with = |certificate: Option<heddle_primitives::CommitCertificate>| {
        let digest = certificate.as_ref().map(|c| c.digest()).unwrap_or_default();
        let mut proposed = altered(&good, |block| block.header.parent_beacon_block_root = Some(digest));
        proposed.parent_certificate = certificate;
        match voter.vote(&proposed).unwrap_err() {
            ChainError::InvalidBlock(error) => error,
            error => panic!("{error}"),
        }
    };
    assert!(matches!(with(None), BlockError::ParentCertificatePresence { parent: 1, .. }));
    let two_votes = with(Some(certificate(1, parent.hash(), [0, 1])));
    assert!(
        matches!(two_votes, BlockError::ParentCertificate(CertificateError::NoQuorum { signed: 2, total: 4 })),
        "{two_votes}"
    );
    let other_block = with(Some(certificate(1, B256::repeat_byte(0x77), [0, 1, 2])));
    assert!(matches!(other_block, BlockError::ParentCertificateBlock { .. }), "{other_block}");

    let mut forged = certificate(1, parent.hash(), [0, 1, 2]);
    forged.signatures[1].signature = forged.signatures[0].signature;
    let forged = with(Some(forged));
    assert!(matches!(forged, BlockError::ParentCertificate(CertificateError::BadSignature(_))), "{forged}");

    let unbound = ProposedBlock { parent_certificate: Some(certificate(1, parent.hash(), [1, 2, 3])), ..good.clone() };
    let error = voter.vote(&unbound).unwrap_err();
    assert!(matches!(error, ChainError::InvalidBlock(BlockError::ParentCertificateDigest { .. })), "{error}");

    // Votes that this node did not see prove the parent as well as its own.
    let mut elsewhere = Node::start();
    elsewhere.commit(&certify(voter.finalized_block(1).unwrap().unwrap().proposed, [1, 2, 3])).unwrap();
    elsewhere.reopen();
    voter.vote(&proposal(&elsewhere)).unwrap();
    voter.vote(&good).unwrap();
}

#[test]
fn after_genesis_there_is_no_parent_certificate() {
    let (proposer, voter) = (Node::start(), Node::start());
    let good = proposer.build(Vec::new());
    assert_eq!(good.block.header.parent_beacon_block_root, Some(B256::ZERO));
    let certificate = certificate(0, voter.head().hash(), [0, 1, 2]);
    let text = refused(&voter, &ProposedBlock { parent_certificate: Some(certificate), ..good.clone() });
    assert!(text.contains("must be absent"), "{text}");
    voter.vote(&good).unwrap();
}

#[test]
fn a_committed_block_pays_some_validator() {
    let (proposer, node) = nodes();
    let pays_nobody = altered(&proposal(&proposer), |block| block.header.beneficiary = Address::repeat_byte(0x77));
    let error = node.commit(&certify(pays_nobody, [0, 1, 2])).err().unwrap();
    let ChainError::InvalidCertified { error, .. } = error else { panic!("{error}") };
    assert!(matches!(*error, BlockError::UnknownBeneficiary(_)), "{error}");
}
