//! Encoding of what a light client is given. The paths to the slots of one account share most of their nodes, so each
//! node is encoded once and named by its place.

use super::{CertifiedHeader, EpochStep, MembersProof, PROOF_NODES_MAX, SlotProof};
use crate::ValidatorSet;
use crate::request::decode_bounded;
use crate::vote::{decode_option, encode_option, option_length};
use crate::wire::decode_list;
use alloy_primitives::{Bytes, U256};
use alloy_rlp::{BufMut, Decodable, Encodable, RlpDecodable, RlpEncodable};
use alloy_trie::TrieAccount;
use std::collections::BTreeMap;

/// Slots that the members of the largest set take: their number, and two for each.
const SLOTS_MAX: usize = 1 + 2 * ValidatorSet::MAX_VALIDATORS;
/// Nodes on all paths together, each counted as often as it is on one: of keys that are hashes, paths are far shorter.
const PLACES_MAX: usize = 24 * SLOTS_MAX;
/// No node of a trie has more bytes: seventeen references of 33 bytes and what is around them.
const NODE_BYTES_MAX: usize = 1024;
/// Nodes on the paths to that many slots, at most.
const NODES_MAX: usize = SLOTS_MAX * PROOF_NODES_MAX;

#[derive(RlpEncodable)]
struct EncodedProof {
    account: TrieAccount,
    path: Vec<Bytes>,
    nodes: Vec<Bytes>,
    slots: Vec<EncodedSlot>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct EncodedSlot {
    value: U256,
    /// Places of its nodes.
    path: Vec<u16>,
}

impl EncodedProof {
    fn of(proof: &MembersProof) -> Self {
        let (mut nodes, mut places) = (Vec::new(), BTreeMap::new());
        let mut place = |node: &Bytes| {
            *places.entry(node.clone()).or_insert_with(|| {
                nodes.push(node.clone());
                // More nodes than fit are more than a proof of members can have: decoding will refuse it.
                u16::try_from(nodes.len() - 1).unwrap_or(u16::MAX)
            })
        };
        let encoded =
            |slot: &SlotProof| EncodedSlot { value: slot.value, path: slot.nodes.iter().map(&mut place).collect() };
        let slots = proof.slots.iter().map(encoded).collect();
        Self { account: proof.account, path: proof.nodes.clone(), nodes, slots }
    }
}

impl Encodable for MembersProof {
    fn encode(&self, out: &mut dyn BufMut) {
        EncodedProof::of(self).encode(out);
    }

    fn length(&self) -> usize {
        EncodedProof::of(self).length()
    }
}

impl Decodable for MembersProof {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let EncodedProof { account, path, nodes, slots: encoded } = decode_list(buf, |payload| {
            Ok(EncodedProof {
                account: Decodable::decode(payload)?,
                path: decode_bounded(payload, PROOF_NODES_MAX)?,
                nodes: decode_bounded(payload, NODES_MAX)?,
                slots: decode_bounded(payload, SLOTS_MAX)?,
            })
        })?;
        // Otherwise comparing them, as below, could take seconds.
        if path.iter().chain(&nodes).any(|node: &Bytes| node.len() > NODE_BYTES_MAX) {
            return Err(alloy_rlp::Error::Custom("a node is longer than any of a trie"));
        }
        if encoded.iter().map(|slot| slot.path.len()).sum::<usize>() > PLACES_MAX {
            return Err(alloy_rlp::Error::Custom("the paths are longer than those to hashes"));
        }
        let mut slots = Vec::with_capacity(encoded.len());
        for EncodedSlot { value, path } in encoded {
            if path.len() > PROOF_NODES_MAX {
                return Err(alloy_rlp::Error::Custom("a path is longer than a key"));
            }
            let node = |place: &u16| nodes.get(usize::from(*place)).cloned();
            let found = path.iter().map(node).collect::<Option<_>>();
            let found = found.ok_or(alloy_rlp::Error::Custom("a path has a node that is not there"))?;
            slots.push(SlotProof { value, nodes: found });
        }
        let proof = Self { account, nodes: path, slots };
        // One proof has one encoding: every node is used, in the order of its first use.
        let canonical = EncodedProof::of(&proof);
        if canonical.nodes != nodes {
            return Err(alloy_rlp::Error::Custom("the nodes are not in the order of their use"));
        }
        Ok(proof)
    }
}

impl Encodable for EpochStep {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = self.header.length() + self.certificate.length() + self.members.length();
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        self.header.encode(out);
        self.certificate.encode(out);
        self.members.encode(out);
    }
}

impl Decodable for EpochStep {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |payload| {
            let (header, certificate) = (Decodable::decode(payload)?, Decodable::decode(payload)?);
            Ok(Self { header, certificate, members: Decodable::decode(payload)? })
        })
    }
}

impl Encodable for CertifiedHeader {
    fn encode(&self, out: &mut dyn BufMut) {
        let payload_length = self.header.length() + self.certificate.length() + option_length(&self.members);
        alloy_rlp::Header { list: true, payload_length }.encode(out);
        self.header.encode(out);
        self.certificate.encode(out);
        encode_option(&self.members, out);
    }
}

impl Decodable for CertifiedHeader {
    fn decode(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        decode_list(buf, |payload| {
            let (header, certificate) = (Decodable::decode(payload)?, Decodable::decode(payload)?);
            Ok(Self { header, certificate, members: decode_option(payload)? })
        })
    }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
