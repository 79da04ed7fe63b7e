//! What a check finds, and how far it is.

use alloy_primitives::hex;
use heddle_storage::Table;
use std::fmt;

/// A row that is not what it must be, or that is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub table: Table,
    /// The row's key.
    pub key: Vec<u8>,
    /// What is wrong.
    pub problem: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table {}, key 0x{}: {}", self.table.name(), hex::encode(&self.key), self.problem)
    }
}

/// The first findings of a check, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    first: Vec<Finding>,
    count: u64,
}

impl Findings {
    /// How many are kept.
    pub const KEPT_MAX: usize = 1000;

    /// Adds a finding.
    pub fn add(&mut self, table: Table, key: &[u8], problem: impl ToString) {
        self.count += 1;
        if self.first.len() < Self::KEPT_MAX {
            self.first.push(Finding { table, key: key.to_vec(), problem: problem.to_string() });
        }
    }

    /// The first ones, in the order of the check.
    pub fn first(&self) -> &[Finding] {
        &self.first
    }

    /// How many there are, the ones that were not kept included.
    pub fn count(&self) -> u64 {
        self.count
    }
}

/// How far a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckProgress {
    /// The table being read.
    pub table: Table,
    /// Rows of it read so far.
    pub rows: u64,
}

/// Told about progress, now and then.
pub type CheckObserver<'a> = &'a mut dyn FnMut(CheckProgress);

/// Counts the rows of a table and reports them in steps.
pub(crate) struct Meter<'o, 'f> {
    progress: CheckProgress,
    observer: &'o mut (dyn FnMut(CheckProgress) + 'f),
}

impl<'o, 'f> Meter<'o, 'f> {
    const STEP: u64 = 1 << 14;

    pub(crate) fn new(table: Table, observer: &'o mut (dyn FnMut(CheckProgress) + 'f)) -> Self {
        Self { progress: CheckProgress { table, rows: 0 }, observer }
    }

    pub(crate) fn add(&mut self) {
        self.progress.rows += 1;
        if self.progress.rows.is_multiple_of(Self::STEP) {
            (self.observer)(self.progress);
        }
    }
}
