//! What the probes say of the node.

use super::status::NodeStatusView;
use crate::telemetry::Health;
use std::time::Duration;
use tokio::sync::watch;

/// Blocks that a ready node may be behind most of its peers.
const LAG_MAX: u64 = 5;
/// A loop of consensus without a heartbeat for this long is stuck: it beats every two seconds while it waits for others, and
/// for up to five minutes while it waits for one write or one block, as a disk may be slow.
const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(30);

/// Answers the probes of a node.
pub struct Probes {
    /// The node.
    pub status: NodeStatusView,
    /// Whether it has started whole.
    pub started: watch::Receiver<bool>,
}

impl Health for Probes {
    /// Nothing answers before the database is open, and migrated: the port is bound thereafter. A closed port means the same
    /// as an error here.
    fn startup(&self) -> Result<String, String> {
        match *self.started.borrow() {
            true => Ok("started".to_owned()),
            false => Err("starting: not all addresses are bound".to_owned()),
        }
    }

    fn live(&self) -> Result<String, String> {
        pulse(self.status.live.as_ref().and_then(|live| live.heartbeat.age()))
    }

    fn ready(&self) -> Result<String, String> {
        let Some(live) = &self.status.live else { return Ok("ready: serving read-only".to_owned()) };
        if let Some(fetching) = live.fetching() {
            return Err(format!("not ready: {}% of the state is fetched", fetching.progress.covered / 10_000));
        }
        let peers = live.network.peer_count();
        if peers == 0 && !self.status.is_alone() {
            return Err("not ready: no peers".to_owned());
        }
        let lag = self.status.lag();
        if lag > LAG_MAX {
            return Err(format!("not ready: {lag} blocks behind most peers"));
        }
        Ok(format!("ready: {peers} peers, {lag} blocks behind"))
    }
}

/// What the age of the last heartbeat tells. Consensus does not run where a state is being fetched, or nothing is decided.
fn pulse(age: Option<Duration>) -> Result<String, String> {
    match age {
        None => Ok("live: consensus is not started".to_owned()),
        Some(age) if age <= HEARTBEAT_AGE_MAX => Ok("live".to_owned()),
        Some(age) => Err(format!("stuck: no sign of life of consensus for {} s: restart the node", age.as_secs())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_that_has_stopped_is_no_life() {
        for alive in [None, Some(Duration::ZERO), Some(HEARTBEAT_AGE_MAX)] {
            assert!(pulse(alive).is_ok(), "{alive:?}");
        }
        let stuck = pulse(Some(HEARTBEAT_AGE_MAX + Duration::from_secs(1)));
        assert!(stuck.as_ref().is_err_and(|reason| reason.contains("31 s")), "{stuck:?}");
    }
}
