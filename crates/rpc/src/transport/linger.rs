//! The end of a connection whose other side still sends: if it were just closed, the system would reset it, and the answer that
//! says why would be lost. So this side ends its half, and throws away what still comes, within bounds.

use crate::RpcLimits;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Most bytes that are thrown away of a connection.
const BYTES_MAX: usize = 32 * 1024 * 1024;
/// Of the connections that may be, one in so many may end in this way at a time.
const CONNECTIONS_EACH: usize = 4;
/// Read at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// What all connections that end in this way have; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Linger {
    places: Arc<Semaphore>,
    time: Duration,
    stop: CancellationToken,
}

impl Linger {
    /// As long as a body may take to come, or until the server stops.
    pub(crate) fn new(limits: &RpcLimits, stop: CancellationToken) -> Self {
        let places = Arc::new(Semaphore::new((limits.connections as usize).div_ceil(CONNECTIONS_EACH)));
        Self { places, time: limits.body_timeout, stop }
    }

    /// `None` when too many connections end in this way.
    pub(super) fn begin(&self) -> Option<Draining> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let (time, stop) = (self.time, self.stop.clone());
        let end = async move {
            tokio::select! {
                () = tokio::time::sleep(time) => {}
                () = stop.cancelled() => {}
            }
        };
        Some(Draining { end: Box::pin(end), left: BYTES_MAX, _place: place })
    }
}

/// A connection of which nothing more is wanted.
pub(super) struct Draining {
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
    left: usize,
    _place: OwnedSemaphorePermit,
}

impl Draining {
    /// Reads on until the other side ends, or a bound is reached.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, io: &mut (impl AsyncRead + Unpin)) -> Poll<()> {
        if self.end.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut piece = [0; PIECE_BYTES];
        while self.left > 0 {
            let mut piece = ReadBuf::new(&mut piece);
            let result = ready!(Pin::new(&mut *io).poll_read(cx, &mut piece));
            if result.is_err() || piece.filled().is_empty() {
                break;
            }
            self.left = self.left.saturating_sub(piece.filled().len());
        }
        Poll::Ready(())
    }
}
