//! The machines of a world: how they are made, crash, and come up again.

use super::World;
use crate::byzantine::Behaviour;
use crate::disk::Disk;
use crate::event::{Event, Wire};
use crate::fixture::Fixture;
use crate::node::{Machine, Process};
use crate::scenario::Scenario;
use crate::time::Micros;
use heddle_consensus::ConsensusConfig;
use heddle_primitives::{ConsensusKey, Height};
use heddle_storage::{Database, DatabaseConfig};
use rand::Rng;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// How many heights every honest node must commit after the faults have stopped.
const HEIGHTS_AFTER: u64 = 2;

/// A machine with its process, while there is one.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) process: Option<Process>,
    /// Counts the lives of the process.
    pub(crate) life: u64,
    /// Busy with an event until then.
    pub(crate) busy_until: Micros,
    /// Messages it has forwarded, by address: each is kept, so that no two share one.
    pub(super) seen: BTreeMap<usize, Rc<Wire>>,
}

/// Nothing is ever flushed from the buffers: each table takes a megabyte of address space at its first write.
pub(super) fn database_config() -> DatabaseConfig {
    DatabaseConfig { block_cache_bytes: 1 << 20, write_buffer_bytes: 1 << 30, open_files_max: 64 }
}

impl Node {
    pub(super) fn new(index: usize, scenario: &Scenario, fixture: &Arc<Fixture>) -> Result<Self, String> {
        let key: ConsensusKey = fixture.keys.get(index).ok_or("more nodes than keys")?.clone();
        let machine = Machine {
            index,
            nodes: scenario.nodes,
            fixture: Arc::clone(fixture),
            key,
            database: Database::open_in_memory(&database_config()).map_err(|error| error.to_string())?,
            disk: Disk::default(),
            config: ConsensusConfig::default(),
            skew_secs: scenario.faults.skew_secs.get(index).copied().unwrap_or_default(),
            slowness: scenario.faults.slowness.get(index).copied().unwrap_or_default(),
            crash_in: None,
        };
        Ok(Self { machine, process: None, life: 0, busy_until: 0, seen: BTreeMap::new() })
    }
}

impl World {
    /// Ends every fault: what is down comes up, and no clock is wrong.
    pub(super) fn heal(&mut self) {
        let highest = self.checks.highest(&self.scenario).as_u64();
        self.target = Some(Height::new(highest + HEIGHTS_AFTER));
        for index in 0..self.nodes.len() {
            let machine = &mut self.nodes[index].machine;
            (machine.skew_secs, machine.slowness, machine.crash_in) = (0, 0, None);
            if self.nodes[index].process.is_none() {
                self.push(self.now, index, Event::Boot);
            }
        }
    }

    /// Takes the process and what was not durable.
    pub(super) fn stop(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        node.process = None;
        node.life += 1;
        node.busy_until = 0;
        node.machine.disk.crash(&mut self.rng);
    }

    /// Stops a node and starts it again later.
    pub(super) fn crash(&mut self, index: usize) {
        self.summary.crashes += 1;
        let faults = &self.scenario.faults;
        let down = self.rng.random_range(0..=faults.down_max);
        let loses_log = faults.loses_log == Some(index);
        self.stop(index);
        let node = &mut self.nodes[index];
        if self.adversary.does(index, Behaviour::Forgets) {
            node.machine.disk = Disk::default();
        } else if loses_log {
            node.machine.disk.lose_log();
        }
        self.trace.note(self.now, index, &format_args!("crashes, log lost: {loses_log}"));
        self.push(self.now + down, index, Event::Boot);
    }
}
