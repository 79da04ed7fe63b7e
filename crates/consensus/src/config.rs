//! How long a node waits. Nothing here must be equal on all nodes.

use crate::{Timeout, TimeoutKind};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The timeouts of consensus, in milliseconds, each 1 to 600000.
///
/// They grow with the round, so that a slow network is given the time it needs, up to a cap, so that a chain that was
/// halted for however long goes on soon after two thirds of its validators meet again.
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
    /// Where the wait for a proposal stops growing; the wait for votes, which carry no block, at half of it. At least
    /// the waits of round 0.
    pub timeout_max_ms: u64,
    /// How often a node that is stuck in a step sends again what its peers may need.
    pub rebroadcast_interval_ms: u64,
}

impl Default for ConsensusConfig {
    fn default() -> Self {
        Self {
            propose_timeout_ms: 2_000,
            propose_timeout_delta_ms: 500,
            vote_timeout_ms: 500,
            vote_timeout_delta_ms: 250,
            timeout_max_ms: 5_000,
            rebroadcast_interval_ms: 1_000,
        }
    }
}

/// A value out of range.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}, expected {min} to {max} milliseconds", max = ConsensusConfig::MS_MAX)]
pub struct ConfigError {
    /// The key.
    pub key: &'static str,
    /// What it was.
    pub value: u64,
    /// The least that it may be.
    pub min: u64,
}

impl ConsensusConfig {
    const MS_MAX: u64 = 600_000;

    /// Checks every value.
    ///
    /// # Errors
    /// The first key out of range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let cap_min = self.propose_timeout_ms.max(self.vote_timeout_ms.saturating_mul(2));
        let values = [
            ("propose_timeout_ms", self.propose_timeout_ms, 1),
            ("propose_timeout_delta_ms", self.propose_timeout_delta_ms, 1),
            ("vote_timeout_ms", self.vote_timeout_ms, 1),
            ("vote_timeout_delta_ms", self.vote_timeout_delta_ms, 1),
            ("timeout_max_ms", self.timeout_max_ms, cap_min),
            ("rebroadcast_interval_ms", self.rebroadcast_interval_ms, 1),
        ];
        match values.into_iter().find(|(_, value, min)| !(*min..=Self::MS_MAX).contains(value)) {
            Some((key, value, min)) => Err(ConfigError { key, value, min }),
            None => Ok(()),
        }
    }

    /// How long this timeout runs.
    pub fn duration(&self, timeout: Timeout) -> Duration {
        let (base_ms, delta_ms, max_ms) = match timeout.kind {
            TimeoutKind::Propose => (self.propose_timeout_ms, self.propose_timeout_delta_ms, self.timeout_max_ms),
            TimeoutKind::Prevote | TimeoutKind::Precommit => {
                (self.vote_timeout_ms, self.vote_timeout_delta_ms, self.timeout_max_ms / 2)
            }
            TimeoutKind::Rebroadcast => return Duration::from_millis(self.rebroadcast_interval_ms),
        };
        let growth_ms = delta_ms.saturating_mul(u64::from(timeout.round.as_u32()));
        Duration::from_millis(base_ms.saturating_add(growth_ms).min(max_ms))
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
        assert_eq!(duration(TimeoutKind::Propose, 200), Duration::from_millis(5_000));
        assert_eq!(duration(TimeoutKind::Precommit, u32::MAX), Duration::from_millis(2_500));
    }

    #[test]
    fn a_value_out_of_range_names_its_key() {
        let default = ConsensusConfig::default;
        let table = [
            (ConsensusConfig { vote_timeout_ms: 0, ..default() }, ("vote_timeout_ms", 0, 1)),
            (ConsensusConfig { timeout_max_ms: 1_999, ..default() }, ("timeout_max_ms", 1_999, 2_000)),
            (ConsensusConfig { vote_timeout_ms: 4_000, ..default() }, ("timeout_max_ms", 5_000, 8_000)),
            (ConsensusConfig { timeout_max_ms: 600_001, ..default() }, ("timeout_max_ms", 600_001, 2_000)),
        ];
        for (config, (key, value, min)) in table {
            assert_eq!(config.check(), Err(ConfigError { key, value, min }));
        }
        assert_eq!(default().check(), Ok(()));
    }
}
