//! A chain of headers and blocks with real certificates, for tests.

use alloy_primitives::{Address, B256, hex};
use heddle_primitives::{
    Block, CertifiedHeader, CommitCertificate, CommitSignature, ConsensusKey, FinalizedBlock, Genesis, Header, Height,
    LightClient, ProposedBlock, Round, SignedVote, Validator, VerifiedHeader, Vote, VoteKind,
};
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock};

/// Blocks behind genesis.
pub(crate) const LENGTH: u64 = 320;

fn keys() -> Vec<ConsensusKey> {
    (1..=4).map(|n| ConsensusKey::from_bytes(&[n; 32])).collect()
}

/// The genesis of all chains here: four validators that never change.
pub(crate) fn genesis() -> &'static Genesis {
    static GENESIS: OnceLock<Genesis> = OnceLock::new();
    GENESIS.get_or_init(|| {
        let entry = |key: &ConsensusKey| {
            let key = hex::encode(key.public_key().as_bytes());
            format!(r#"{{"publicKey": "0x{key}", "power": 1, "feeRecipient": "{}"}}"#, Address::ZERO)
        };
        let validators = Vec::from_iter(keys().iter().map(entry)).join(",");
        let json = r#"{"config": {
            "chainId": 31337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0, "berlinBlock": 0,
            "londonBlock": 0, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true, "shanghaiTime": 0,
            "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
            "heddle": {"validators": [VALIDATORS], "blockTimeMs": 500}},
            "gasLimit": "0x1c9c380", "difficulty": "0x0", "alloc": {
            "0x00000961Ef480Eb55e80D19ad83579A64c007002": {"balance": "0x0", "code": "0x00"},
            "0x0000BBdDc7CE488642fb579F8B00f3a590007251": {"balance": "0x0", "code": "0x00"}}}"#;
        Genesis::from_json(&json.replace("VALIDATORS", &validators)).unwrap()
    })
}

/// The block behind a parent, signed by the first `signers` keys.
pub(crate) fn child(number: u64, parent_hash: B256, extra_data: Vec<u8>, signers: usize) -> FinalizedBlock {
    let header = Header { number, parent_hash, extra_data: extra_data.into(), ..Header::default() };
    let proposed = ProposedBlock::new(Arc::new(Block { header, ..Block::default() }), None);
    let (height, round, block_hash) = (Height::new(number), Round::ZERO, proposed.hash());
    let sign = |key: &ConsensusKey| {
        let validator = Validator::new(key.public_key(), 1, Address::ZERO).address;
        let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash: Some(block_hash), validator };
        CommitSignature { validator, signature: SignedVote::sign(vote, key, &genesis().signing_context()).signature }
    };
    let signatures = keys().iter().take(signers).map(sign).collect();
    FinalizedBlock { proposed, certificate: CommitCertificate::new(height, round, block_hash, signatures) }
}

/// A chain in which each block is signed by so many keys and differs by its extra data from other chains.
pub(crate) fn chain(length: u64, signers: usize, extra_data: &[u8]) -> Vec<FinalizedBlock> {
    let mut parent = genesis().hash();
    let next = |number| {
        let block = child(number, parent, extra_data.to_vec(), signers);
        parent = block.proposed.hash();
        block
    };
    (1..=length).map(next).collect()
}

/// What a peer sends of a block's header.
pub(crate) fn header_of(block: &FinalizedBlock) -> CertifiedHeader {
    let (header, certificate) = (block.proposed.block.header.clone(), block.certificate.clone());
    CertifiedHeader { header, certificate, members: None }
}

/// The chain that is final.
pub(crate) fn final_blocks(numbers: RangeInclusive<u64>) -> Vec<FinalizedBlock> {
    static BLOCKS: OnceLock<Vec<FinalizedBlock>> = OnceLock::new();
    let blocks = BLOCKS.get_or_init(|| chain(LENGTH, 3, b"final"));
    numbers.filter_map(|number| blocks.get(number as usize - 1).cloned()).collect()
}

/// Its headers, as peers send them.
pub(crate) fn headers(numbers: RangeInclusive<u64>) -> Vec<CertifiedHeader> {
    final_blocks(numbers).iter().map(header_of).collect()
}

/// Its headers, verified.
pub(crate) fn verified(numbers: RangeInclusive<u64>) -> Vec<VerifiedHeader> {
    static VERIFIED: OnceLock<Vec<VerifiedHeader>> = OnceLock::new();
    let all = VERIFIED.get_or_init(|| LightClient::new(genesis()).unwrap().follow_linked(headers(1..=LENGTH)).unwrap());
    numbers.filter_map(|number| all.get(number as usize - 1).cloned()).collect()
}
