//! A proof has one encoding, and hostile bytes have none.

use super::*;
use crate::wire::decode_exact;
use crate::{
    BlocksRequest, CommitCertificate, Epoch, EpochStepsRequest, Header, Height, MAX_BLOCKS_PER_RESPONSE,
    MAX_EPOCH_STEPS_PER_RESPONSE, MAX_HEADERS_PER_RESPONSE, MAX_RESPONSE_BYTES, Receipt, Refusal, Request, Response,
    Round,
};
use alloy_primitives::B256;
use proptest::prelude::*;

fn node(byte: u8) -> Bytes {
    Bytes::from(vec![byte; 40])
}

fn slot(value: u64, nodes: &[u8]) -> SlotProof {
    SlotProof { value: U256::from(value), nodes: nodes.iter().map(|byte| node(*byte)).collect() }
}

/// Three paths that share their first nodes; the last slot is not there.
fn proof() -> MembersProof {
    let account = TrieAccount { nonce: 1, ..TrieAccount::default() };
    let slots = vec![slot(7, &[1, 2, 3]), slot(9, &[1, 2, 4]), slot(0, &[1, 5])];
    MembersProof { account, nodes: vec![node(8), node(9)], slots }
}

fn certified(members: Option<MembersProof>) -> CertifiedHeader {
    let certificate = CommitCertificate::new(Height::new(4), Round::new(1), B256::repeat_byte(3), Vec::new());
    CertifiedHeader { header: Header { number: 4, ..Header::default() }, certificate, members }
}

fn step() -> EpochStep {
    let CertifiedHeader { header, certificate, .. } = certified(None);
    EpochStep { header, certificate, members: proof() }
}

/// Every value has one encoding, and no other bytes decode to it.
fn assert_codec<T: Encodable + Decodable + PartialEq + std::fmt::Debug>(value: &T) {
    let bytes = alloy_rlp::encode(value);
    assert_eq!(bytes.len(), value.length());
    assert_eq!(&decode_exact::<T>(&bytes, usize::MAX).unwrap(), value);
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(decode_exact::<T>(&longer, usize::MAX).is_err(), "trailing bytes must be refused");
    for end in 0..bytes.len() {
        assert!(decode_exact::<T>(&bytes[..end], usize::MAX).is_err(), "a prefix must be refused");
    }
}

/// What a proof's encoding decodes to when it is altered.
fn decode(alter: impl FnOnce(&mut EncodedProof)) -> Result<MembersProof, String> {
    let mut encoded = EncodedProof::of(&proof());
    alter(&mut encoded);
    decode_exact(&alloy_rlp::encode(&encoded), usize::MAX).map_err(|error| error.to_string())
}

#[test]
fn what_light_clients_are_given_has_one_encoding() {
    assert_codec(&proof());
    assert_codec(&MembersProof { slots: Vec::new(), nodes: Vec::new(), ..proof() });
    assert_codec(&certified(None));
    assert_codec(&certified(Some(proof())));
    assert_codec(&step());
    let range = BlocksRequest { from: Height::new(9), count: 64 };
    assert_codec(&Request::Headers(range.clone()));
    assert_codec(&Request::Receipts(range));
    assert_codec(&Request::EpochSteps(EpochStepsRequest { from: Epoch::new(3), count: 2 }));
    assert_codec(&Response::Headers(vec![certified(None), certified(Some(proof()))]));
    assert_codec(&Response::EpochSteps(vec![step(), step()]));
    assert_codec(&Response::Receipts(vec![vec![Receipt::Legacy(Default::default())], Vec::new()]));
    assert_codec(&Response::Refused(Refusal::Busy));
    assert_codec(&Response::Refused(Refusal::Gone));
    assert!(decode_exact::<Refusal>(&[3], usize::MAX).is_err());
}

#[test]
fn nodes_that_paths_share_are_encoded_once() {
    let encoded = EncodedProof::of(&proof());
    assert_eq!(encoded.nodes, [1, 2, 3, 4, 5].map(node));
    assert_eq!(
        encoded.slots.iter().map(|slot| slot.path.clone()).collect::<Vec<_>>(),
        [vec![0, 1, 2], vec![0, 1, 3], vec![0, 4]]
    );
    assert_eq!(decode(|_| {}), Ok(proof()));
}

#[test]
fn another_encoding_of_a_proof_is_refused() {
    type Alter = fn(&mut EncodedProof);
    let order = "not in the order of their use";
    let table: [(&str, &str, Alter); 8] = [
        ("a node that is not used", order, |proof| proof.nodes.push(node(6))),
        ("a node twice", order, |proof| {
            proof.nodes.push(node(1));
            proof.slots[2].path[0] = 5;
        }),
        ("nodes swapped, and their places with them", order, |proof| {
            proof.nodes.swap(0, 1);
            proof.slots.iter_mut().flat_map(|slot| &mut slot.path).for_each(|place| {
                *place = match *place {
                    0 => 1,
                    1 => 0,
                    other => other,
                }
            });
        }),
        ("a place behind the last", "a node that is not there", |proof| proof.slots[0].path[1] = 5),
        ("a path longer than a key", "longer than a key", |proof| proof.slots[0].path = vec![0; PROOF_NODES_MAX + 1]),
        ("a long path to the account", "longer than its limit", |proof| {
            proof.path = vec![node(1); PROOF_NODES_MAX + 1]
        }),
        ("slots of too many members", "longer than its limit", |proof| {
            let empty = || EncodedSlot { value: U256::ZERO, path: Vec::new() };
            proof.slots = (0..=SLOTS_MAX).map(|_| empty()).collect();
        }),
        ("too many nodes", "longer than its limit", |proof| proof.nodes = vec![Bytes::new(); NODES_MAX + 1]),
    ];
    for (name, problem, alter) in table {
        let error = decode(alter).unwrap_err();
        assert!(error.contains(problem), "{name}: {error}");
    }
}

#[test]
fn answers_longer_than_their_limits_are_refused() {
    let refused = |response: Response| {
        let error = decode_exact::<Response>(&alloy_rlp::encode(&response), usize::MAX).unwrap_err();
        assert!(error.to_string().contains("longer than its limit"), "{error}");
    };
    let many = |most: u64| usize::try_from(most).unwrap() + 1;
    refused(Response::Headers(vec![certified(None); many(MAX_HEADERS_PER_RESPONSE)]));
    refused(Response::EpochSteps(vec![step(); many(MAX_EPOCH_STEPS_PER_RESPONSE)]));
    refused(Response::Receipts(vec![Vec::new(); many(MAX_BLOCKS_PER_RESPONSE)]));
}

proptest! {
    /// Whatever decodes is what its own encoding says, whichever bytes are changed.
    #[test]
    fn changed_bytes_never_give_a_second_encoding(place in 0usize..700, byte in any::<u8>(), cut in 0usize..700) {
        let mut bytes = alloy_rlp::encode(Response::Headers(vec![certified(Some(proof()))]));
        let place = place % bytes.len();
        bytes[place] = byte;
        if let Ok(decoded) = decode_exact::<Response>(&bytes, MAX_RESPONSE_BYTES) {
            prop_assert_eq!(alloy_rlp::encode(&decoded), bytes.clone());
        }
        bytes.truncate(cut % bytes.len());
        prop_assert!(decode_exact::<Response>(&bytes, MAX_RESPONSE_BYTES).is_err());
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_exact::<MembersProof>(&bytes, MAX_RESPONSE_BYTES);
        let _ = decode_exact::<CertifiedHeader>(&bytes, MAX_RESPONSE_BYTES);
        let _ = decode_exact::<EpochStep>(&bytes, MAX_RESPONSE_BYTES);
        for tag in 1..=11u8 {
            let mut tagged = vec![tag];
            tagged.extend(&bytes);
            let mut framed = Vec::new();
            alloy_rlp::Header { list: true, payload_length: tagged.len() }.encode(&mut framed);
            framed.extend(tagged);
            let _ = decode_exact::<Response>(&framed, MAX_RESPONSE_BYTES);
            let _ = decode_exact::<Request>(&framed, MAX_RESPONSE_BYTES);
        }
    }
}
