//! Transactions of a toy machine, and what they do in block order: the truth that every schedule has to give.

use super::super::account::WaitFor;
use super::super::view::Observed;
use super::{below, once_in};
use alloy_primitives::U256;
use heddle_primitives::Account;
use std::collections::BTreeMap;

/// Accounts by number: fee recipient, then senders, then contracts.
pub(super) const FEE_RECIPIENT: usize = 0;
const SENDERS: std::ops::Range<usize> = 1..3;
const ACCOUNTS: usize = 5;
const SLOTS: usize = 2;
/// What each transaction pays, in wei.
pub(super) const FEE: U256 = U256::from_limbs([10, 0, 0, 0]);
/// What a sender has to have, in wei: more than it pays, as for gas that is not used.
pub(super) const DEPOSIT: U256 = U256::from_limbs([25, 0, 0, 0]);
const ACTIONS_MAX: usize = 4;

/// A slot's account and its number.
pub(super) type Slot = (usize, usize);

/// What a transaction does at a time. What it has learned so far is its digest.
#[derive(Clone, Copy, Debug)]
enum Action {
    /// Learns what is in a slot.
    Load(Slot),
    /// Leaves the digest in a slot.
    Store(Slot),
    /// Learns an account's balance.
    Look(usize),
    /// Adds a wei to a balance, without looking.
    Credit(usize),
    /// Removes an account and its slots, and looks at all there is on the way.
    Destroy(usize),
    /// Ends, if the digest is odd.
    Stop,
}

#[derive(Clone, Debug)]
pub(super) struct Program {
    pub(super) sender: usize,
    pub(super) nonce: u64,
    actions: Vec<Action>,
}

/// Where a program reads.
pub(super) trait Source {
    fn account(&mut self, number: usize) -> Result<Option<Account>, WaitFor>;
    fn slot(&mut self, slot: Slot) -> Result<U256, WaitFor>;
}

/// An account that a program loaded: what it found, learned and left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loaded {
    pub(super) seen: Option<Account>,
    pub(super) left: Account,
    pub(super) observed: Observed,
    pub(super) is_destroyed: bool,
}

/// What a program read and left.
#[derive(Clone, Debug, Default)]
pub(super) struct Effects {
    pub(super) accounts: BTreeMap<usize, Loaded>,
    /// What was seen and what is left.
    pub(super) slots: BTreeMap<Slot, (U256, U256)>,
    pub(super) digest: u64,
}

/// Why a program has no effects.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    Wait(WaitFor),
    /// The sender has another nonce, or too little to pay.
    Invalid,
}

impl From<WaitFor> for Failure {
    fn from(wait: WaitFor) -> Self {
        Self::Wait(wait)
    }
}

impl Program {
    /// A block of programs that are in each other's way.
    pub(super) fn block(count: usize) -> Vec<Self> {
        let mut nonces = [0; ACCOUNTS];
        let program = |_| {
            let sender = SENDERS.start + below(SENDERS.len());
            nonces[sender] += 1;
            let actions = (0..1 + below(ACTIONS_MAX)).map(|_| Action::any()).collect();
            Self { sender, nonce: nonces[sender] - 1, actions }
        };
        (0..count).map(program).collect()
    }

    /// Runs at `index` of the access list.
    pub(super) fn run(&self, index: u32, source: &mut impl Source) -> Result<Effects, Failure> {
        let mut effects = Effects::default();
        let sender = effects.load(self.sender, source)?;
        sender.observed.nonce = true;
        if sender.left.nonce != self.nonce || sender.left.balance < DEPOSIT {
            return Err(Failure::Invalid);
        }
        sender.left.nonce += 1;
        sender.left.balance -= FEE;
        for action in &self.actions {
            match *action {
                Action::Load(slot) => {
                    let (_, value) = *effects.load_slot(slot, source)?;
                    effects.learn(value);
                }
                Action::Store(slot) => {
                    let value = tagged(effects.digest, index);
                    effects.load_slot(slot, source)?.1 = value;
                }
                Action::Look(account) => {
                    let account = effects.load(account, source)?;
                    account.observed.balance = true;
                    let balance = account.left.balance;
                    effects.learn(balance);
                }
                Action::Credit(account) => effects.load(account, source)?.left.balance += U256::ONE,
                Action::Destroy(account) => effects.load(account, source)?.is_destroyed = true,
                Action::Stop if effects.digest % 2 == 1 => break,
                Action::Stop => {}
            }
        }
        effects.settle();
        Ok(effects)
    }
}

impl Action {
    fn any() -> Self {
        let contract = || SENDERS.end + below(ACCOUNTS - SENDERS.end);
        let slot = || (contract(), below(SLOTS));
        match below(12) {
            0..3 => Self::Load(slot()),
            3..7 => Self::Store(slot()),
            7 | 8 => Self::Credit(below(ACCOUNTS)),
            9 => Self::Look(below(ACCOUNTS)),
            10 => Self::Stop,
            _ if once_in(2) => Self::Destroy(contract()),
            _ => Self::Look(FEE_RECIPIENT),
        }
    }
}

/// A value that says who wrote it, so that it shows when it comes from the future.
fn tagged(digest: u64, index: u32) -> U256 {
    U256::from(digest) << 32 | U256::from(index)
}

/// The index at which a slot's value was written: 0 for one from before the block.
pub(super) fn writer(value: U256) -> u64 {
    value.as_limbs()[0] & u64::from(u32::MAX)
}

impl Effects {
    fn load(&mut self, number: usize, source: &mut impl Source) -> Result<&mut Loaded, WaitFor> {
        use std::collections::btree_map::Entry;
        match self.accounts.entry(number) {
            Entry::Occupied(loaded) => Ok(loaded.into_mut()),
            Entry::Vacant(place) => {
                let seen = source.account(number)?;
                let (left, observed) = (seen.unwrap_or_default(), Observed::default());
                Ok(place.insert(Loaded { seen, left, observed, is_destroyed: false }))
            }
        }
    }

    fn load_slot(&mut self, slot: Slot, source: &mut impl Source) -> Result<&mut (U256, U256), WaitFor> {
        use std::collections::btree_map::Entry;
        self.load(slot.0, source)?;
        match self.slots.entry(slot) {
            Entry::Occupied(loaded) => Ok(loaded.into_mut()),
            Entry::Vacant(place) => {
                let seen = source.slot(slot)?;
                Ok(place.insert((seen, seen)))
            }
        }
    }

    fn learn(&mut self, value: U256) {
        let folded = value.as_limbs().iter().fold(self.digest, |digest, limb| digest.rotate_left(7) ^ limb);
        // Odd and even are to be equally likely.
        self.digest = folded.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(32);
    }

    /// Accounts are destroyed, with their slots, when a program ends. As in the machine, all is observed then.
    fn settle(&mut self) {
        if !self.accounts.values().any(|account| account.is_destroyed) {
            return;
        }
        self.accounts.values_mut().for_each(|account| account.observed = Observed::ALL);
        for ((account, _), (_, left)) in &mut self.slots {
            if self.accounts[account].is_destroyed {
                *left = U256::ZERO;
            }
        }
    }
}

/// The state as it is with nobody else about.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) accounts: Vec<Option<Account>>,
    pub(super) slots: Vec<[U256; SLOTS]>,
}

impl Source for State {
    fn account(&mut self, number: usize) -> Result<Option<Account>, WaitFor> {
        Ok(self.accounts[number])
    }

    fn slot(&mut self, (account, number): Slot) -> Result<U256, WaitFor> {
        Ok(self.slots[account][number])
    }
}

impl State {
    /// Before the block: the senders can pay, as a rule, and not every contract is there.
    pub(super) fn any() -> Self {
        let account = |number: usize| {
            let balance = U256::from(if SENDERS.contains(&number) && !once_in(8) { 60 + below(40) } else { below(30) });
            let account = Account { balance, ..Account::default() };
            (!account.is_empty()).then_some(account)
        };
        let accounts: Vec<_> = (0..ACCOUNTS).map(account).collect();
        let slot = |account: &Option<Account>| account.map_or(U256::ZERO, |_| tagged(below(3) as u64, 0));
        let slots = accounts.iter().map(|account| std::array::from_fn(|_| slot(account))).collect();
        Self { accounts, slots }
    }

    /// The state after each of the programs, with their digests, up to the first that is invalid.
    pub(super) fn after_each(&self, block: &[Program]) -> Vec<(Self, u64)> {
        let mut state = self.clone();
        let mut after = Vec::new();
        for (program, index) in block.iter().zip(1..) {
            let Ok(effects) = program.run(index, &mut state) else { break };
            state.apply(&effects);
            after.push((state.clone(), effects.digest));
        }
        after
    }

    fn apply(&mut self, effects: &Effects) {
        for ((account, number), (_, left)) in &effects.slots {
            self.slots[*account][*number] = *left;
        }
        for (number, loaded) in &effects.accounts {
            self.accounts[*number] = (!loaded.left.is_empty() && !loaded.is_destroyed).then_some(loaded.left);
            if loaded.is_destroyed {
                self.slots[*number] = [U256::ZERO; SLOTS];
            }
        }
        let mut recipient = self.accounts[FEE_RECIPIENT].unwrap_or_default();
        recipient.balance += FEE;
        self.accounts[FEE_RECIPIENT] = Some(recipient);
    }
}
