//! The HTTP that spans are exported by.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use std::time::Duration;

/// A collector says next to nothing.
const RESPONSE_BYTES_MAX: u64 = 64 * 1024;

/// Sends requests and waits for the answers: for a thread of its own.
#[derive(Debug)]
pub(super) struct BlockingClient(ureq::Agent);

impl BlockingClient {
    /// A client that gives up after this time.
    pub(super) fn new(timeout: Duration) -> Self {
        let config = ureq::Agent::config_builder().timeout_global(Some(timeout)).http_status_as_error(false);
        Self(config.proxy(None).max_redirects(0).build().into())
    }
}

#[async_trait]
impl HttpClient for BlockingClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let sent = self.0.run(Request::from_parts(head, &body[..]));
        let (head, mut body) = sent.inspect_err(|error| tracing::debug!(%error, "spans not exported"))?.into_parts();
        let body = body.with_config().limit(RESPONSE_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(head, body.into()))
    }
}
