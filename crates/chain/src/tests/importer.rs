//! Many blocks in a row: the same rows as one by one, and nobody is shown what is not written.

use super::check::rows;
use super::fixture::{ANCESTOR, LOGGER, Node, altered, certify, transaction};
use crate::{ChainConfig, ChainError};
use alloy_primitives::{Address, U256};
use heddle_primitives::{CertifiedBlock, Transaction};

/// What reads what the block before changed: a balance, a nonce, slots, and its hash.
fn transactions(number: u64) -> Vec<Transaction> {
    let nonce = 3 * (number - 1);
    let value = if number.is_multiple_of(2) { U256::ZERO } else { U256::from(number) };
    vec![
        transaction(nonce, Address::repeat_byte(0x60 + (number % 3) as u8), number, []),
        transaction(nonce + 1, LOGGER, 0, value.to_be_bytes::<32>()),
        transaction(nonce + 2, ANCESTOR, 0, []),
    ]
}

/// A chain of so many blocks, each committed before the next was built.
fn source(blocks: u64) -> (Node, Vec<CertifiedBlock>) {
    let node = Node::start();
    let commit = |number| {
        let block = certify(node.build(transactions(number)), [0, 1, 2]);
        node.commit(&block).unwrap();
        block
    };
    let blocks = (1..=blocks).map(commit).collect();
    (node, blocks)
}

#[test]
fn the_rows_are_those_of_blocks_committed_one_by_one() {
    let (source, blocks) = source(12);
    for (state_cache_bytes, access_lists_kept) in [(0, 3), (1 << 20, 8_192)] {
        let mut copy = Node::start();
        copy.reopen_with(ChainConfig {
            commits_synced: false,
            state_cache_bytes,
            access_lists_kept,
            ..ChainConfig::default()
        });
        let mut importer = copy.importer().unwrap();
        blocks.iter().for_each(|block| importer.commit(block).unwrap());
        assert_eq!(importer.finish().unwrap().hash(), source.head().hash());
        assert_eq!(copy.check(&mut |_| {}).unwrap().first(), []);
        assert_eq!(copy.state().storage(ANCESTOR, U256::ZERO).unwrap(), U256::from_be_bytes(blocks[10].hash().0));
        if access_lists_kept > 12 {
            assert_eq!(rows(&copy.inner.database), rows(&source.inner.database));
        }
        copy.reopen();
        assert_eq!(copy.head().hash(), source.head().hash());
    }
}

#[test]
fn what_readers_see_is_written() {
    let (_, blocks) = source(6);
    let copy = Node::start();
    let mut events = copy.subscribe();
    let mut importer = copy.importer().unwrap();
    for block in &blocks {
        importer.commit(block).unwrap();
        let (handed_over, head) = (block.proposed().block.header.number, copy.head());
        assert!((handed_over - 1..=handed_over).contains(&head.header.number), "one block in flight at most");
        assert_eq!(head.state().number(), Some(head.header.number));
        assert_eq!(copy.block(head.header.number).unwrap().unwrap().header, head.header);
    }
    importer.finish().unwrap();
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.header.seal()).collect();
    assert_eq!(told, Vec::from_iter(blocks.iter().map(CertifiedBlock::hash)));
}

#[test]
fn a_block_that_is_committed_or_in_flight_changes_nothing() {
    let (_, blocks) = source(3);
    let copy = Node::start();
    copy.commit(&blocks[0]).unwrap();
    let mut importer = copy.importer().unwrap();
    for block in [&blocks[0], &blocks[1], &blocks[1], &blocks[0], &blocks[2], &blocks[2]] {
        importer.commit(block).unwrap();
    }
    assert_eq!(importer.finish().unwrap().hash(), blocks[2].hash());
}

#[test]
fn a_refused_block_leaves_the_ones_before_it_and_others_may_follow() {
    let (_, blocks) = source(3);
    let copy = Node::start();
    let mut importer = copy.importer().unwrap();
    importer.commit(&blocks[0]).unwrap();
    let wrong = altered(blocks[1].proposed(), |block| block.header.gas_used += 1);
    let error = importer.commit(&certify(wrong, [0, 1, 2])).unwrap_err();
    assert!(matches!(error, ChainError::InvalidCertified { number: 2, .. }), "{error}");
    assert!(matches!(importer.commit(&blocks[2]), Err(ChainError::NotNext { number: 3, head: 1 })));
    importer.commit(&blocks[1]).unwrap();
    drop(importer);
    assert_eq!(copy.head().hash(), blocks[1].hash(), "what was in flight is written before the door opens");
    copy.commit(&blocks[2]).unwrap();
}

#[test]
fn a_failed_write_ends_it_with_nothing_written_behind() {
    let (_, blocks) = source(4);
    let copy = Node::start();
    let chain = (*copy).clone();
    let mut importer = crate::Importer::writing(&copy, move |prepared| match prepared.event.header.number {
        2 => Err(ChainError::Corrupt("disk full".to_owned())),
        _ => chain.write_prepared(prepared).map(drop),
    });
    importer.commit(&blocks[0]).unwrap();
    importer.commit(&blocks[1]).unwrap();
    let error = importer.commit(&blocks[2]).unwrap_err();
    assert!(matches!(&error, ChainError::Corrupt(reason) if reason == "disk full"), "{error}");
    assert!(matches!(importer.commit(&blocks[2]), Err(ChainError::Writer(_))));
    assert!(importer.finish().is_err());
    assert_eq!(copy.head().hash(), blocks[0].hash());
    // What was told to the caches ahead of the failed write is nobody's state.
    for block in &blocks[1..] {
        copy.commit(block).unwrap();
    }
    assert_eq!(copy.check(&mut |_| {}).unwrap().first(), []);
}

#[test]
fn blocks_recovered_ahead_leave_the_same_rows() {
    let (source, blocks) = source(8);
    let mut copy = Node::start();
    copy.reopen_with(ChainConfig { commits_synced: false, ..ChainConfig::default() });
    let recovered = blocks.iter().map(|block| copy.recover_ahead(block.clone()).unwrap());
    let recovered: Vec<_> = recovered.collect();
    let mut importer = copy.importer().unwrap();
    for block in recovered {
        importer.commit_recovered(block).unwrap();
    }
    assert_eq!(importer.finish().unwrap().hash(), source.head().hash());
    assert_eq!(rows(&copy.inner.database), rows(&source.inner.database));
    // What is committed already changes nothing, as ever.
    let mut importer = copy.importer().unwrap();
    importer.commit_recovered(copy.recover_ahead(blocks[3].clone()).unwrap()).unwrap();
    assert_eq!(importer.finish().unwrap().hash(), source.head().hash());
}

#[test]
fn what_a_certified_header_does_not_bind_is_found_ahead() {
    use heddle_primitives::{LightClient, ProposedBlock, VerifiedHeader};
    let (source, blocks) = source(3);
    let client = || LightClient::new(source.genesis()).unwrap();
    let headers =
        (1..=3).map(|number| source.certified_header(heddle_primitives::Height::new(number)).unwrap().unwrap());
    let headers: Vec<VerifiedHeader> = client().follow_linked(headers.collect()).unwrap();
    let copy = Node::start();
    let ahead = |alter: fn(&mut ProposedBlock)| {
        let mut proposed = blocks[1].proposed().clone();
        alter(&mut proposed);
        copy.recover_ahead(CertifiedBlock::of_header(proposed, &headers[1]).unwrap())
    };
    assert!(ahead(|_| {}).is_ok());
    let body = ahead(|proposed| {
        let mut block = heddle_primitives::Block::clone(&proposed.block);
        block.body.transactions.pop();
        proposed.block = std::sync::Arc::new(block);
    });
    assert!(matches!(body, Err(crate::BlockError::Rule(_))), "{body:?}");
    let certificate = ahead(|proposed| proposed.parent_certificate.as_mut().unwrap().signatures.clear());
    assert!(matches!(certificate, Err(crate::BlockError::ParentCertificateDigest { .. })), "{certificate:?}");
    let missing = ahead(|proposed| proposed.parent_certificate = None);
    assert!(matches!(missing, Err(crate::BlockError::ParentCertificateDigest { .. })), "{missing:?}");
}
