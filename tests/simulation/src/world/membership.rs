//! The administrator: changes who validates while everything else goes on.

use super::World;
use crate::event::Event;
use crate::scenario::Plan;
use crate::time::{Micros, SECOND};
use alloy_primitives::{B256, Bytes};
use alloy_sol_types::{SolCall, sol};
use heddle_primitives::{TransactionBatch, ValidatorSet};
use std::rc::Rc;

sol! {
    function add(bytes32 key, uint64 power, address feeRecipient);
    function remove(bytes32 key);
    function rotateKey(bytes32 oldKey, bytes32 newKey);
    function unjail(bytes32 key);
}

/// The member that rotates its key or is absent.
const SUBJECT: usize = 1;

/// How far a plan has come.
#[derive(Default)]
pub(super) struct Progress {
    /// When the administrator looks again.
    next_at: Micros,
    /// Whether the first half is done: grown, or jailed.
    half: bool,
    done: bool,
    /// Counts the calls: every other one gives back a seat that absence may have cost.
    calls: u64,
    /// The node that is kept from starting.
    pub(super) absent: Option<usize>,
}

impl World {
    pub(super) fn is_plan_done(&self) -> bool {
        self.scenario.plan == Plan::Fixed || self.progress.done
    }

    /// Looks at the validators of the next height, and does what is still missing.
    pub(super) fn pursue_plan(&mut self) {
        if self.is_plan_done() || self.now < self.progress.next_at {
            return;
        }
        self.progress.next_at = self.now + 2 * SECOND;
        self.progress.calls += 1;
        let Ok(validators) = self.referee.next_validators() else { return };
        let call = match self.scenario.plan {
            Plan::Fixed => None,
            Plan::Grow => self.grow(&validators),
            Plan::Rotate => self.rotate(&validators),
            Plan::Jail => self.jail(&validators),
            Plan::Slash => {
                let accused = self.scenario.byzantine.keys().next().copied().unwrap_or_default();
                self.progress.done = !self.is_member(accused, &validators);
                None
            }
        };
        if let Some(call) = call {
            self.administer(call);
        }
    }

    fn is_member(&self, node: usize, validators: &ValidatorSet) -> bool {
        validators.get(&self.fixture.address(node)).is_some()
    }

    fn key(&self, node: usize) -> B256 {
        self.fixture.keys.get(node).map(|key| B256::from(key.public_key().to_bytes())).unwrap_or_default()
    }

    /// Adds those who are missing; once all are in, removes them again, one an epoch.
    fn grow(&mut self, validators: &ValidatorSet) -> Option<Vec<u8>> {
        let newcomers = self.scenario.shape().members..self.scenario.nodes;
        let (inside, outside): (Vec<_>, Vec<_>) = newcomers.partition(|node| self.is_member(*node, validators));
        self.progress.half |= outside.is_empty();
        self.progress.done = self.progress.half && inside.is_empty();
        if self.progress.half {
            return inside.last().map(|node| removeCall { key: self.key(*node) }.abi_encode());
        }
        let node = *outside.first()?;
        if self.progress.calls.is_multiple_of(2) {
            return self.unjail_in_turn(validators);
        }
        let recipient = alloy_primitives::Address::repeat_byte(0x40 + node as u8);
        Some(addCall { key: self.key(node), power: 1, feeRecipient: recipient }.abi_encode())
    }

    fn rotate(&mut self, validators: &ValidatorSet) -> Option<Vec<u8>> {
        let newcomer = self.scenario.nodes - 1;
        self.progress.done = self.is_member(newcomer, validators) && !self.is_member(SUBJECT, validators);
        if self.progress.calls.is_multiple_of(2) && !self.progress.done {
            return self.unjail_in_turn(validators);
        }
        let call = rotateKeyCall { oldKey: self.key(SUBJECT), newKey: self.key(newcomer) };
        (!self.progress.done).then(|| call.abi_encode())
    }

    fn jail(&mut self, validators: &ValidatorSet) -> Option<Vec<u8>> {
        let inside = self.is_member(SUBJECT, validators);
        if !self.progress.half {
            if self.progress.absent.is_none() && self.referee.height() > 0 {
                self.progress.absent = Some(SUBJECT);
                self.stop(SUBJECT);
            }
            if !inside {
                self.progress.half = true;
                self.progress.absent = None;
                self.push(self.now, SUBJECT, Event::Boot);
            }
            return None;
        }
        self.progress.done = inside;
        if inside { None } else { self.unjail(SUBJECT) }
    }

    /// Whoever was away for an epoch is in jail, where it keeps a set of three from any change: the contract refuses to bring
    /// back who is not.
    fn unjail_in_turn(&self, validators: &ValidatorSet) -> Option<Vec<u8>> {
        let outside = Vec::from_iter((0..self.scenario.nodes).filter(|node| !self.is_member(*node, validators)));
        let turn = (self.progress.calls as usize / 2).checked_rem(outside.len())?;
        outside.get(turn).and_then(|node| self.unjail(*node))
    }

    fn unjail(&self, node: usize) -> Option<Vec<u8>> {
        Some(unjailCall { key: self.key(node) }.abi_encode())
    }

    /// Sends a transaction of the administrator to all, by way of a node that is up.
    fn administer(&mut self, input: Vec<u8>) {
        let administrator = self.fixture.administrator.address();
        let nonce = self.nodes.iter().filter_map(|node| node.process.as_ref()?.next_nonce(administrator)).min();
        let Some(nonce) = nonce else { return };
        let batch = Rc::new(TransactionBatch(vec![self.fixture.administer(nonce, Bytes::from(input))]));
        for node in 0..self.nodes.len() {
            self.push(self.now, node, Event::Transactions(Rc::clone(&batch)));
        }
    }
}
