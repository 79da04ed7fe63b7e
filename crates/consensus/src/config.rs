//! How long a node waits. Nothing here must be equal on all nodes.

use crate::{Timeout, TimeoutKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The timeouts of consensus, in milliseconds, each 1 to 600000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsensusConfig {
    /// How long to wait for a proposal in round 0: building, sending and executing a block must fit.
    pub propose_timeout_ms: u64,
    /// By how much the wait for a proposal grows with each round.
    pub propose_timeout_delta_ms: u64,
    /// How long to wait for more votes once two thirds have voted without agreeing.
    pub vote_timeout_ms: u64,
    /// By how much the wait for votes grows with each round.
    pub vote_timeout_delta_ms: u64,
    /// How often a node that is stuck in a step sends its votes and its proposal again.
    pub rebroadcast_interval_ms: u64,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self {
            propose_timeout_ms: 2_000,
            propose_timeout_delta_ms: 500,
            vote_timeout_ms: 500,
            vote_timeout_delta_ms: 250,
            rebroadcast_interval_ms: 1_000,
        }
    }
}

/// A value out of range.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}, expected 1 to {max} milliseconds", max = ConsensusConfig::MS_MAX)]
pub struct ConfigError {
    /// The key.
    pub key: &'static str,
    /// What it was.
    pub value: u64,
}

impl ConsensusConfig {
    const MS_MAX: u64 = 600_000;
    /// No timeout grows beyond this, so that a chain that was halted for long resumes soon.
    const TIMEOUT_MAX: Duration = Duration::from_secs(60);

    /// Checks every value.
    ///
    /// # Errors
    /// The first key out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let values = [
            ("propose_timeout_ms", self.propose_timeout_ms),
            ("propose_timeout_delta_ms", self.propose_timeout_delta_ms),
            ("vote_timeout_ms", self.vote_timeout_ms),
            ("vote_timeout_delta_ms", self.vote_timeout_delta_ms),
            ("rebroadcast_interval_ms", self.rebroadcast_interval_ms),
        ];
        match values.into_iter().find(|(_, value)| !(1..=Self::MS_MAX).contains(value)) {
            Some((key, value)) => Err(ConfigError { key, value }),
            None => Ok(()),
        }
    }

    /// How long this timeout runs.
    pub fn duration(&self, timeout: Timeout) -> Duration {
        let (base_ms, delta_ms) = match timeout.kind {
            TimeoutKind::Propose => (self.propose_timeout_ms, self.propose_timeout_delta_ms),
            TimeoutKind::Prevote | TimeoutKind::Precommit => (self.vote_timeout_ms, self.vote_timeout_delta_ms),
            TimeoutKind::Rebroadcast => (self.rebroadcast_interval_ms, 0),
        };
        let growth_ms = delta_ms.saturating_mul(u64::from(timeout.round.as_u32()));
        Duration::from_millis(base_ms.saturating_add(growth_ms)).min(Self::TIMEOUT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heddle_primitives::{Height, Round};

    #[test]
    fn timeouts_grow_with_the_round_up_to_a_bound() {
        let config = ConsensusConfig::default();
        let duration =
            |kind, round| config.duration(Timeout { height: Height::new(1), round: Round::new(round), kind });
        assert_eq!(duration(TimeoutKind::Propose, 0), Duration::from_millis(2_000));
        assert_eq!(duration(TimeoutKind::Propose, 3), Duration::from_millis(3_500));
        assert_eq!(duration(TimeoutKind::Prevote, 1), Duration::from_millis(750));
        assert_eq!(duration(TimeoutKind::Rebroadcast, 9), Duration::from_millis(1_000));
        assert_eq!(duration(TimeoutKind::Precommit, u32::MAX), Duration::from_secs(60));
    }

    #[test]
    fn a_zero_timeout_names_its_key() {
        let config = ConsensusConfig { vote_timeout_ms: 0, ..ConsensusConfig::default() };
        assert_eq!(config.check(), Err(ConfigError { key: "vote_timeout_ms", value: 0 }));
        assert_eq!(ConsensusConfig::default().check(), Ok(()));
    }
}
