//! What it takes to execute a committed block without its parent's state: the parts of that state which the block reads and
//! changes, with the trie nodes that prove them.

mod accesses;
mod siblings;

use crate::block_store::missing;
use crate::{AccountProof, Chain, ChainError, ProofLimits, StateView, TraceBounds, TraceError};
use accesses::{Accesses, Recording};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use heddle_evm::{Mode, execute};
use heddle_primitives::{AccountChange, StateChanges};
use heddle_state::StateError;
use siblings::Removed;
use std::collections::{BTreeMap, BTreeSet};

/// Slots that are proven at a time.
const SLOTS_AT_ONCE: usize = 64;
/// Most change sets that are read for one witness: of an earlier state, every proof puts those after it back.
const CHANGE_SETS_MAX: u64 = 100_000;

/// All that a block needs of the state before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witness {
    /// Nodes of the tries, in the order of their hashes; those that complete a trie from which something is removed too.
    pub nodes: Vec<Bytes>,
    /// The code that ran or was looked at.
    pub codes: Vec<Bytes>,
    /// The addresses and slots whose hashes are the keys of the tries.
    pub keys: Vec<Bytes>,
    /// The headers whose hashes were asked for, the parent's last, without gaps.
    pub headers: Vec<Bytes>,
}

impl Chain {
    /// Executes block `number` again, and gathers what it needs of the state before it.
    ///
    /// # Errors
    /// As [`Self::trace`]; [`ChainError::State`] when the block is too far back, [`ChainError::Trace`] when a bound is passed.
    pub fn witness(&self, number: u64, limits: &ProofLimits, bounds: TraceBounds<'_>) -> Result<Witness, ChainError> {
        let (accesses, changes) = self.trace(number, |block| {
            let reader = Recording::new(block.reader);
            let outcome = execute(block.rules, &reader, &block.context, block.transactions, Mode::Sequential)?;
            Ok((reader.into_accesses(&outcome.changes), outcome.changes))
        })?;
        let parent = number.saturating_sub(1);
        let state = self.state_at(parent)?;
        require_near(parent, self.head().header.number, &accesses)?;
        let mut gathering = Gathering { state: &state, limits, bounds, nodes: BTreeMap::new(), bytes: 0 };
        gathering.gather(&accesses, &changes)?;
        let codes = accesses.codes.iter().map(|hash| Ok(state.code(*hash)?)).collect::<Result<_, ChainError>>()?;
        let nodes = gathering.nodes.into_values().collect();
        Ok(Witness { nodes, codes, keys: accesses.keys(), headers: self.headers(accesses.oldest_block, parent)? })
    }

    /// The headers from `from` up to `to`, at least the last one.
    fn headers(&self, from: Option<u64>, to: u64) -> Result<Vec<Bytes>, ChainError> {
        let header = |number| {
            let header = self.header(number)?.ok_or_else(|| missing("header", number))?;
            Ok(alloy_rlp::encode(header.inner()).into())
        };
        (from.unwrap_or(to).min(to)..=to).map(header).collect()
    }
}

/// Refuses what would read too much.
fn require_near(parent: u64, head: u64, accesses: &Accesses) -> Result<(), ChainError> {
    let proofs = accesses.accounts.values().map(|slots| 1 + slots.len() / SLOTS_AT_ONCE).sum::<usize>() as u64;
    let oldest = head.saturating_sub(CHANGE_SETS_MAX / proofs.max(1));
    if parent < oldest { Err(StateError::ProofTooOld { number: parent, oldest }.into()) } else { Ok(()) }
}

/// Nodes as they are found, each once.
struct Gathering<'a> {
    state: &'a StateView,
    limits: &'a ProofLimits,
    bounds: TraceBounds<'a>,
    nodes: BTreeMap<B256, Bytes>,
    bytes: usize,
}

impl Gathering<'_> {
    fn gather(&mut self, accesses: &Accesses, changes: &StateChanges) -> Result<(), ChainError> {
        let mut removed = Removed::default();
        for (address, slots) in &accesses.accounts {
            let change = changes.accounts.get(address);
            let proof = self.account(*address, slots, change)?;
            if proof.account.is_some() && change.is_some_and(|change| change.account.is_none()) {
                removed.add(keccak256(address), &proof.proof);
            }
        }
        for start in removed.siblings() {
            let range = self.state.account_range(start, 1, self.limits)?;
            self.add(range.proof)?;
        }
        Ok(())
    }

    fn account(
        &mut self,
        address: Address,
        slots: &BTreeSet<U256>,
        change: Option<&AccountChange>,
    ) -> Result<AccountProof, ChainError> {
        let slots = Vec::from_iter(slots.iter().copied());
        let is_zeroed = |slot: &U256| {
            change.is_some_and(|change| !change.storage_wiped && change.storage.get(slot).is_some_and(U256::is_zero))
        };
        let mut removed = Removed::default();
        for slots in slots.chunks(SLOTS_AT_ONCE) {
            for slot in self.state.proof(address, slots, self.limits)?.storage {
                if !slot.value.is_zero() && is_zeroed(&slot.slot) {
                    removed.add(keccak256(B256::from(slot.slot)), &slot.proof);
                }
                self.add(slot.proof)?;
            }
        }
        for start in removed.siblings() {
            let range = self.state.storage_range(keccak256(address), start, 1, self.limits)?;
            self.add(range.proof)?;
        }
        let account = self.state.proof(address, &[], self.limits)?;
        self.add(account.proof.iter().cloned())?;
        Ok(account)
    }

    fn add(&mut self, nodes: impl IntoIterator<Item = Bytes>) -> Result<(), ChainError> {
        for node in nodes {
            let size = node.len();
            if self.nodes.insert(keccak256(&node), node).is_none() {
                // As many digits.
                self.bytes = self.bytes.saturating_add(2 * size);
            }
        }
        let TraceBounds { bytes, time, elapsed } = self.bounds;
        if self.bytes > bytes {
            return Err(TraceError::TooLarge(bytes).into());
        }
        if elapsed() >= time { Err(TraceError::Timeout(time).into()) } else { Ok(()) }
    }
}
