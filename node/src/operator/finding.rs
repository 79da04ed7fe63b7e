//! One judgement: how bad, what, and what to do about it.

use super::words::printable;
use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It could not be looked at.
    Unknown,
    /// It works now, and may not later.
    Warning,
    /// It does not work.
    Problem,
}

/// A judgement in a sentence, with the fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word: `disk`, `votes`.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was found.
    pub text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, text: text.into(), fix: None }
    }

    /// It could not be looked at; `fix` says how it can.
    pub fn unknown(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Unknown, text: text.into(), fix: Some(fix.into()) }
    }

    /// It may become a problem.
    pub fn warning(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Warning, text: text.into(), fix: Some(fix.into()) }
    }

    /// It is one.
    pub fn problem(check: &'static str, text: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { check, level: Level::Problem, text: text.into(), fix: Some(fix.into()) }
    }

    /// An error that says what would be right itself.
    pub fn refused(check: &'static str, error: &dyn std::error::Error) -> Self {
        Self { check, level: Level::Problem, text: error.to_string(), fix: None }
    }

    /// Lines for a terminal, without control characters: the judgement, and the fix below it.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let mark = match self.level {
            Level::Ok => "ok",
            Level::Unknown => "unknown",
            Level::Warning => "WARNING",
            Level::Problem => "PROBLEM",
        };
        let first = format!("{mark:<8} {}: {}", self.check, self.text);
        let second = self.fix.as_ref().map(|fix| format!("{:<8} -> {fix}", ""));
        std::iter::once(first).chain(second).map(|line| printable(&line))
    }
}
