//! How long a peer that failed is left alone.

use std::time::Duration;

/// The rest after the first failure; it doubles with each further one.
const REST: Duration = Duration::from_secs(1);
/// The longest rest after failures.
const REST_MAX: Duration = Duration::from_secs(60);

/// The rest after a failure before which there were so many in a row.
pub(crate) fn rest_after(failures: u32) -> Duration {
    REST.saturating_mul(1 << failures.min(6)).min(REST_MAX)
}
