//! Yamux whose close comes to an end.
//!
//! Yamux closes a connection after it has sent what waits. A peer that reads nothing would keep a connection that we want
//! to be rid of for ever.

use futures::{AsyncRead, AsyncWrite, TryFutureExt, future::MapOk, ready};
use libp2p::{
    core::{
        muxing::{StreamMuxer, StreamMuxerEvent},
        upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo},
    },
    yamux,
};
use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};

/// How long a peer may take to read the last of what we sent.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The upgrade of a connection to yamux.
#[derive(Clone, Debug)]
pub(crate) struct Multiplexer(pub(crate) yamux::Config);

impl UpgradeInfo for Multiplexer {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

type Wrapped<F, C> = MapOk<F, fn(yamux::Muxer<C>) -> Closing<yamux::Muxer<C>>>;

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Multiplexer {
    type Output = Closing<yamux::Muxer<C>>;
    type Error = <yamux::Config as InboundConnectionUpgrade<C>>::Error;
    type Future = Wrapped<<yamux::Config as InboundConnectionUpgrade<C>>::Future, C>;

    fn upgrade_inbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(io, info).map_ok(Closing::new)
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Multiplexer {
    type Output = Closing<yamux::Muxer<C>>;
    type Error = <yamux::Config as OutboundConnectionUpgrade<C>>::Error;
    type Future = Wrapped<<yamux::Config as OutboundConnectionUpgrade<C>>::Future, C>;

    fn upgrade_outbound(self, io: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(io, info).map_ok(Closing::new)
    }
}

/// A multiplexed connection that closes within [`CLOSE_TIMEOUT`].
pub(crate) struct Closing<M> {
    inner: M,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl<M> Closing<M> {
    fn new(inner: M) -> Self {
        Self { inner, deadline: None }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Closing<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.inner).poll_inbound(context)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<M::Substream, M::Error>> {
        Pin::new(&mut self.inner).poll_outbound(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), M::Error>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.inner).poll_close(context) {
            return Poll::Ready(closed);
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(CLOSE_TIMEOUT)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Ok(()))
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, M::Error>> {
        Pin::new(&mut self.inner).poll(context)
    }
}
