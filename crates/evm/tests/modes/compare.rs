//! Every mode against the reference.

use crate::corrupt::corrupt;
use crate::difference::{Outcome, difference};
use crate::plan::{Block, Case, NUMBER_FIRST};
use crate::schedule::Schedule;
use crate::state::MemoryState;
use alloy_consensus::Transaction as _;
use alloy_eips::eip7928::BlockAccessList;
use alloy_hardforks::EthereumHardforks;
use heddle_evm::{ChainRules, ExecutionError, Mode, execute, execute_observed, record_access_list};
use heddle_primitives::DependencyHints;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::num::NonZeroUsize;
use std::ops::AddAssign;

/// Most threads of a mode.
const THREADS_MAX: usize = 8;
/// How much was compared, and whether it meant anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub blocks: usize,
    /// Valid blocks executed in parallel, each in several ways; without those from before Byzantium, whose receipts
    /// need the state after each transaction.
    pub parallel: usize,
    /// Of these, how many were given up and executed in order: no fault, and no test either.
    pub given_up: usize,
    /// Transactions that were executed in vain, when blocks were executed in parallel.
    pub aborts: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.parallel += other.parallel;
        self.given_up += other.given_up;
        self.aborts += other.aborts;
    }
}

/// A block with its parent's state and what the reference made of it.
struct Trial<'a> {
    rules: &'a ChainRules,
    state: &'a MemoryState,
    block: &'a Block,
    expected: &'a Outcome,
    random: ChaCha8Rng,
    counts: Counts,
}

/// Executes the blocks of a case in every mode, `repetitions` times with other schedules.
///
/// # Errors
/// What a mode did otherwise.
pub fn compare(case: &Case, repetitions: u64) -> Result<Counts, String> {
    let chain = case.chain();
    let mut state = chain.state.clone();
    let mut counts = Counts::default();
    for (index, plan) in case.blocks.iter().enumerate() {
        let block = plan.block(chain, &state, NUMBER_FIRST + index as u64);
        let is_last = index + 1 == case.blocks.len();
        let fails_at = case.fails_at.filter(|_| is_last).map(|place| place.address(&state, block.header.beneficiary));
        let list = list_without_failure(&chain.rules, &state, &block);
        state.fails_at = fails_at;
        let expected = execute(&chain.rules, &state, &block.context(), &block.transactions, Mode::Sequential);
        for repetition in 0..repetitions {
            let mut trial = Trial {
                rules: &chain.rules,
                state: &state,
                block: &block,
                expected: &expected,
                random: ChaCha8Rng::seed_from_u64(case.seed.wrapping_add(repetition)),
                counts: Counts::default(),
            };
            trial.parallel()?;
            trial.access_list(list.as_ref())?;
            counts += trial.counts;
        }
        counts.blocks += 1;
        let Ok(outcome) = expected else { break };
        state.apply(&outcome.changes);
    }
    Ok(counts)
}

/// The block's access list, or if the block is invalid that of the transactions before the one at fault.
fn list_without_failure(rules: &ChainRules, state: &MemoryState, block: &Block) -> Option<BlockAccessList> {
    let run = |count: usize| record_access_list(rules, state, &block.context(), &block.transactions[..count]);
    match run(block.transactions.len()) {
        Ok(outcome) => outcome.access_list,
        Err(ExecutionError::InvalidTransaction { index, .. }) => run(index).ok()?.access_list,
        Err(_) => None,
    }
}

impl Trial<'_> {
    /// With no hints, with good ones, and with any.
    fn parallel(&mut self) -> Result<(), String> {
        let (good, random) = (self.good_hints(), self.random_hints());
        for hints in [None, Some(&good), Some(&random)] {
            let threads = self.threads();
            let mode = Mode::Parallel { threads, hints };
            self.same(mode, &format!("in parallel by {threads} threads with {hints:?}"))?;
        }
        Ok(())
    }

    fn access_list(&mut self, list: Option<&BlockAccessList>) -> Result<(), String> {
        let Some(list) = list else { return Ok(()) };
        let threads = self.threads();
        self.same(Mode::AccessList { list, threads }, &format!("by its access list and {threads} threads"))?;
        if self.expected.is_ok() { self.corrupted(list) } else { Ok(()) }
    }

    fn corrupted(&mut self, list: &BlockAccessList) -> Result<(), String> {
        for _ in 0..2 {
            let Some((name, corrupted)) = corrupt(list, self.block.transactions.len(), &mut self.random) else {
                continue;
            };
            let threads = self.threads();
            match self.run(Mode::AccessList { list: &corrupted, threads }) {
                Err(ExecutionError::InvalidAccessList(_)) => {}
                other => return Err(format!("a list with {name}, {threads} threads: {other:?}\n{corrupted:#?}")),
            }
        }
        Ok(())
    }

    fn same(&mut self, mode: Mode<'_>, name: &str) -> Result<(), String> {
        let outcome = self.run(mode);
        match difference(self.expected, &outcome) {
            Some(difference) => Err(format!("executed {name}: {difference}")),
            None => Ok(()),
        }
    }

    fn run(&mut self, mode: Mode<'_>) -> Outcome {
        let schedule = Schedule::new(self.random.random());
        let block = self.block;
        let outcome = execute_observed(self.rules, self.state, &block.context(), &block.transactions, mode, &schedule);
        let is_byzantium = self.rules.is_byzantium_active_at_block(block.header.number);
        if matches!(mode, Mode::Parallel { .. }) && is_byzantium && outcome.is_ok() {
            self.counts.parallel += 1;
            self.counts.given_up += usize::from(schedule.commits() < block.transactions.len());
            self.counts.aborts += schedule.aborts();
        }
        outcome
    }

    fn threads(&mut self) -> NonZeroUsize {
        NonZeroUsize::new(self.random.random_range(1..=THREADS_MAX)).unwrap()
    }

    /// Each transaction waits for the latest one with its sender or recipient.
    fn good_hints(&self) -> DependencyHints {
        let transactions = &self.block.transactions;
        let distance = |index: usize| {
            let this = &transactions[index];
            let meets = |other: usize| {
                let other = &transactions[other];
                other.signer() == this.signer() || other.to() == this.to()
            };
            (0..index).rev().find(|other| meets(*other)).map_or(0, |other| u32::try_from(index - other).unwrap())
        };
        DependencyHints::new((0..transactions.len()).map(distance).collect())
    }

    /// Also too many, too few, and such that point before the block.
    fn random_hints(&mut self) -> DependencyHints {
        let length = self.random.random_range(0..=self.block.transactions.len() + 1);
        DependencyHints::new((0..length).map(|_| self.random.random_range(0..8)).collect())
    }
}
