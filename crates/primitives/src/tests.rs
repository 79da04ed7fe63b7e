//! Codecs and certificates from the outside.

use crate::*;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::{Decodable, Encodable};
use proptest::prelude::*;
use std::sync::Arc;

fn keys(n: u8) -> Vec<ConsensusKey> {
    (1..=n).map(|i| ConsensusKey::from_bytes(&[i; 32])).collect()
}

fn set(keys: &[ConsensusKey]) -> ValidatorSet {
    ValidatorSet::new(keys.iter().map(|k| Validator::new(k.public_key(), 1, Address::ZERO)).collect()).unwrap()
}

fn context() -> SigningContext {
    SigningContext { genesis_hash: B256::repeat_byte(7) }
}

fn certificate(keys: &[ConsensusKey], block_hash: B256) -> CommitCertificate {
    let sign = |key: &ConsensusKey| {
        let validator = Validator::new(key.public_key(), 1, Address::ZERO).address;
        let (height, round) = (Height::new(5), Round::new(2));
        let vote = Vote { height, round, kind: VoteKind::Precommit, block_hash: Some(block_hash), validator };
        CommitSignature { validator, signature: SignedVote::sign(vote, key, &context()).signature }
    };
    CommitCertificate::new(Height::new(5), Round::new(2), block_hash, keys.iter().map(sign).collect())
}

/// Every value has one encoding, and no other bytes decode to it.
fn assert_codec<T: Encodable + Decodable + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = alloy_rlp::encode(value);
    assert_eq!(bytes.len(), value.length());
    assert_eq!(&decode_exact::<T>(&bytes, usize::MAX).unwrap(), value);
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(decode_exact::<T>(&longer, usize::MAX).is_err(), "trailing bytes must be refused");
    for end in 0..bytes.len().min(200) {
        assert!(decode_exact::<T>(&bytes[..end], usize::MAX).is_err(), "a prefix must be refused");
    }
    assert!(decode_exact::<T>(&bytes, bytes.len() - 1).is_err(), "the size bound must hold");
}

fn some_hash() -> impl Strategy<Value = B256> {
    any::<[u8; 32]>().prop_map(B256::from)
}

prop_compose! {
    fn some_vote()(
        height in any::<u64>(), round in any::<u32>(), precommit in any::<bool>(),
        hash in proptest::option::of(some_hash()), validator in any::<[u8; 20]>(), signature in any::<[u8; 64]>(),
    ) -> SignedVote {
        let kind = if precommit { VoteKind::Precommit } else { VoteKind::Prevote };
        let (height, round) = (Height::new(height), Round::new(round));
        let vote = Vote { height, round, kind, block_hash: hash, validator: validator.into() };
        SignedVote { vote, signature: ConsensusSignature::from_bytes(signature) }
    }
}

proptest! {
    #[test]
    fn vote_messages_have_one_encoding(vote in some_vote()) {
        assert_codec(&ConsensusMessage::Vote(vote));
    }

    #[test]
    fn proposals_have_one_encoding(vote in some_vote(), pol in proptest::option::of(any::<u32>()), number in any::<u64>()) {
        let header = Header { number, ..Default::default() };
        let block = Arc::new(Block { header, body: Default::default() });
        let proposal = Proposal {
            height: vote.vote.height,
            round: vote.vote.round,
            block_hash: block.header.hash_slow(),
            pol_round: pol.map(Round::new),
            validator: vote.vote.validator,
        };
        let proposal = SignedProposal { proposal, signature: vote.signature };
        for parent_certificate in [None, Some(certificate(&keys(3), B256::ZERO))] {
            let body = ProposedBlock::new(block.clone(), parent_certificate);
            assert_codec(&ConsensusMessage::Proposal(Box::new(ProposalMessage { proposal: proposal.clone(), body })));
        }
    }

    #[test]
    fn decoding_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_exact::<ConsensusMessage>(&bytes, MAX_PROPOSED_BLOCK_BYTES);
        let _ = decode_exact::<TransactionBatch>(&bytes, MAX_TRANSACTION_BATCH_BYTES);
        let _ = decode_exact::<Request>(&bytes, 100);
        let _ = decode_exact::<Response>(&bytes, MAX_RESPONSE_BYTES);
    }
}

#[test]
fn requests_and_responses_have_one_encoding() {
    assert_codec(&Request::Status);
    assert_codec(&Request::Blocks(BlocksRequest { from: Height::new(9), count: 64 }));
    let status = Status { height: Height::new(3), hash: B256::repeat_byte(1), earliest: Height::GENESIS };
    assert_codec(&Response::Status(status));
    let proposed = ProposedBlock::new(Arc::new(Block::default()), None);
    let finalized = FinalizedBlock { proposed, certificate: certificate(&keys(4), B256::ZERO) };
    assert_codec(&Response::Blocks(vec![finalized]));
    assert_codec(&TransactionBatch(vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")]));
}

#[test]
fn certificate_rules() {
    let keys = keys(4);
    let validators = set(&keys);
    let hash = B256::repeat_byte(9);
    let good = certificate(&keys[..3], hash);
    assert_eq!(good.verify(&validators, &context()), Ok(()));

    let few = certificate(&keys[..2], hash);
    assert_eq!(few.verify(&validators, &context()), Err(CertificateError::NoQuorum { signed: 2, total: 4 }));

    let mut repeated = certificate(&keys[..2], hash);
    repeated.signatures.push(repeated.signatures[1].clone());
    let last = repeated.signatures[1].validator;
    assert_eq!(repeated.verify(&validators, &context()), Err(CertificateError::NotCanonical(last)));

    let mut unsorted = good.clone();
    unsorted.signatures.reverse();
    assert!(matches!(unsorted.verify(&validators, &context()), Err(CertificateError::NotCanonical(_))));

    let stranger = certificate(&[keys[0].clone(), keys[1].clone(), ConsensusKey::from_bytes(&[99; 32])], hash);
    assert!(matches!(stranger.verify(&validators, &context()), Err(CertificateError::UnknownValidator(..))));

    let mut forged = good.clone();
    forged.block_hash = B256::repeat_byte(10);
    assert!(matches!(forged.verify(&validators, &context()), Err(CertificateError::BadSignature(_))));

    let other_chain = SigningContext { genesis_hash: B256::repeat_byte(8) };
    assert!(matches!(good.verify(&validators, &other_chain), Err(CertificateError::BadSignature(_))));
}

#[test]
fn a_certified_block_needs_its_own_certificate() {
    let keys = keys(4);
    let validators = set(&keys);
    let header = Header { number: 5, ..Default::default() };
    let proposed = ProposedBlock::new(Arc::new(Block { header, body: Default::default() }), None);
    let certified = |hash| {
        let inner = FinalizedBlock { proposed: proposed.clone(), certificate: certificate(&keys[..3], hash) };
        CertifiedBlock::verify(inner, &validators, &context())
    };
    assert_eq!(certified(proposed.hash()).unwrap().hash(), proposed.hash());
    assert!(matches!(certified(B256::ZERO), Err(CertifiedBlockError::Mismatch { .. })));
}

#[test]
fn validator_set_rules() {
    let validator =
        |seed: u8, power| Validator::new(ConsensusKey::from_bytes(&[seed; 32]).public_key(), power, Address::ZERO);
    assert_eq!(ValidatorSet::new(vec![]), Err(ValidatorSetError::Empty));
    let twice = validator(1, 1);
    let address = twice.address;
    assert_eq!(ValidatorSet::new(vec![twice.clone(), twice]), Err(ValidatorSetError::Duplicate(address)));
    let idle = validator(1, 0);
    assert_eq!(ValidatorSet::new(vec![idle.clone()]), Err(ValidatorSetError::NoPower(idle.address)));
    let heavy = vec![validator(1, ValidatorSet::MAX_TOTAL_POWER), validator(2, 1)];
    assert_eq!(ValidatorSet::new(heavy), Err(ValidatorSetError::PowerOverflow));
    let four = ValidatorSet::new((1..=4).map(|i| validator(i, 1)).collect()).unwrap();
    assert!(!four.is_quorum(2) && four.is_quorum(3));
    let proposers = Vec::from_iter((0..4).map(|round| four.proposer(Height::new(1), round).address));
    let mut distinct = proposers.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 4, "every validator proposes within n rounds");
}

fn heddle_json(edit: impl FnOnce(&mut serde_json::Value)) -> String {
    let key = |i: u8| format!("0x{}", hex::encode(ConsensusKey::from_bytes(&[i; 32]).public_key().as_bytes()));
    let entry = |i| serde_json::json!({"publicKey": key(i), "power": 1, "feeRecipient": Address::ZERO});
    let mut json = serde_json::json!({
        "config": {
            "chainId": 31337, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0, "eip158Block": 0,
            "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
            "berlinBlock": 0, "londonBlock": 0, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": true,
            "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0, "osakaTime": 0,
            "heddle": {"validators": [entry(1), entry(2)], "blockTimeMs": 500},
        },
        "gasLimit": "0x1c9c380", "difficulty": "0x0",
        "alloc": {
            "0x00000961Ef480Eb55e80D19ad83579A64c007002": {"balance": "0x0", "code": "0x00"},
            "0x0000BBdDc7CE488642fb579F8B00f3a590007251": {"balance": "0x0", "code": "0x00"},
        },
    });
    edit(&mut json);
    json.to_string()
}

#[test]
fn genesis_errors_name_key_and_value() {
    let error = |edit: fn(&mut serde_json::Value)| Genesis::from_json(&heddle_json(edit)).unwrap_err().to_string();
    let duplicate = error(|j| {
        let first = j["config"]["heddle"]["validators"][0].clone();
        j["config"]["heddle"]["validators"][1] = first;
    });
    assert!(duplicate.contains("validators") && duplicate.contains("listed twice"), "{duplicate}");
    let unknown = error(|j| j["config"]["heddle"]["blockTime"] = 1.into());
    assert!(unknown.contains("unknown field `blockTime`"), "{unknown}");
    let fast = error(|j| j["config"]["heddle"]["blockTimeMs"] = 1.into());
    assert!(fast.contains("config.heddle.blockTimeMs is 1, expected 10 to 3600000"), "{fast}");
    let early = error(|j| j["config"]["osakaTime"] = serde_json::Value::Null);
    assert!(early.contains("without Osaka at genesis"), "{early}");
    let nameless = error(|j| drop(j["config"].as_object_mut().unwrap().remove("chainId")));
    assert!(nameless.contains("config.chainId is missing"), "{nameless}");
    let unmerged = error(|j| j["config"]["terminalTotalDifficulty"] = 1.into());
    assert!(unmerged.contains("without Paris at genesis"), "{unmerged}");
    let bare = error(|j| j["alloc"] = serde_json::json!({}));
    assert!(bare.contains("system contracts"), "{bare}");
    let later = error(|j| j["number"] = "0x5".into());
    assert!(later.contains("number is 5"), "{later}");
    let dear = error(|j| j["baseFeePerGas"] = "0x10000000000000000".into());
    assert!(dear.contains("baseFeePerGas"), "{dear}");
    let blobs = error(|j| {
        j["config"]["blobSchedule"]["cancun"] = serde_json::json!({"target": 3, "max": 6, "baseFeeUpdateFraction": 0});
    });
    assert!(blobs.contains("config.blobSchedule") && blobs.contains("cancun"), "{blobs}");
    let empty = error(|j| j["config"]["heddle"]["validators"] = serde_json::json!([]));
    assert!(empty.contains("at least one validator"), "{empty}");
}

#[test]
fn genesis_survives_its_own_json() {
    let genesis = Genesis::from_json(&heddle_json(|_| {})).unwrap();
    let again = Genesis::from_json(&genesis.to_json().unwrap()).unwrap();
    assert_eq!(genesis.hash(), again.hash());
    assert_eq!(genesis.heddle(), again.heddle());
    assert!(genesis.header().requests_hash.is_some() && genesis.header().base_fee_per_gas.is_some());
}

#[test]
fn networks_that_differ_in_anything_have_different_genesis_hashes() {
    let hash = |edit: fn(&mut serde_json::Value)| Genesis::from_json(&heddle_json(edit)).unwrap().hash();
    let hashes = [
        hash(|_| {}),
        hash(|j| j["config"]["chainId"] = 31338.into()),
        hash(|j| j["config"]["heddle"]["blockTimeMs"] = 600.into()),
        hash(|j| j["config"]["heddle"]["validators"][0]["power"] = 2.into()),
        hash(|j| drop(j["config"]["heddle"]["validators"].as_array_mut().unwrap().pop())),
        hash(|j| j["gasLimit"] = "0x1c9c381".into()),
    ];
    assert_eq!(std::collections::BTreeSet::from(hashes).len(), hashes.len());
}

#[test]
fn frontier_genesis_has_no_later_fields() {
    let json = r#"{"config":{"chainId":1},"gasLimit":"0x1388","difficulty":"0x400000000","nonce":"0x42","alloc":{}}"#;
    let genesis = Genesis::from_json(json).unwrap();
    let header = genesis.header();
    assert!(genesis.heddle().is_none());
    assert!(header.base_fee_per_gas.is_none() && header.withdrawals_root.is_none() && header.requests_hash.is_none());
    assert_eq!(header.state_root, alloy_trie::EMPTY_ROOT_HASH);
}

#[test]
fn every_fork_key_of_geths_genesis_is_read() {
    use EthereumHardfork as F;
    let json = r#"{"config":{"chainId":5,"homesteadBlock":1,"daoForkBlock":2,"daoForkSupport":true,"eip150Block":3,
        "eip155Block":4,"eip158Block":5,"byzantiumBlock":6,"constantinopleBlock":7,"petersburgBlock":8,
        "istanbulBlock":9,"muirGlacierBlock":10,"berlinBlock":11,"londonBlock":12,"arrowGlacierBlock":13,
        "grayGlacierBlock":14,"mergeNetsplitBlock":15,"terminalTotalDifficulty":58750000000000000000000,
        "shanghaiTime":116,"cancunTime":117,"pragueTime":118,"osakaTime":119,"bpo1Time":120,"bpo2Time":121,
        "bpo3Time":122,"bpo4Time":123,"bpo5Time":124,"amsterdamTime":125,"ethash":{},
        "depositContractAddress":"0x00000000219ab540356cbb839cbe05303d7705fa",
        "blobSchedule":{"cancun":{"target":3,"max":6,"baseFeeUpdateFraction":3338477},
            "amsterdam":{"target":14,"max":21,"baseFeeUpdateFraction":11684671}}},
        "gasLimit":"0x1388","difficulty":"0x20000","alloc":{}}"#;
    let genesis = Genesis::from_json(json).unwrap();
    let condition = |fork| genesis.forks().ethereum_fork_activation(fork);
    let blocks = [
        (F::Frontier, 0),
        (F::Homestead, 1),
        (F::Dao, 2),
        (F::Tangerine, 3),
        (F::SpuriousDragon, 5),
        (F::Byzantium, 6),
        (F::Constantinople, 7),
        (F::Petersburg, 8),
        (F::Istanbul, 9),
        (F::MuirGlacier, 10),
        (F::Berlin, 11),
        (F::London, 12),
        (F::ArrowGlacier, 13),
        (F::GrayGlacier, 14),
    ];
    for (fork, block) in blocks {
        assert_eq!(condition(fork), ForkCondition::Block(block), "{fork:?}");
    }
    let times =
        [F::Shanghai, F::Cancun, F::Prague, F::Osaka, F::Bpo1, F::Bpo2, F::Bpo3, F::Bpo4, F::Bpo5, F::Amsterdam];
    for (fork, time) in times.into_iter().zip(116..) {
        assert_eq!(condition(fork), ForkCondition::Timestamp(time), "{fork:?}");
    }
    let merge = condition(F::Paris);
    assert_eq!(merge.ttd(), Some(U256::from(58_750_000_000_000_000_000_000_u128)));
    assert!(merge.active_at_block(15) && !merge.active_at_block(14));
    assert_eq!(genesis.config().blob_schedule["amsterdam"].max_blob_count, 21);
    assert!(genesis.config().deposit_contract_address.is_some());

    let unnamed = json.replace(r#""mergeNetsplitBlock":15,"#, "").replace(r#""petersburgBlock":8,"#, "");
    let genesis = Genesis::from_json(&unnamed.replace("\"daoForkSupport\":true", "\"daoForkSupport\":false")).unwrap();
    let condition = |fork| genesis.forks().ethereum_fork_activation(fork);
    assert!(!condition(F::Paris).active_at_block(u64::MAX - 1), "only the total difficulty tells");
    assert_eq!(condition(F::Petersburg), ForkCondition::Block(7), "with Constantinople unless it has its own block");
    assert_eq!(condition(F::Dao), ForkCondition::Never);
}
