//! What a case came to.

use crate::exceptions;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The result of one case: a fork and index of a state test, a fork of a transaction test, any other test as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As the fixture says.
    Passed,
    /// Refused as the fixture says, but for a reason that does not go by the fixture's name for it.
    PassedForOtherReason(String),
    /// Not as the fixture says.
    Failed(String),
    /// Not judged, for a reason of the table in `skips.rs`.
    Skipped(&'static str),
}

/// A case with its place in its test: empty when the test is one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Fork and index.
    pub label: String,
    /// What it came to.
    pub verdict: Verdict,
}

impl Case {
    /// A test that is one case.
    pub(crate) fn whole(verdict: Verdict) -> Self {
        Self { label: String::new(), verdict }
    }
}

impl Verdict {
    /// Judges one case: a panic in it is that case's failure, and ends no other.
    pub(crate) fn isolate(judge: impl FnOnce() -> Self) -> Self {
        catch_unwind(AssertUnwindSafe(judge)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
            Self::Failed(format!("panic: {text}"))
        })
    }
}

impl From<Result<(), String>> for Verdict {
    fn from(result: Result<(), String>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(reason) => Self::Failed(reason),
        }
    }
}

/// Why we refused a transaction or block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// In our words.
    pub(crate) reason: String,
    /// The names that fixtures have for this reason.
    pub(crate) names: &'static [&'static str],
}

impl Refusal {
    /// Something that is not even well-formed.
    pub(crate) fn malformed(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), names: exceptions::MALFORMED }
    }

    /// The verdict on a refusal where the fixture expects `expected`.
    pub(crate) fn judge(&self, expected: &str) -> Verdict {
        if exceptions::matches(expected, self.names) {
            return Verdict::Passed;
        }
        Verdict::PassedForOtherReason(format!("expected {expected}, refused because {}", self.reason))
    }
}
