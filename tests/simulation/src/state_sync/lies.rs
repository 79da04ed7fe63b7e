//! Pieces of a state that are wrong, each in its own way.

use alloy_primitives::{B256, Bytes, U256};
use heddle_primitives::{AccountsRequest, Request, Response, StorageRequest};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lie {
    /// A value that is not so.
    Value,
    /// A leaf is left out between others.
    Hole,
    /// A leaf that is not there.
    Extra,
    /// Two leaves in the wrong order.
    Order,
    /// The end is left out.
    Short,
    /// A node of the proof is left out.
    Proof,
    /// Nothing.
    Empty,
    /// The answer to another question, given before.
    Repeated,
    /// Far more than was asked for.
    Oversized,
    /// An answer of another kind.
    Kind,
}

impl Lie {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Value,
        Self::Hole,
        Self::Extra,
        Self::Order,
        Self::Short,
        Self::Proof,
        Self::Empty,
        Self::Repeated,
        Self::Oversized,
        Self::Kind,
    ];

    /// Whether it can be true nevertheless: a shorter or a longer answer may be right, and so may an old one.
    pub fn may_be_true(self) -> bool {
        matches!(self, Self::Short | Self::Proof | Self::Empty | Self::Repeated | Self::Oversized)
    }
}

/// The same request without an end.
pub fn widest(request: &Request) -> Request {
    let all = B256::repeat_byte(0xff);
    match request.clone() {
        Request::Accounts(r) => Request::Accounts(AccountsRequest { first: B256::ZERO, last: all, ..r }),
        Request::Storage(r) => Request::Storage(StorageRequest { first: B256::ZERO, last: all, ..r }),
        other => other,
    }
}

/// An answer that can be spoiled.
pub struct StatePiece(Response);

impl StatePiece {
    /// Of an answer about a state.
    pub fn of(response: &Response) -> Option<Self> {
        let is_piece = matches!(
            response,
            Response::Accounts(_) | Response::Storage(_) | Response::Code(_) | Response::RangeProof(_)
        );
        is_piece.then(|| Self(response.clone()))
    }

    /// The lie instead.
    pub fn spoil(self, lie: Lie, rng: &mut ChaCha8Rng) -> Response {
        match self.0 {
            Response::Accounts(mut range) => {
                spoil_leaves(
                    lie,
                    &mut range.accounts,
                    rng,
                    |leaf| leaf.account.balance += U256::ONE,
                    |leaf| leaf.key = next(leaf.key),
                );
                spoil_proof(lie, &mut range.proof, rng);
                Response::Accounts(range)
            }
            Response::Storage(mut ranges) => {
                let account = rng.random_range(0..ranges.accounts.len().max(1));
                if let Some(slots) = ranges.accounts.get_mut(account) {
                    spoil_leaves(lie, slots, rng, |leaf| leaf.value += U256::ONE, |leaf| leaf.key = next(leaf.key));
                }
                spoil_proof(lie, &mut ranges.proof, rng);
                Response::Storage(ranges)
            }
            Response::Code(mut codes) => {
                if let (Lie::Value | Lie::Extra, Some(code)) = (lie, codes.first_mut()) {
                    *code = [code, &[0][..]].concat().into();
                } else if lie == Lie::Empty {
                    codes.clear();
                }
                Response::Code(codes)
            }
            Response::RangeProof(mut nodes) => {
                spoil_proof(lie, &mut nodes, rng);
                if let (Lie::Value, Some(node)) = (lie, nodes.first_mut()) {
                    *node = [node, &[0][..]].concat().into();
                }
                Response::RangeProof(nodes)
            }
            other => other,
        }
    }
}

fn next(key: B256) -> B256 {
    B256::from(U256::from_be_bytes(key.0).wrapping_add(U256::ONE))
}

fn spoil_leaves<T: Clone>(
    lie: Lie,
    leaves: &mut Vec<T>,
    rng: &mut ChaCha8Rng,
    alter: impl Fn(&mut T),
    shift: impl Fn(&mut T),
) {
    let at = rng.random_range(0..leaves.len().max(1));
    match lie {
        Lie::Value => leaves.get_mut(at).into_iter().for_each(alter),
        Lie::Hole if leaves.len() > 2 => drop(leaves.remove(at.clamp(1, leaves.len() - 2))),
        Lie::Order if leaves.len() > 1 => leaves.swap(at.max(1) - 1, at.max(1)),
        Lie::Short => drop(leaves.pop()),
        Lie::Empty => leaves.clear(),
        Lie::Extra => {
            if let Some(mut leaf) = leaves.get(at).cloned() {
                shift(&mut leaf);
                leaves.insert(at + 1, leaf);
            }
        }
        _ => {}
    }
}

fn spoil_proof(lie: Lie, nodes: &mut Vec<Bytes>, rng: &mut ChaCha8Rng) {
    match lie {
        Lie::Proof if !nodes.is_empty() => drop(nodes.remove(rng.random_range(0..nodes.len()))),
        Lie::Empty => nodes.clear(),
        _ => {}
    }
}
