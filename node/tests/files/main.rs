//! `heddle import`, `export` and `db` as processes, on files that are good and files that are not.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod damaged;
mod database;
mod fixtures;
mod resume;
mod round_trip;
mod support;
