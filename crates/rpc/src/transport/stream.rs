//! A connection that ends by itself when its other side is silent, or does not read.

use super::linger::{Draining, Linger};
use crate::metrics::Present;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// What a reader takes at least of an answer that waits for it, in bytes a second.
const READ_PACE: u64 = 64 * 1024;
/// Writes further apart than this belong to different answers.
const WRITE_GAP: Duration = Duration::from_millis(100);

/// What a connection and the requests on it tell each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serving(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    served: AtomicUsize,
    is_left_unread: AtomicBool,
}

/// A request is being served, until this is dropped.
#[derive(Debug)]
pub(crate) struct Served(Serving);

impl Serving {
    pub(crate) fn begin(&self) -> Served {
        self.0.served.fetch_add(1, Ordering::Relaxed);
        Served(self.clone())
    }

    fn is_going_on(&self) -> bool {
        self.0.served.load(Ordering::Relaxed) > 0
    }

    fn is_left_unread(&self) -> bool {
        self.0.is_left_unread.load(Ordering::Relaxed)
    }
}

impl Served {
    /// Something may be left that is not read: the connection lingers when this side ends it.
    pub(crate) fn leave_unread(&self) {
        self.0.0.is_left_unread.store(true, Ordering::Relaxed);
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.0.served.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long one waits for the other side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the next request.
    pub(crate) idle: Duration,
    /// For the end of a request's head, once it has begun.
    pub(crate) head: Duration,
    /// For an answer that waits to be read at its pace.
    pub(crate) write: Duration,
}

/// What is awaited from the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Request,
    Head,
    Nothing,
}

/// A connection and its place among those that may be.
pub(crate) struct Stream<S> {
    inner: S,
    patience: Patience,
    serving: Serving,
    awaited: Awaited,
    /// When that was waited for too long, once there was nothing to read.
    reading: Pin<Box<Sleep>>,
    is_reading_timed: bool,
    writing: Writing,
    linger: Linger,
    draining: Option<Draining>,
    _place: OwnedSemaphorePermit,
    _counted: Present,
}

impl<S> Stream<S> {
    pub(crate) fn new(
        inner: S,
        patience: Patience,
        serving: Serving,
        linger: Linger,
        (place, counted): (OwnedSemaphorePermit, Present),
    ) -> Self {
        // A connection that was made to ask something asks it soon.
        let reading = Box::pin(tokio::time::sleep(patience.head));
        Self {
            inner,
            patience,
            serving,
            awaited: Awaited::Head,
            reading,
            is_reading_timed: true,
            writing: Writing::new(patience.write),
            linger,
            draining: None,
            _place: place,
            _counted: counted,
        }
    }

    fn awaits(&mut self, awaited: Awaited) {
        (self.awaited, self.is_reading_timed) = (awaited, false);
    }

    /// Begins to count the time: most requests come whole, and none passes for their heads.
    fn time_reading(&mut self) {
        let patience = match self.awaited {
            Awaited::Request => self.patience.idle,
            Awaited::Head => self.patience.head,
            Awaited::Nothing => Duration::ZERO,
        };
        if !self.is_reading_timed {
            self.is_reading_timed = true;
            self.reading.as_mut().reset(Instant::now() + patience);
        }
    }

    /// Whoever is answered has sent a whole head, even if the answer was there before anybody looked for more.
    fn answers(&mut self) {
        if self.awaited == Awaited::Head {
            self.awaits(Awaited::Nothing);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.serving.is_going_on() {
            self.awaited = Awaited::Nothing;
        } else if self.awaited == Awaited::Nothing {
            self.awaits(Awaited::Request);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Pending if self.awaited == Awaited::Nothing => Poll::Pending,
            Poll::Pending => {
                self.time_reading();
                ready!(self.reading.as_mut().poll(cx));
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "no request in time")))
            }
            Poll::Ready(result) => {
                if self.awaited == Awaited::Request && buffer.filled().len() > before {
                    self.awaits(Awaited::Head);
                }
                Poll::Ready(result)
            }
        }
    }
}

/// The reader's pace while more is to be written than it has read.
struct Writing {
    patience: Duration,
    window: Option<Pin<Box<Sleep>>>,
    written: u64,
    last: Option<Instant>,
}

impl Writing {
    fn new(patience: Duration) -> Self {
        Self { patience, window: None, written: 0, last: None }
    }

    /// Judges what became of a write.
    fn judge(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if self.last.take().is_some_and(|last| last.elapsed() > WRITE_GAP) {
            self.window = None;
        }
        match outcome {
            Poll::Ready(Ok(bytes)) => {
                self.written += bytes as u64;
                self.last = self.window.is_some().then(Instant::now);
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                if self.window.is_none() {
                    self.begin();
                }
                while self.window.as_mut().is_some_and(|window| window.as_mut().poll(cx).is_ready()) {
                    if self.written < READ_PACE * self.patience.as_secs() {
                        return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "answers are not read")));
                    }
                    self.begin();
                }
                Poll::Pending
            }
        }
    }

    fn begin(&mut self) {
        self.window = Some(Box::pin(tokio::time::sleep(self.patience)));
        self.written = 0;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answers();
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.writing.judge(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.answers();
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.writing.judge(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.draining.is_none() {
            // Its place is taken before the other side learns of the end, who may then count on it.
            let draining = if this.serving.is_left_unread() { this.linger.begin() } else { None };
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            this.draining = draining;
        }
        if let Some(draining) = &mut this.draining {
            ready!(draining.poll(cx, &mut this.inner));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Transport;
    use crate::{RpcLimits, RpcMetrics};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::sync::Semaphore;
    use tokio_util::sync::CancellationToken;

    /// Nothing here takes that long, however busy the machine is.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);
    const PATIENCE: Patience = Patience { idle: LONG, head: LONG, write: LONG };

    fn pair(patience: Patience, buffer: usize) -> (Stream<DuplexStream>, DuplexStream, Serving) {
        let ((server, client), serving) = (duplex(buffer), Serving::default());
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        let counted = RpcMetrics::default().connected(Transport::Http);
        let linger = Linger::new(&RpcLimits::default(), CancellationToken::new());
        (Stream::new(server, patience, serving.clone(), linger, (place, counted)), client, serving)
    }

    fn is_timeout<T>(result: &io::Result<T>) -> bool {
        result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn a_head_that_drips_is_not_waited_for() {
        let (mut stream, mut client, _) = pair(Patience { head: SHORT, ..PATIENCE }, 64);
        let dripping = tokio::spawn(async move {
            while client.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 10).await;
            }
        });
        assert!(is_timeout(&stream.read_to_end(&mut Vec::new()).await));
        drop(stream);
        dripping.await.unwrap();
    }

    #[tokio::test]
    async fn between_requests_there_is_another_time_and_while_one_is_served_no_bound() {
        let (mut stream, mut client, serving) = pair(Patience { idle: SHORT, ..PATIENCE }, 64);
        client.write_all(b"head").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        let served = serving.begin();
        // However long one looks.
        assert!(
            tokio::time::timeout(4 * SHORT, stream.read_u8()).await.is_err(),
            "a request that is served is cut off"
        );
        drop(served);
        assert!(is_timeout(&stream.read_u8().await));
    }

    #[tokio::test]
    async fn a_request_that_is_answered_at_once_leaves_the_time_of_the_next_alone() {
        let (mut stream, mut client, serving) = pair(Patience { head: SHORT, ..PATIENCE }, 64);
        for _ in 0..3 {
            client.write_all(b"head").await.unwrap();
            stream.read_exact(&mut [0; 4]).await.unwrap();
            drop(serving.begin());
            stream.write_all(b"answer").await.unwrap();
            assert!(tokio::time::timeout(2 * SHORT, stream.read_u8()).await.is_err(), "it is cut off between requests");
        }
        client.write_all(b"he").await.unwrap();
        stream.read_exact(&mut [0; 2]).await.unwrap();
        assert!(is_timeout(&stream.read_u8().await), "a head that does not come to its end");
    }

    #[tokio::test]
    async fn who_does_not_read_is_dropped_and_who_reads_is_not() {
        let answer = vec![0; 1024 * 1024];
        let (mut stream, _client, _) = pair(Patience { write: Duration::from_secs(1), ..PATIENCE }, 1024);
        assert!(is_timeout(&stream.write_all(&answer).await));

        let (mut stream, mut client, _) = pair(PATIENCE, 1024);
        let reading = tokio::spawn(async move { client.read_to_end(&mut Vec::new()).await });
        stream.write_all(&answer).await.unwrap();
        drop(stream);
        assert_eq!(reading.await.unwrap().unwrap(), answer.len());
    }

    #[tokio::test]
    async fn what_is_left_unread_is_thrown_away_once_the_other_side_was_told_the_end() {
        let (mut stream, mut client, serving) = pair(PATIENCE, 1024);
        serving.begin().leave_unread();
        let sending = tokio::spawn(async move {
            assert_eq!(client.read_to_end(&mut Vec::new()).await.unwrap(), 0);
            client.write_all(&vec![0; 1024 * 1024]).await
        });
        stream.shutdown().await.unwrap();
        sending.await.unwrap().unwrap();

        // Otherwise the end is at once.
        let (mut stream, _client, serving) = pair(PATIENCE, 1024);
        serving.begin();
        stream.shutdown().await.unwrap();
    }

    #[tokio::test]
    async fn a_server_that_stops_throws_nothing_away() {
        let (mut stream, _client, serving) = pair(PATIENCE, 1024);
        let stop = CancellationToken::new();
        stream.linger = Linger::new(&RpcLimits::default(), stop.clone());
        serving.begin().leave_unread();
        stop.cancel();
        stream.shutdown().await.unwrap();
    }
}
