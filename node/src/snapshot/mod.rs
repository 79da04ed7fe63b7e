//! A state in a file: with the header and the certificate that make it final, and what leads there from genesis, so that
//! whoever has the genesis file believes nothing else.
//!
//! ```text
//! magic, version
//! chunk 0      the pivot: genesis hash, header, certificate
//! chunks       ends of epochs from genesis to the pivot's
//! chunk        the headers before the pivot, whose hashes contracts can ask for
//! chunk        the pivot's block with its receipts, where the writer had them
//! chunks       pieces of the state as a peer serves them, request and answer with proofs, in the order of [`course`]
//! chunk        the end, with what is in the file: a file without it is cut
//! ```
//!
//! Each chunk is compressed and has its own SHA-256 (`format`). `create` writes such a file, `verify` checks one whole
//! without a database, `restore` makes its state that of a chain at genesis. Whatever a file holds, reading it takes
//! bounded memory, and ends with the first chunk that is wrong, by its number and place.

mod course;
mod create;
mod format;
mod reader;
mod restore;
mod trust;
mod verify;
mod writer;

#[cfg(test)]
mod tests;

/// Told how far the work is: what is being done, and thousandths of it.
pub type Observer<'a> = &'a mut (dyn FnMut(&'static str, u64) + Send);

pub use create::create;
pub use format::Counts;
pub use restore::{Restore, restore};
pub use verify::verify;
