//! How transactions spread: each node is told the hash of what it lacks and fetches it once.
//!
//! ```text
//!   pool: newly pending --> Outbox a peer: announcements, pushes --> one each in flight, 20 ms apart
//!   peer: announcement --> new? --> Wanted: who announced what --> fetch from the first, then from the next
//!   peer: push, fetched --> is it new? --> pool judges --> newly pending (above)
//! ```
//!
//! - What a node itself was given and is small goes to three peers at once; all else is announced, and only what the
//!   pool accepted is announced on. So a body crosses a node's links once, unless two paths race.
//! - A sender keeps to a pace (one message in flight, a pause between two), and a receiver's budgets lie above that
//!   pace: who exceeds them is no correct node, however much it has to tell.
//! - A slow peer fills its own queue, which forgets the oldest, and is asked less and less; nobody waits for it.
//! - What is no peer's fault costs nobody: a transaction that this pool has no room or no nonce for, or that was mined
//!   between its announcement and its fetch.

mod budget;
mod hashes;
mod message;
mod metrics;
mod outbox;
mod relay;
mod source;
#[cfg(test)]
mod tests;
mod wanted;

pub(crate) use budget::TransactionBudget;
pub(crate) use message::{FetchFailure, Input, Output, Received};
pub(crate) use metrics::{Announced, Fetched, Pushed, TransactionMetrics};
pub(crate) use relay::{ANNOUNCEMENTS_WAITING_MAX, TransactionRelay};
pub(crate) use wanted::FetchId;
