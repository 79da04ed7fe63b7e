//! Transactions before they meet a state.

use crate::call::{Call, call, init};
use crate::contracts::Init;
use crate::world::{ACTORS, Place, place};
use proptest::collection::vec;
use proptest::prelude::*;

/// A transaction, in words that shrink.
#[derive(Clone, Debug)]
pub struct Action {
    pub sender: usize,
    pub purpose: Purpose,
    pub value: Value,
    pub gas: Gas,
    /// Above the base fee; wei a gas.
    pub tip: u64,
    pub form: Form,
    pub flaw: Option<Flaw>,
}

/// What it is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    Call(Call),
    Create(Init),
    /// An EIP-7702 transaction, where they are known.
    Delegate(Vec<Delegation>, Call),
    /// An EIP-4844 transaction, where they are known.
    Blob(Call),
}

/// An EIP-7702 authorization.
#[derive(Clone, Debug)]
pub struct Delegation {
    pub authority: usize,
    /// The zero address when absent, which clears.
    pub to: Option<Place>,
    /// Added to the nonce that it should have.
    pub nonce_ahead: u64,
    pub chain_id: u64,
}

/// The value of a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    Wei(u16),
    /// Enough for the recipient to send some transactions itself.
    Much,
    /// All that the sender can spend.
    Most,
}

/// The gas limit of a transaction.
#[derive(Clone, Copy, Debug)]
pub enum Gas {
    Ample,
    /// This much more than was used with ample gas.
    More(u16),
    /// This much less, so that it runs out of gas late.
    Less(u16),
}

/// The form of a call or creation; a legacy transaction where the form is not known.
#[derive(Clone, Debug)]
pub enum Form {
    Legacy,
    /// EIP-2930: an address with a slot each.
    AccessList(Vec<(Place, u8)>),
    /// EIP-1559.
    DynamicFee,
}

/// Why it may not be in a block.
#[derive(Clone, Copy, Debug)]
pub enum Flaw {
    NonceGap,
    NonceUsed,
    Funds,
    BlockGas,
    IntrinsicGas,
    BaseFee,
    ChainId,
    /// Its type is not known on the chain, unless it is.
    Type,
    /// The sender is a contract.
    SenderCode,
}

/// Any transaction, with or without a flaw.
pub fn action(flaw: impl Strategy<Value = Option<Flaw>>) -> impl Strategy<Value = Action> {
    let value = prop_oneof![
        4 => Just(Value::Wei(0)),
        3 => (0..100u16).prop_map(Value::Wei),
        1 => Just(Value::Much),
        1 => Just(Value::Most),
    ];
    let gas = prop_oneof![
        8 => Just(Gas::Ample),
        1 => (0..5_000u16).prop_map(Gas::More),
        1 => (0..5_000u16).prop_map(Gas::Less),
    ];
    let form = prop_oneof![
        3 => Just(Form::Legacy),
        1 => vec((place(), 0..4u8), 0..3).prop_map(Form::AccessList),
        2 => Just(Form::DynamicFee),
    ];
    (0..ACTORS, purpose(), value, gas, 0..3u64, form, flaw).prop_map(
        |(sender, purpose, value, gas, tip, form, flaw)| Action { sender, purpose, value, gas, tip, form, flaw },
    )
}

fn purpose() -> impl Strategy<Value = Purpose> {
    prop_oneof![
        20 => call().prop_map(Purpose::Call),
        2 => init().prop_map(Purpose::Create),
        1 => call().prop_map(Purpose::Blob),
        3 => (vec(delegation(), 1..3), call()).prop_map(|(delegations, call)| Purpose::Delegate(delegations, call)),
    ]
}

fn delegation() -> impl Strategy<Value = Delegation> {
    let nonce_ahead = prop_oneof![6 => Just(0u64), 1 => Just(1)];
    let chain_id = prop_oneof![4 => Just(crate::chain::CHAIN_ID), 1 => Just(0), 1 => Just(1)];
    (0..ACTORS, prop::option::weighted(0.8, place()), nonce_ahead, chain_id)
        .prop_map(|(authority, to, nonce_ahead, chain_id)| Delegation { authority, to, nonce_ahead, chain_id })
}

/// Seldom a flaw.
pub fn flaw() -> impl Strategy<Value = Option<Flaw>> {
    let flaws = vec![
        Flaw::NonceGap,
        Flaw::NonceUsed,
        Flaw::Funds,
        Flaw::BlockGas,
        Flaw::IntrinsicGas,
        Flaw::BaseFee,
        Flaw::ChainId,
        Flaw::Type,
        Flaw::SenderCode,
    ];
    prop::option::weighted(0.01, prop::sample::select(flaws))
}
