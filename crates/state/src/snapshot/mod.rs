//! A state on its way from peers that have it to one that does not.
//!
//! A view serves pieces of it, each with the nodes that prove it (`serve`); whoever gets a piece checks it against the
//! state root before anything else happens with it (`verify`), and keeps it until the state is whole (`staging`). Then it
//! becomes the state of a chain (`restore`, whose trie rows `sorted` puts in order).

mod restore;
mod serve;
mod sorted;
mod staging;
mod verify;

#[cfg(test)]
mod sources;
#[cfg(test)]
mod tests;

pub use restore::{RestoreObserver, RestoreProgress};
pub use staging::{AcceptError, Accepted, PieceError, StagedProgress, Staging};
pub use verify::{verify_accounts, verify_storage};
