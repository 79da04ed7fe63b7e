//! What transactions, and contracts for them, call.

use crate::contracts::{self, Init};
use crate::state::MemoryState;
use crate::world::{Place, place, signer};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_signer::SignerSync;
use proptest::collection::vec;
use proptest::prelude::*;

/// A call without its value.
#[derive(Clone, Debug)]
pub struct Call {
    pub to: Place,
    data: Data,
}

/// A word of a call's data.
#[derive(Clone, Copy, Debug)]
enum Word {
    Number(u8),
    Address(Place),
}

#[derive(Clone, Debug)]
enum Data {
    Empty,
    /// `a`, `b` and `c` of the contracts; also a consolidation request (EIP-7251).
    Words([Word; 3]),
    /// One word, as the contracts of EIP-2935 and EIP-4788 read it: blocks are 12 seconds apart.
    Multiple(u8, u8),
    /// As long as a withdrawal request (EIP-7002).
    Request,
    /// A deposit (EIP-6110), without its last bytes when cut.
    Deposit {
        is_cut: bool,
    },
    /// What `ecrecover` takes.
    Signature,
    /// What `modexp` takes: 3 to the power of 5 modulo 7.
    Power,
    /// What the factory takes.
    Deploy {
        salt: u8,
        value: u8,
        is_plain: bool,
        init: Init,
    },
    /// What the batch contract takes.
    Batch {
        end: u8,
        calls: Vec<Step>,
    },
}

/// A call of the batch contract.
#[derive(Clone, Debug)]
struct Step {
    /// CALL, DELEGATECALL, STATICCALL, CALLCODE.
    how: u8,
    value: u8,
    call: Call,
}

/// Any call, with calls inside of calls.
pub fn call() -> impl Strategy<Value = Call> + Clone {
    let empty = place().prop_map(|to| Call { to, data: Data::Empty });
    let leaf = prop_oneof![2 => empty, 8 => plain(), 2 => deploy(), 1 => protocol()];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let step = (prop_oneof![6 => Just(0u8), 2 => Just(1), 1 => Just(2), 1 => Just(3)], 0..4u8, inner.clone())
            .prop_map(|(how, value, call)| Step { how, value, call });
        let end = prop_oneof![8 => Just(0u8), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
        let data = (end, vec(step, 1..4)).prop_map(|(end, calls)| Data::Batch { end, calls });
        prop_oneof![2 => inner, 1 => (one_of_ours("batch"), data).prop_map(|(to, data)| Call { to, data })]
    })
}

fn plain() -> impl Strategy<Value = Call> + Clone {
    let word = prop_oneof![
        3 => Just(Word::Number(0)),
        3 => (0..8u8).prop_map(Word::Number),
        1 => any::<u8>().prop_map(Word::Number),
        4 => place().prop_map(Word::Address),
    ];
    (place(), [word.clone(), word.clone(), word]).prop_map(|(to, words)| Call { to, data: Data::Words(words) })
}

fn deploy() -> impl Strategy<Value = Call> + Clone {
    (one_of_ours("factory"), 0..3u8, 0..3u8, prop::bool::weighted(0.2), init())
        .prop_map(|(to, salt, value, is_plain, init)| Call { to, data: Data::Deploy { salt, value, is_plain, init } })
}

/// Any init code, most often that of the child.
pub fn init() -> impl Strategy<Value = Init> + Clone {
    let rare = [Init::Empty, Init::Revert, Init::Destroy, Init::Reserved, Init::Burn, Init::Call];
    prop_oneof![2 => Just(Init::Child), 1 => prop::sample::select(rare.to_vec())]
}

/// Precompiled contracts and those of the protocol, with data that they accept.
fn protocol() -> impl Strategy<Value = Call> + Clone {
    prop_oneof![
        Just(Call { to: Place::Precompile(1), data: Data::Signature }),
        Just(Call { to: Place::Precompile(5), data: Data::Power }),
        (0..6u8).prop_map(|block| Call { to: Place::System(0), data: Data::Multiple(12, block) }),
        (0..6u8).prop_map(|block| Call { to: Place::System(1), data: Data::Multiple(1, block) }),
        Just(Call { to: Place::System(2), data: Data::Request }),
        Just(Call { to: Place::System(3), data: Data::Words([Word::Number(1); 3]) }),
        prop::bool::weighted(0.2).prop_map(|is_cut| Call { to: Place::System(6), data: Data::Deposit { is_cut } }),
    ]
}

/// A contract, or an account that may be delegated to it.
fn one_of_ours(name: &str) -> impl Strategy<Value = Place> + Clone + use<> {
    prop_oneof![8 => Just(Place::Contract(contracts::index(name))), 1 => (0..crate::world::ACTORS).prop_map(Place::Actor)]
}

impl Call {
    /// As a plain transfer.
    pub fn without_data(self) -> Self {
        Self { data: Data::Empty, ..self }
    }

    /// Whether it calls such a place, directly or through the batch contract.
    pub fn meets(&self, is_such: &dyn Fn(Place) -> bool) -> bool {
        let inner = if let Data::Batch { calls, .. } = &self.data { &calls[..] } else { &[] };
        is_such(self.to) || inner.iter().any(|step| step.call.meets(is_such))
    }

    /// The call's data, with the addresses of `state`.
    pub fn data(&self, state: &MemoryState, fee_recipient: Address) -> Bytes {
        let data = match &self.data {
            Data::Empty => Vec::new(),
            Data::Words(words) => words.iter().flat_map(|word| word.bytes(state, fee_recipient)).collect(),
            Data::Multiple(unit, count) => U256::from(u16::from(*unit) * u16::from(*count)).to_be_bytes_vec(),
            Data::Request => vec![1; 56],
            Data::Deposit { is_cut: false } => contracts::deposit().to_vec(),
            Data::Deposit { is_cut: true } => contracts::deposit()[32..].to_vec(),
            Data::Signature => signature(),
            Data::Power => {
                let one = B256::with_last_byte(1);
                [one.as_slice(), one.as_slice(), one.as_slice(), &[3, 5, 7]].concat()
            }
            Data::Deploy { salt, value, is_plain, init } => {
                let words = [U256::from(*salt), U256::from(*value), U256::from(u8::from(*is_plain))];
                let words = words.iter().flat_map(|word| word.to_be_bytes::<32>());
                words.chain(init.code()).collect()
            }
            Data::Batch { end, calls } => {
                let calls = calls.iter().flat_map(|step| {
                    let data = step.call.data(state, fee_recipient);
                    let to = step.call.to.address(state, fee_recipient);
                    contracts::batch_entry(to, U256::from(step.value), step.how, &data)
                });
                B256::with_last_byte(*end).into_iter().chain(calls).collect()
            }
        };
        data.into()
    }
}

impl Word {
    fn bytes(self, state: &MemoryState, fee_recipient: Address) -> [u8; 32] {
        match self {
            Self::Number(number) => B256::with_last_byte(number).0,
            Self::Address(place) => place.address(state, fee_recipient).into_word().0,
        }
    }
}

fn signature() -> Vec<u8> {
    let hash = B256::repeat_byte(7);
    let signature = signer(0).sign_hash_sync(&hash).unwrap();
    let v = B256::with_last_byte(27 + u8::from(signature.v()));
    [hash.as_slice(), v.as_slice(), &signature.r().to_be_bytes::<32>(), &signature.s().to_be_bytes::<32>()].concat()
}
