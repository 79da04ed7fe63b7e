//! Whose messages are good: the validators around a height.

use super::Stop;
use super::application::Application;
use heddle_primitives::{Height, ValidatorSet};
use std::cmp::Ordering;
use std::sync::Arc;

/// The height that is being decided, or starts next, with the validators of it and of its neighbours.
pub struct View {
    pub height: Height,
    previous: Arc<ValidatorSet>,
    pub current: Arc<ValidatorSet>,
    next: Arc<ValidatorSet>,
}

impl View {
    /// Who decides the next height may not be known: then the present set stands for it.
    pub fn of(height: Height, application: &Application) -> Result<Self, Stop> {
        let unknown = || Stop::Fault(format!("the validators of height {height} are not known"));
        let current = application.validators(height)?.ok_or_else(unknown)?;
        let neighbour = |height| Ok(application.validators(height)?.unwrap_or_else(|| Arc::clone(&current)));
        let (previous, next) = (height.as_u64().saturating_sub(1).max(1), height.next());
        Ok(Self { height, previous: neighbour(Height::new(previous))?, next: neighbour(next)?, current })
    }

    /// Whom messages of a height are checked against.
    pub fn validators_of(&self, height: Height) -> &ValidatorSet {
        match height.cmp(&self.height) {
            Ordering::Less => &self.previous,
            Ordering::Equal => &self.current,
            Ordering::Greater => &self.next,
        }
    }
}
