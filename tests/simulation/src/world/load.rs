//! Users that send transactions.

use super::World;
use crate::event::Event;
use crate::fixture::CONTRACT;
use alloy_primitives::{Address, Bytes, U256};
use heddle_primitives::TransactionBatch;
use rand::Rng;
use std::rc::Rc;

impl World {
    /// A user sends a transfer or calls the contract, at some node; its peers get it from there.
    pub(super) fn send_transaction(&mut self) {
        let entry = self.rng.random_range(0..self.nodes.len());
        let user = self.rng.random_range(0..self.fixture.users.len());
        let Some(process) = &self.nodes[entry].process else { return };
        let Some(nonce) = process.next_nonce(self.fixture.users[user].address()) else { return };
        let value = self.rng.random_range(1..1_000u64);
        let (to, input) = match self.rng.random_ratio(1, 3) {
            true => (CONTRACT, Bytes::from(U256::from(value).to_be_bytes::<32>())),
            false => (Address::repeat_byte(self.rng.random_range(0x80..=0x84)), Bytes::new()),
        };
        let value = if to == CONTRACT { 0 } else { value };
        let raw = self.fixture.transaction(user, nonce, to, value, input);
        let batch = Rc::new(TransactionBatch(vec![raw]));
        for node in 0..self.nodes.len() {
            let faults = self.scenario.faults_at(self.now);
            let loss = faults.map_or(0, |faults| faults.loss_percent);
            let cut = self.network.is_cut(entry, node, self.now, faults);
            if node != entry && (cut || self.rng.random_ratio(loss, 100)) {
                continue;
            }
            let delay = self.network.delay(entry, node, self.scenario.faults_at(self.now), &mut self.rng);
            self.push(self.now + delay, node, Event::Transactions(Rc::clone(&batch)));
        }
    }
}
