//! What happens to a call before its method: unknown names and subscriptions over HTTP are answered in
//! go-ethereum's words.

use crate::RpcMetrics;
use crate::metrics::{Limit, Present, Transport};
use hyper::StatusCode;
use jsonrpsee::core::middleware::{Batch, BatchEntry, BatchEntryErr, Notification, Request, RpcServiceT};
use jsonrpsee::server::{HttpRequest, HttpResponse, MethodResponse};
use jsonrpsee::types::error::{ErrorObjectOwned, METHOD_NOT_FOUND_CODE};
use std::collections::HashSet;
use std::sync::Arc;

/// Marks the calls of a WebSocket connection.
#[derive(Clone, Copy)]
struct WebSocket;

/// A connection that counts for as long as a request, or a call that inherited it, lives.
#[derive(Clone)]
struct Connected(#[expect(dead_code, reason = "held, not read")] Arc<Present>);

/// Notes on a request whether it opens a WebSocket, and counts it: calls inherit both from their connection.
pub(crate) fn note_connection<B>(mut request: HttpRequest<B>, metrics: &RpcMetrics) -> HttpRequest<B> {
    let is_websocket = request.headers().contains_key(hyper::header::UPGRADE);
    let transport = if is_websocket { Transport::WebSocket } else { Transport::Http };
    let extensions = request.extensions_mut();
    if is_websocket {
        extensions.insert(WebSocket);
    }
    extensions.insert(Connected(Arc::new(metrics.connected(transport))));
    request
}

/// Counts what the server's limits turned away.
pub(crate) fn count_refusal(response: HttpResponse, metrics: &RpcMetrics) -> HttpResponse {
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => metrics.count_refused(Limit::Connections),
        StatusCode::PAYLOAD_TOO_LARGE => metrics.count_refused(Limit::RequestBytes),
        _ => {}
    }
    response
}

/// Refuses calls that no method can answer.
#[derive(Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    names: Arc<HashSet<&'static str>>,
    metrics: RpcMetrics,
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, names: Arc<HashSet<&'static str>>, metrics: RpcMetrics) -> Self {
        Self { inner, names, metrics }
    }

    fn refusal(&self, request: &Request<'_>) -> Option<ErrorObjectOwned> {
        let name = request.method_name();
        let is_subscription = matches!(name, "eth_subscribe" | "eth_unsubscribe");
        let message = if !self.names.contains(name) {
            format!("the method {name:.128} does not exist/is not available")
        } else if is_subscription && request.extensions().get::<WebSocket>().is_none() {
            "notifications not supported".to_owned()
        } else {
            return None;
        };
        self.metrics.count_unknown(METHOD_NOT_FOUND_CODE);
        Some(ErrorObjectOwned::owned(METHOD_NOT_FOUND_CODE, message, None::<()>))
    }
}

impl<S> RpcServiceT for Gate<S>
where
    S: RpcServiceT<MethodResponse = MethodResponse> + Clone + Send + Sync + 'static,
{
    type MethodResponse = MethodResponse;
    type NotificationResponse = S::NotificationResponse;
    type BatchResponse = S::BatchResponse;

    fn call<'a>(&self, request: Request<'a>) -> impl Future<Output = MethodResponse> + Send + 'a {
        let refusal = self.refusal(&request);
        let inner = self.inner.clone();
        async move {
            match refusal {
                Some(error) => MethodResponse::error(request.id, error),
                None => inner.call(request).await,
            }
        }
    }

    fn batch<'a>(&self, batch: Batch<'a>) -> impl Future<Output = Self::BatchResponse> + Send + 'a {
        let entries = batch.into_iter().map(|entry| match entry {
            Ok(BatchEntry::Call(request)) => match self.refusal(&request) {
                Some(error) => Err(BatchEntryErr::new(request.id, error)),
                None => Ok(BatchEntry::Call(request)),
            },
            other => other,
        });
        self.inner.batch(Batch::from(entries.collect()))
    }

    fn notification<'a>(
        &self,
        notification: Notification<'a>,
    ) -> impl Future<Output = Self::NotificationResponse> + Send + 'a {
        self.inner.notification(notification)
    }
}
