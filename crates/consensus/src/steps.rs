//! How long the steps of a height take.

use crate::Step;
use heddle_primitives::{Height, Round};
use std::time::Duration;
use tokio::time::Instant;

/// Notes when a step of a round began: propose, prevote or precommit. Steps that begin and end within one input of the core
/// take no time, and are not noted.
#[derive(Debug, Default)]
pub(crate) struct StepClock {
    current: Option<(Height, Round, Step, Instant)>,
}

impl StepClock {
    /// Notes where consensus is now; returns the step that this ends, and how long it took.
    pub(crate) fn at(&mut self, height: Height, round: Round, step: Step, now: Instant) -> Option<(Step, Duration)> {
        let step = matches!(step, Step::Propose | Step::Prevote | Step::Precommit).then_some(step);
        if self.current.map(|(height, round, step, _)| (height, round, step)) == step.map(|step| (height, round, step))
        {
            return None;
        }
        let ended = std::mem::replace(&mut self.current, step.map(|step| (height, round, step, now)));
        ended.map(|(_, _, step, began)| (step, now.saturating_duration_since(began)))
    }
}
