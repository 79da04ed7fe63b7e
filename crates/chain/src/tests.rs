//! Whole chains in temporary directories, with real keys, signatures and databases.

mod access_lists;
mod adopt;
mod check;
mod checkpoint;
mod fixture;
mod import;
mod importer;
mod lifecycle;
mod log_index;
mod membership;
mod reads;
mod rules;
mod schedule;
mod snapshots;
