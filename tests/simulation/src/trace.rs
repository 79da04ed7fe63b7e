//! What happened, as a hash of all lines and, when asked for, the last lines themselves.

use crate::time::{MILLISECOND, Micros};
use alloy_primitives::B256;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::fmt::{Display, Write};

/// The events of a run.
pub struct Trace {
    hasher: Sha256,
    line: String,
    lines: VecDeque<String>,
    lines_max: usize,
    events: u64,
}

impl Trace {
    /// A trace that keeps the last `lines_max` lines.
    pub fn new(lines_max: usize) -> Self {
        Self { hasher: Sha256::new(), line: String::new(), lines: VecDeque::new(), lines_max, events: 0 }
    }

    /// Notes what happened to a node.
    pub fn note(&mut self, now: Micros, node: usize, what: &dyn Display) {
        self.line.clear();
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{:>9}.{:03} ms  node {node:<2} {what}", now / MILLISECOND, now % MILLISECOND);
        self.hasher.update(self.line.as_bytes());
        self.hasher.update(b"\n");
        self.events += 1;
        if self.lines_max > 0 {
            if self.lines.len() == self.lines_max {
                self.lines.pop_front();
            }
            self.lines.push_back(self.line.clone());
        }
    }

    /// How many lines there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// SHA-256 over all lines.
    pub fn hash(&self) -> B256 {
        B256::from_slice(&self.hasher.clone().finalize())
    }

    /// The last lines.
    pub fn lines(self) -> Vec<String> {
        self.lines.into()
    }
}
