//! A state on its way from peers that have it to one that does not.
//!
//! A view serves pieces of it, each with the nodes that prove it (`serve`); whoever gets a piece checks it against the
//! state root before anything else happens with it (`verify`), and keeps it until the state is whole (`staging`).

mod serve;
mod staging;
mod verify;

#[cfg(test)]
mod tests;

pub use staging::{AcceptError, Accepted, PieceError, StagedProgress, Staging};
pub use verify::{verify_accounts, verify_storage};
