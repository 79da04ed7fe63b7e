//! New nodes begin with a state instead of computing it: from peers of every kind, from a file, and over interruptions.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

mod archive;
mod checkpoint;
mod fixture;
#[path = "../hostile/mod.rs"]
mod hostile;
mod interrupted;
mod joining;
mod liars;
