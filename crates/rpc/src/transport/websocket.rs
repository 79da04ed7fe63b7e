//! A WebSocket on the port of HTTP.

use super::Shared;
use super::frames::{FrameReader, FrameWriter, PING_INTERVAL};
use super::session;
use super::stream::Served;
use crate::dispatch::Caller;
use crate::metrics::Transport;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use soketto::handshake::http::Server;

pub(crate) use soketto::handshake::http::is_upgrade_request;

/// The agreement to a handshake.
///
/// # Errors
/// It is no proper one.
pub(crate) fn handshake(request: &Request<Incoming>) -> Result<Response<Full<Bytes>>, soketto::handshake::Error> {
    Ok(Server::new().receive_request(request)?.map(|()| Full::default()))
}

/// Serves the WebSocket that was agreed to, once it is there.
pub(crate) fn open(shared: Shared, request: Request<Incoming>, caller: Caller, served: Served) {
    // What follows a message that is refused.
    served.leave_unread();
    shared.tasks.clone().spawn(async move {
        let upgraded = match hyper::upgrade::on(request).await {
            Ok(upgraded) => upgraded,
            Err(error) => return tracing::debug!(%error, "WebSocket not opened"),
        };
        let _counted = shared.dispatcher.metrics.connected(Transport::WebSocket);
        let (read, write) = tokio::io::split(TokioIo::new(upgraded));
        let reader = FrameReader::new(read, shared.dispatcher.clone(), caller.share.clone());
        session::serve(shared, caller, reader, FrameWriter::new(write), PING_INTERVAL).await;
        drop(served);
    });
}
