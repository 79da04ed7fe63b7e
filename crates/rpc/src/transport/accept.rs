//! Takes connections: no more than may be, at whatever door they come.

use super::Shared;
use crate::metrics::Limit;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Before trying again after a connection could not be accepted: descriptors ran out, for now.
const PAUSE: Duration = Duration::from_millis(100);

/// Gives each connection to `connect` until the server stops, with its place among those of this door: whoever fills one door
/// does not shut the others. A connection too many comes without a place.
pub(super) async fn accept<C, F: Future<Output = io::Result<C>>>(
    shared: &Shared,
    next: impl Fn() -> F,
    connect: impl Fn(C, Option<OwnedSemaphorePermit>),
) {
    let places = Arc::new(Semaphore::new(shared.dispatcher.limits().connections as usize));
    loop {
        let accepted = tokio::select! {
            accepted = next() => accepted,
            () = shared.stop.cancelled() => return,
        };
        match accepted {
            Ok(connection) => {
                let place = Arc::clone(&places).try_acquire_owned().ok();
                if place.is_none() {
                    shared.dispatcher.metrics.count_refused(Limit::Connections);
                }
                connect(connection, place);
            }
            // The next may be accepted all the same.
            Err(error) => {
                tracing::debug!(%error, "connection not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
