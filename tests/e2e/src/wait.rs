//! Waiting for conditions.

use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;

/// How long any one wait may take: far more than it ever needs, so that only a test that would hang fails by it.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Looks until `probe` finds something.
///
/// # Panics
/// After [`DEADLINE`], naming `what` was waited for.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    let found = within(DEADLINE, probe).await;
    found.unwrap_or_else(|| panic!("gave up after {DEADLINE:?} waiting for {what}"))
}

/// Looks until `probe` finds something, which has a deadline that it must keep; `None` when it does not.
pub async fn within<T>(deadline: Duration, mut probe: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(found) = probe().await {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Waits for the turn of this test among those of its binary that start many processes.
pub async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}
