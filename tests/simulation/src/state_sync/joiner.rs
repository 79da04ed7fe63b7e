//! The node that joins: the core of state sync, and the real staging in a database that survives the node.

use super::scenario::Stop;
use heddle_primitives::{Genesis, Pivot, Response, StateTask};
use heddle_state::{AcceptError, Accepted, Staging};
use heddle_storage::{Database, DatabaseConfig};
use heddle_sync::{StateSync, StateSyncConfig};

/// Its parts. The database is what stays.
pub struct Joiner {
    /// What decides.
    pub core: StateSync,
    /// What stores.
    pub staging: Staging,
    /// Where.
    pub database: Database,
    /// Everything that is stored, in order.
    stored: Vec<Stored>,
}

struct Stored {
    pivot: Pivot,
    task: StateTask,
    response: Response,
    accepted: Accepted,
}

fn empty() -> Result<Database, String> {
    let config = DatabaseConfig { block_cache_bytes: 1 << 20, write_buffer_bytes: 8 << 20, ..Default::default() };
    Database::open_in_memory(&config).map_err(|error| error.to_string())
}

fn core(genesis: &Genesis, config: &StateSyncConfig) -> Result<StateSync, String> {
    StateSync::new(config.clone(), genesis).ok_or_else(|| "no validators".to_owned())
}

impl Joiner {
    /// A node with an empty disk.
    pub fn new(genesis: &Genesis, config: &StateSyncConfig) -> Result<Self, String> {
        let database = empty()?;
        let staging = Staging::new(database.clone()).map_err(|error| error.to_string())?;
        Ok(Self { core: core(genesis, config)?, staging, database, stored: Vec::new() })
    }

    /// Starts again with what the disk has; of what lost power, `lost` pieces are gone.
    pub fn restart(
        &mut self,
        genesis: &Genesis,
        config: &StateSyncConfig,
        stop: Stop,
        lost: usize,
    ) -> Result<(), String> {
        self.core = core(genesis, config)?;
        if stop == Stop::Power {
            self.database = empty()?;
        }
        self.staging = Staging::new(self.database.clone()).map_err(|error| error.to_string())?;
        if stop == Stop::Power {
            let mut stored = std::mem::take(&mut self.stored);
            stored.truncate(stored.len().saturating_sub(lost));
            for piece in stored {
                self.accept(piece.pivot, piece.task, piece.response).map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Verifies and stores an answer.
    pub fn accept(&mut self, pivot: Pivot, task: StateTask, response: Response) -> Result<Vec<StateTask>, AcceptError> {
        let accepted = self.staging.accept(pivot, &task, &response)?;
        let tasks = accepted.tasks.clone();
        self.stored.push(Stored { pivot, task, response, accepted });
        Ok(tasks)
    }

    /// Whether all that is stored came from one state.
    pub fn is_of_one_state(&self) -> bool {
        self.stored.windows(2).all(|pair| pair[0].pivot == pair[1].pivot)
    }

    /// How many accounts, slots and codes were written, those written twice counted twice.
    pub fn written(&self) -> (u64, u64, u64) {
        let accepted = self.stored.iter().map(|stored| &stored.accepted);
        accepted.fold((0, 0, 0), |sum, a| (sum.0 + a.accounts, sum.1 + a.slots, sum.2 + a.codes))
    }
}
