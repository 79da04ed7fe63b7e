#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
//! Against alloy-trie, which makes the tries and the proofs, and against the tries' contents, which say what is true.

use super::*;
use alloy_trie::HashBuilder;
use alloy_trie::proof::ProofRetainer;
use proptest::prelude::*;
use std::collections::BTreeMap;

type Leaves = Vec<(B256, Vec<u8>)>;

/// What a prover says, and about which trie.
#[derive(Clone, Debug)]
struct Claim {
    trie: BTreeMap<B256, Vec<u8>>,
    root: B256,
    start: B256,
    leaves: Leaves,
    proof: Vec<Bytes>,
}

impl Claim {
    /// The honest answer of at most `limit` leaves from `start`.
    fn honest(trie: BTreeMap<B256, Vec<u8>>, start: B256, limit: usize) -> Self {
        let leaves: Leaves = trie.range(start..).take(limit).map(|(key, value)| (*key, value.clone())).collect();
        let ends = [Some(start), leaves.last().map(|leaf| leaf.0)];
        let ends = ends.into_iter().flatten().map(Nibbles::unpack).collect();
        let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(ends));
        for (key, value) in &trie {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        let root = builder.root();
        let proof = builder.take_proof_nodes().into_inner().into_values().collect();
        Self { trie, root, start, leaves, proof }
    }

    fn verify(&self) -> Result<bool, RangeProofError> {
        verify_range(self.root, self.start, &self.leaves, &self.proof)
    }

    /// Whether the claim is true, and then whether there is more.
    fn truth(&self) -> Option<bool> {
        let last = match self.leaves.last() {
            Some((last, _)) if !self.proof.is_empty() => *last,
            _ => B256::repeat_byte(0xff),
        };
        if last < self.start {
            return None;
        }
        let held = self.trie.range(self.start..=last).map(|(key, value)| (*key, value.clone()));
        let is_whole = !self.proof.is_empty() || self.trie.range(..self.start).next().is_none();
        (is_whole && held.eq(self.leaves.iter().cloned())).then(|| self.trie.range(last..).any(|(key, _)| *key > last))
    }
}

/// Keys that share long prefixes as often as not, and values of which some embed in their parents.
fn any_trie() -> impl Strategy<Value = BTreeMap<B256, Vec<u8>>> {
    let key = (any::<[u8; 32]>(), 0..64usize, any::<bool>()).prop_map(|(random, shared, is_clustered)| {
        let mut key = B256::from(random);
        if is_clustered {
            key[..shared / 2].fill(0x11);
        }
        key
    });
    let value = prop_oneof![prop::collection::vec(any::<u8>(), 1..4), prop::collection::vec(any::<u8>(), 33..120)];
    prop::collection::btree_map(key, value, 0..60)
}

/// A trie with the start and length of a range: at, right behind, and away from its keys.
fn any_honest() -> impl Strategy<Value = Claim> {
    (any_trie(), any::<[u8; 32]>(), any::<prop::sample::Index>(), 0..4u8, 0..30usize).prop_map(
        |(trie, random, index, kind, limit)| {
            let key = if trie.is_empty() { B256::ZERO } else { *trie.keys().nth(index.index(trie.len())).unwrap() };
            let start = match kind {
                0 => B256::ZERO,
                1 => B256::from(random),
                2 => key,
                _ => successor(key),
            };
            // An empty answer is honest only where nothing follows.
            let is_end = trie.range(start..).next().is_none();
            Claim::honest(trie, start, limit.max(usize::from(!is_end)))
        },
    )
}

fn successor(key: B256) -> B256 {
    (alloy_primitives::U256::from_be_bytes(key.0).saturating_add(alloy_primitives::U256::ONE)).into()
}

/// A change that a prover may try; the indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Mutation {
    DropLeaf(prop::sample::Index),
    DropFirst,
    DropLast,
    DropAllLeaves,
    FlipKey(prop::sample::Index, u8),
    FlipValue(prop::sample::Index, prop::sample::Index, u8),
    EmptyValue(prop::sample::Index),
    Insert([u8; 32], Vec<u8>),
    Duplicate(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    MoveStart([u8; 32]),
    NudgeStart(bool),
    FlipProof(prop::sample::Index, prop::sample::Index, u8),
    TruncateProof(prop::sample::Index, prop::sample::Index),
    DropProofNode(prop::sample::Index),
    DropProof,
    ForeignNode(Vec<u8>),
    FlipRoot(u8),
}

fn any_mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        index().prop_map(Mutation::DropLeaf),
        Just(Mutation::DropFirst),
        Just(Mutation::DropLast),
        Just(Mutation::DropAllLeaves),
        (index(), any::<u8>()).prop_map(|(leaf, bit)| Mutation::FlipKey(leaf, bit)),
        (index(), index(), 0..8u8).prop_map(|(leaf, byte, bit)| Mutation::FlipValue(leaf, byte, bit)),
        index().prop_map(Mutation::EmptyValue),
        (any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(key, v)| Mutation::Insert(key, v)),
        index().prop_map(Mutation::Duplicate),
        (index(), index()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        any::<[u8; 32]>().prop_map(Mutation::MoveStart),
        any::<bool>().prop_map(Mutation::NudgeStart),
        (index(), index(), 0..8u8).prop_map(|(node, byte, bit)| Mutation::FlipProof(node, byte, bit)),
        (index(), index()).prop_map(|(node, byte)| Mutation::TruncateProof(node, byte)),
        index().prop_map(Mutation::DropProofNode),
        Just(Mutation::DropProof),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Mutation::ForeignNode),
        any::<u8>().prop_map(Mutation::FlipRoot),
    ]
}

impl Mutation {
    fn apply(&self, claim: &mut Claim) {
        let Claim { leaves, proof, start, root, .. } = claim;
        let count = leaves.len();
        match self {
            Self::DropLeaf(leaf) if count > 0 => drop(leaves.remove(leaf.index(count))),
            Self::DropFirst if count > 0 => drop(leaves.remove(0)),
            Self::DropLast => drop(leaves.pop()),
            Self::DropAllLeaves => leaves.clear(),
            Self::FlipKey(leaf, bit) if count > 0 => {
                leaves[leaf.index(count)].0[usize::from(bit / 8)] ^= 1 << (bit % 8);
            }
            Self::FlipValue(leaf, byte, bit) if count > 0 => {
                let value = &mut leaves[leaf.index(count)].1;
                if !value.is_empty() {
                    let byte = byte.index(value.len());
                    value[byte] ^= 1 << bit;
                }
            }
            Self::EmptyValue(leaf) if count > 0 => leaves[leaf.index(count)].1.clear(),
            Self::Insert(key, value) => {
                let at = leaves.partition_point(|(other, _)| other.0 < *key);
                leaves.insert(at, (B256::from(*key), value.clone()));
            }
            Self::Duplicate(leaf) if count > 0 => {
                let copy = leaves[leaf.index(count)].clone();
                leaves.insert(leaf.index(count), copy);
            }
            Self::Swap(one, other) if count > 0 => leaves.swap(one.index(count), other.index(count)),
            Self::MoveStart(to) => *start = B256::from(*to),
            Self::NudgeStart(true) => *start = successor(*start),
            Self::NudgeStart(false) => {
                let value = alloy_primitives::U256::from_be_bytes(start.0);
                *start = value.saturating_sub(alloy_primitives::U256::ONE).into();
            }
            Self::FlipProof(node, byte, bit) if !proof.is_empty() => {
                let node = node.index(proof.len());
                let mut bytes = proof[node].to_vec();
                let byte = byte.index(bytes.len().max(1));
                bytes.get_mut(byte).into_iter().for_each(|byte| *byte ^= 1 << bit);
                proof[node] = bytes.into();
            }
            Self::TruncateProof(node, byte) if !proof.is_empty() => {
                let node = node.index(proof.len());
                let to = byte.index(proof[node].len().max(1));
                proof[node] = proof[node].slice(..to);
            }
            Self::DropProofNode(node) if !proof.is_empty() => drop(proof.remove(node.index(proof.len()))),
            Self::DropProof => proof.clear(),
            Self::ForeignNode(node) => proof.push(node.clone().into()),
            Self::FlipRoot(bit) => root[usize::from(bit / 8)] ^= 1 << (bit % 8),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_honest_range_is_accepted_and_says_whether_there_is_more(claim in any_honest()) {
        prop_assert!(claim.truth().is_some());
        prop_assert_eq!(claim.verify().ok(), claim.truth());
    }

    #[test]
    fn a_mutation_is_rejected_or_leaves_a_true_claim(
        honest in any_honest(),
        mutations in prop::collection::vec(any_mutation(), 1..4),
    ) {
        let mut claim = honest.clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut claim));
        match claim.verify() {
            Ok(more) if claim.root == honest.root => prop_assert_eq!(Some(more), claim.truth()),
            Ok(_) => prop_assert!(false, "accepted for another root"),
            Err(_) => {}
        }
    }

    #[test]
    fn changed_leaves_are_rejected_with_an_untouched_proof(honest in any_honest(), mutation in any_mutation()) {
        let mut claim = honest.clone();
        mutation.apply(&mut claim);
        let is_same = claim.proof == honest.proof && claim.start == honest.start && claim.leaves == honest.leaves;
        if !is_same && claim.truth().is_none() {
            prop_assert!(claim.verify().is_err());
        }
    }

    #[test]
    fn a_needed_node_cannot_be_dropped_or_changed(honest in any_honest(), bit in 0..8u8) {
        for node in 0..honest.proof.len() {
            let mut dropped = honest.clone();
            dropped.proof.remove(node);
            // The last node alone is the empty proof, which claims the whole trie.
            if dropped.proof.is_empty() {
                continue;
            }
            let mut flipped = honest.clone();
            let mut bytes = flipped.proof[node].to_vec();
            let byte = bytes.len() / 2;
            bytes[byte] ^= 1 << bit;
            flipped.proof[node] = bytes.into();
            prop_assert_eq!(dropped.verify().is_ok(), flipped.verify().is_ok());
        }
    }

    #[test]
    fn random_bytes_as_proof_never_panic(
        root in any::<[u8; 32]>(),
        leaves in prop::collection::btree_map(any::<[u8; 32]>(), prop::collection::vec(any::<u8>(), 0..40), 0..8),
        proof in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..5),
    ) {
        let leaves: Leaves = leaves.into_iter().map(|(key, value)| (B256::from(key), value)).collect();
        let proof: Vec<_> = proof.into_iter().map(Bytes::from).collect();
        let first = proof.first().map_or(B256::from(root), keccak256);
        prop_assert!(verify_range(first, B256::ZERO, &leaves, &proof).is_err() || leaves.is_empty());
    }
}

#[test]
fn the_empty_trie_holds_nothing_and_says_so() {
    let none: Leaves = Vec::new();
    assert_eq!(verify_range(EMPTY_ROOT_HASH, B256::ZERO, &none, &[]), Ok(false));
    assert_eq!(verify_range(EMPTY_ROOT_HASH, B256::repeat_byte(1), &none, &[Bytes::from(vec![0x80])]), Ok(false));
    let leaves = [(B256::repeat_byte(1), vec![1])];
    assert!(matches!(verify_range(EMPTY_ROOT_HASH, B256::ZERO, &leaves, &[]), Err(RangeProofError::Mismatch { .. })));
}

#[test]
fn an_empty_range_before_an_existing_key_is_rejected() {
    let trie: BTreeMap<_, _> = [1, 2, 0x80].map(|byte| (B256::repeat_byte(byte), vec![byte; 40])).into();
    let mut claim = Claim::honest(trie, B256::repeat_byte(3), 1);
    claim.leaves.clear();
    assert!(matches!(claim.verify(), Err(RangeProofError::Mismatch { .. })));
}

#[test]
fn more_nodes_than_two_paths_have_are_not_even_hashed() {
    let none: Leaves = Vec::new();
    let proof = vec![Bytes::new(); PROOF_NODES_MAX + 1];
    assert_eq!(
        verify_range(B256::ZERO, B256::ZERO, &none, &proof),
        Err(RangeProofError::TooManyNodes { nodes: PROOF_NODES_MAX + 1 })
    );
}
