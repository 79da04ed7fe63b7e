//! Chains of blocks: plans that shrink, and the blocks that they give on a state.

use crate::action::{Action, Gas, Purpose, action, flaw};
use crate::call::{Call, call};
use crate::chain::{CHAINS, Chain};
use crate::draft::Scene;
use crate::state::MemoryState;
use crate::world::{ACTORS, Place, place};
use alloy_eips::eip4895::Withdrawal;
use alloy_hardforks::EthereumHardforks;
use alloy_primitives::Address;
use heddle_evm::{BlockContext, ChainCall, transact};
use heddle_primitives::{Header, RecoveredTransaction};
use proptest::collection::vec;
use proptest::prelude::*;

/// The gas limit of a transaction with [`Gas::Ample`].
const AMPLE: u64 = 1_000_000;

/// The number of the first block: a few more are its ancestors.
pub const NUMBER_FIRST: u64 = 3;

/// What is executed: some blocks of a chain, each on the state after the one before.
#[derive(Clone, Debug)]
pub struct Case {
    /// Position among the chains.
    chain: usize,
    pub blocks: Vec<Plan>,
    /// Where the state cannot be read, in the last block.
    pub fails_at: Option<Place>,
    /// Of threads, hints, schedules, and what is done to access lists.
    pub seed: u64,
}

/// A block before it meets a state.
#[derive(Clone, Debug)]
pub struct Plan {
    fee_recipient: Place,
    gas_limit: u64,
    base_fee: u64,
    actions: Vec<Action>,
    focus: Focus,
    /// With their amounts, in gwei; where they are known.
    withdrawals: Vec<(Place, u8)>,
    /// What the chain itself calls first.
    call: Option<Call>,
    /// Their beneficiaries; before the merge.
    ommers: Vec<Place>,
}

/// What the transactions of a block have in common.
#[derive(Clone, Debug)]
enum Focus {
    Nothing,
    Sender(usize),
    /// What is called, by those transactions that call something.
    Call(Call),
    /// That they are transfers.
    Value,
}

/// A block, with all that its execution needs.
pub struct Block {
    pub header: Header,
    ommers: Vec<Header>,
    withdrawals: Vec<Withdrawal>,
    call: Option<ChainCall>,
    pub transactions: Vec<RecoveredTransaction>,
}

/// Any case.
pub fn case() -> impl Strategy<Value = Case> {
    let fails_at = prop::option::weighted(0.05, place());
    let chain = prop_oneof![3 => 0..4usize, 2 => 4..CHAINS.len()];
    (chain, vec(plan(), 1..3), fails_at, any::<u64>().no_shrink()).prop_map(|(chain, blocks, fails_at, seed)| Case {
        chain,
        blocks,
        fails_at,
        seed,
    })
}

fn plan() -> impl Strategy<Value = Plan> {
    let gas_limit = prop_oneof![15 => Just(200_000_000u64), 1 => 1_000_000..20_000_000u64];
    let base_fee = prop::sample::select(vec![0u64, 7, 1_000]);
    // A long block with flaws would hardly ever be valid.
    let actions = prop_oneof![
        12 => vec(action(flaw()), 0..8),
        12 => vec(action(flaw()), 0..40),
        1 => vec(action(Just(None)), 64..160),
    ];
    let focus = prop_oneof![
        6 => Just(Focus::Nothing),
        1 => (0..ACTORS).prop_map(Focus::Sender),
        1 => call().prop_map(Focus::Call),
        1 => Just(Focus::Value),
    ];
    // These two are called before at the same index: two commits to one contract there would be one too many for revm's
    // access list, and a chain's registry has nothing to do with them.
    let chain_call = call().prop_filter("called before", |call| !call.meets(&|to| matches!(to, Place::System(0 | 1))));
    let chain_call = prop::option::weighted(0.5, chain_call);
    (place(), gas_limit, base_fee, actions, focus, vec((place(), 0..3u8), 0..3), chain_call, vec(place(), 0..3))
        .prop_map(|(fee_recipient, gas_limit, base_fee, actions, focus, withdrawals, call, ommers)| Plan {
            fee_recipient,
            gas_limit,
            base_fee,
            actions,
            focus,
            withdrawals,
            call: call.filter(|call| {
                let is_called_before = matches!(fee_recipient, Place::System(0 | 1));
                !(is_called_before && call.meets(&|to| matches!(to, Place::FeeRecipient)))
            }),
            ommers,
        })
}

impl Case {
    /// The chain of the blocks.
    pub fn chain(&self) -> &'static Chain {
        &CHAINS[self.chain]
    }
}

impl Plan {
    /// The block on `state`. Transactions that could not be in it are left out, except those that shall not be.
    pub fn block(&self, chain: &Chain, state: &MemoryState, number: u64) -> Block {
        let fee_recipient = self.fee_recipient.address(state, Address::ZERO);
        let address = |place: &Place| place.address(state, fee_recipient);
        let header = chain.header(number, fee_recipient, self.gas_limit, self.base_fee);
        let is_shanghai = chain.rules.is_shanghai_active_at_timestamp(header.timestamp);
        let withdrawals = match is_shanghai && !chain.rules.is_heddle() {
            true => self.withdrawals.iter().map(|(place, amount)| withdrawal(address(place), *amount)).collect(),
            false => Vec::new(),
        };
        let ommer = |place| Header { number: number - 1, beneficiary: address(place), ..Header::default() };
        let ommers = if is_shanghai { Vec::new() } else { self.ommers.iter().map(ommer).collect() };
        let call =
            self.call.as_ref().map(|call| ChainCall { to: address(&call.to), data: call.data(state, fee_recipient) });
        let mut scene = Scene { chain, header: &header, state: state.clone() };
        let transactions = self.actions.iter().filter_map(|action| play(&mut scene, &self.focused(action))).collect();
        Block { header, ommers, withdrawals, call, transactions }
    }

    fn focused(&self, action: &Action) -> Action {
        let mut action = action.clone();
        match (&self.focus, &mut action.purpose) {
            (Focus::Sender(sender), _) => action.sender = *sender,
            (Focus::Call(focus), Purpose::Call(call)) => *call = focus.clone(),
            (Focus::Value, Purpose::Call(call)) => *call = call.clone().without_data(),
            _ => {}
        }
        action
    }
}

fn withdrawal(address: Address, amount: u8) -> Withdrawal {
    Withdrawal { address, amount: amount.into(), ..Withdrawal::default() }
}

fn play(scene: &mut Scene<'_>, action: &Action) -> Option<RecoveredTransaction> {
    let run = |scene: &Scene<'_>, transaction: &RecoveredTransaction| {
        transact(&scene.chain.rules, &scene.state, scene.header, transaction)
    };
    let ample = scene.draft(action, AMPLE);
    let transaction = match (action.flaw, action.gas) {
        (Some(_), _) | (None, Gas::Ample) => ample,
        (None, Gas::More(gas)) => scene.draft(action, run(scene, &ample).ok()?.gas_used + u64::from(gas)),
        (None, Gas::Less(gas)) => scene.draft(action, run(scene, &ample).ok()?.gas_used.saturating_sub(gas.into())),
    };
    match run(scene, &transaction) {
        Ok(outcome) => scene.state.apply(&outcome.changes),
        Err(_) => action.flaw.map(|_| ())?,
    }
    Some(transaction)
}

impl Block {
    /// What its transactions are executed under.
    pub fn context(&self) -> BlockContext<'_> {
        let Self { header, ommers, withdrawals, call, .. } = self;
        BlockContext { header, ommers, withdrawals, call: call.as_ref() }
    }
}
