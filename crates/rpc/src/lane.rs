//! A bounded number of calls that run, and a bounded queue in front of them.

use crate::error::MethodError;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes of arguments from which on a waiting call takes another place, so that places bound memory too.
const PLACE_BYTES: usize = 256 * 1024;

/// Calls of one kind. One WebSocket may send without end and without reading answers: whoever finds the queue full is
/// turned away instead of waiting, with its arguments, in memory.
#[derive(Clone)]
pub(crate) struct Lane {
    permits: Arc<Semaphore>,
    places: Arc<Semaphore>,
    places_max: usize,
}

impl Lane {
    /// Lets `running` calls run and `queued` wait, each at least 1.
    pub(crate) fn new(running: usize, queued: usize) -> Self {
        let places_max = queued.max(1);
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits));
        Self { permits: semaphore(running.max(1)), places: semaphore(places_max), places_max }
    }

    /// Waits for its turn with arguments of this many bytes; the call runs while it holds the permit.
    pub(crate) async fn enter(&self, bytes: usize) -> Result<OwnedSemaphorePermit, MethodError> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        // The largest call still fits into an empty queue, however short that is.
        let places = u32::try_from((1 + bytes / PLACE_BYTES).min(self.places_max)).unwrap_or(u32::MAX);
        let _places = self.places.try_acquire_many(places).map_err(|_| MethodError::Busy)?;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|closed| MethodError::Internal(closed.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinHandle;

    type Entered = Result<OwnedSemaphorePermit, MethodError>;

    /// A call that waits in the queue when this returns.
    async fn queue(lane: &Lane, bytes: usize) -> JoinHandle<Entered> {
        let (before, waiting) = (lane.places.available_permits(), lane.clone());
        let task = tokio::spawn(async move { waiting.enter(bytes).await });
        while lane.places.available_permits() == before {
            tokio::task::yield_now().await;
        }
        task
    }

    #[tokio::test]
    async fn more_than_may_wait_are_turned_away() {
        let lane = Lane::new(1, 2);
        let running = lane.enter(0).await.unwrap();
        let (second, third) = (queue(&lane, 0).await, queue(&lane, 0).await);
        assert_eq!(lane.enter(0).await.unwrap_err(), MethodError::Busy);
        drop(running);
        drop(second.await.unwrap().unwrap());
        let running = third.await.unwrap().unwrap();
        let fourth = queue(&lane, 0).await;
        drop(running);
        drop(fourth.await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn a_caller_that_leaves_frees_its_place() {
        let lane = Lane::new(1, 1);
        let _running = lane.enter(0).await.unwrap();
        let waiting = queue(&lane, 0).await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(lane.places.available_permits(), 1);
    }

    #[tokio::test]
    async fn large_arguments_take_more_places() {
        let lane = Lane::new(1, 4);
        let _running = lane.enter(0).await.unwrap();
        let large = queue(&lane, 2 * PLACE_BYTES).await;
        assert_eq!(lane.places.available_permits(), 1);
        assert_eq!(lane.enter(PLACE_BYTES).await.unwrap_err(), MethodError::Busy);
        large.abort();
        assert!(large.await.unwrap_err().is_cancelled());
        queue(&lane, 100 * PLACE_BYTES).await.abort();
    }
}
