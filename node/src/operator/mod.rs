//! What those who run nodes ask: where nodes stand, why a chain is stalled, what is wrong on this machine.
//!
//! Judgements are pure functions from facts to [`Finding`]s; [`observe`] and the checks of [`doctor`] gather the facts.

mod agreement;
pub mod doctor;
mod finding;
mod nodes;
mod observe;
mod stalled;
mod table;
mod words;

pub use agreement::disagreements;
pub use finding::{Finding, Level};
pub use nodes::{Facts, Node};
pub use observe::{observe, url_of};
pub use stalled::diagnose;
pub use table::{Look, table};
pub use words::printable;

#[cfg(test)]
mod fixture;
