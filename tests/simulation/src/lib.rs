//! Whole nodes on one thread under a seed: virtual time, a simulated network and disk, faults, invariants.
//!
//! ```text
//!              +-------------------------------- World ---------------------------------+
//!   seed ----> | Scenario      queue of (time, node, Event)        Checks      Trace    |
//!              |                 |                    ^              ^           ^      |
//!              |                 v                    | delay, loss  | effects   |      |
//!              |   Node: Machine (database, disk)     Network -------+-----------+      |
//!              |         Process (consensus core, sync state, mempool, chain)           |
//!              +------------------------------------------------------------------------+
//! ```
//!
//! Rules of this crate:
//! - a run is a function of its seed: no clock, no thread, no socket, no order of a hash map decides anything;
//! - a node runs the same cores, mempool and chain as the real one; only what is asynchronous around them is done again
//!   here, in the same order, so that the world can stop it at every step;
//! - what is checked is checked from outside, on what nodes send and store, never by asking them.
//!
//! [`state_sync`] is a world of its own: one node that fetches a state from peers of every kind.

mod byzantine;
mod checks;
mod disk;
mod event;
mod faults;
mod figures;
mod fixture;
mod network;
mod node;
mod runner;
mod scenario;
mod state_root;
pub mod state_sync;
mod time;
mod trace;
mod world;

/// Lets a checker do something that no planted bug reaches.
fn without_bugs<T>(check: impl FnOnce() -> T) -> T {
    #[cfg(feature = "planted-bugs")]
    {
        let planted = heddle_primitives::plant(None);
        let result = check();
        heddle_primitives::plant(planted);
        result
    }
    #[cfg(not(feature = "planted-bugs"))]
    check()
}

pub use figures::{Figures, measure};
pub use fixture::Fixture;
pub use runner::{Failure, run_scenario, run_seed, run_seeds, stay_on_this_thread};
pub use scenario::{Choice, Plan, Profile, Scenario};
pub use world::{Summary, Violation, World};
