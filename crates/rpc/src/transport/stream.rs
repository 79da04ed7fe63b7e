//! A connection that ends by itself when its other side is silent, or does not read.

use crate::metrics::Present;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep};

/// What a reader takes at least of an answer that waits for it, in bytes a second.
const READ_PACE: u64 = 64 * 1024;
/// Writes further apart than this belong to different answers.
const WRITE_GAP: Duration = Duration::from_millis(100);

/// Whether a request is being served, which is shared with the server of the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serving(Arc<AtomicUsize>);

/// A request is being served, until this is dropped.
#[derive(Debug)]
pub(crate) struct Served(Serving);

impl Serving {
    pub(crate) fn begin(&self) -> Served {
        self.0.fetch_add(1, Ordering::Relaxed);
        Served(self.clone())
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
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
    reading: Pin<Box<Sleep>>,
    writing: Writing,
    _place: Option<OwnedSemaphorePermit>,
    _counted: Present,
}

impl<S> Stream<S> {
    pub(crate) fn new(
        inner: S,
        patience: Patience,
        serving: Serving,
        place: Option<OwnedSemaphorePermit>,
        counted: Present,
    ) -> Self {
        // A connection that was made to ask something asks it soon.
        let reading = Box::pin(tokio::time::sleep(patience.head));
        let (awaited, writing) = (Awaited::Head, Writing::new(patience.write));
        Self { inner, patience, serving, awaited, reading, writing, _place: place, _counted: counted }
    }

    fn awaits(&mut self, awaited: Awaited) {
        let patience = match awaited {
            Awaited::Request => self.patience.idle,
            Awaited::Head => self.patience.head,
            Awaited::Nothing => Duration::ZERO,
        };
        self.awaited = awaited;
        self.reading.as_mut().reset(Instant::now() + patience);
    }

    /// What comes after an answer is another request, also after one that was served too quickly to be seen being served.
    fn answers(&mut self) {
        if self.awaited == Awaited::Head {
            self.awaits(Awaited::Request);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.serving.get() {
            self.awaited = Awaited::Nothing;
        } else if self.awaited == Awaited::Nothing {
            self.awaits(Awaited::Request);
        }
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Pending if self.awaited == Awaited::Nothing => Poll::Pending,
            Poll::Pending => {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.answers();
        self.writing.judge(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, pieces);
        self.answers();
        self.writing.judge(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RpcMetrics;
    use crate::metrics::Transport;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// Nothing here takes that long, however busy the machine is.
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(50);
    const PATIENCE: Patience = Patience { idle: LONG, head: LONG, write: LONG };

    fn pair(patience: Patience, buffer: usize) -> (Stream<DuplexStream>, DuplexStream, Serving) {
        let ((server, client), serving) = (duplex(buffer), Serving::default());
        let counted = RpcMetrics::default().connected(Transport::Http);
        (Stream::new(server, patience, serving.clone(), None, counted), client, serving)
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
    async fn a_request_that_is_answered_at_once_is_over_too() {
        let (mut stream, mut client, serving) = pair(Patience { head: SHORT, ..PATIENCE }, 64);
        client.write_all(b"head").await.unwrap();
        stream.read_exact(&mut [0; 4]).await.unwrap();
        drop(serving.begin());
        stream.write_all(b"answer").await.unwrap();
        // However long one looks.
        assert!(tokio::time::timeout(4 * SHORT, stream.read_u8()).await.is_err(), "it is not waited for the next one");
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
}
