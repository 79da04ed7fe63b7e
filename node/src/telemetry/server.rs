//! `/metrics`, `/health` and `/ready` over plain HTTP.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// More scrapers than any deployment has; the rest wait.
const CONNECTIONS_MAX: usize = 32;
/// A client that has not sent its headers by then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Before trying again after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers the two probes.
pub trait Health: Send + Sync + 'static {
    /// Whether the node can serve now; the text says why not.
    ///
    /// # Errors
    /// A sentence for the operator.
    fn ready(&self) -> Result<String, String>;
}

/// The bound listener, so that a busy port is an error at start.
pub struct MetricsServer {
    listener: TcpListener,
    registry: Arc<Registry>,
    health: Arc<dyn Health>,
}

impl MetricsServer {
    /// Binds the address.
    ///
    /// # Errors
    /// Names the address and the flag.
    pub async fn bind(address: SocketAddr, registry: Arc<Registry>, health: Arc<dyn Health>) -> Result<Self, String> {
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| format!("cannot serve metrics on {address}: {error} (flag --metrics)"))?;
        Ok(Self { listener, registry, health })
    }

    /// Where the server listens.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn local_address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever.
    pub async fn run(self) -> Infallible {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                // The client went away, or descriptors ran out for now: no reason to stop a validator.
                Err(error) => {
                    tracing::warn!(%error, "metrics connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Ok(permit) = permits.clone().acquire_owned().await else { continue };
            let (registry, health) = (self.registry.clone(), self.health.clone());
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(request, registry.clone(), health.clone()));
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                // A broken connection is the client's business.
                let _ = connection.await;
                drop(permit);
            });
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    registry: Arc<Registry>,
    health: Arc<dyn Health>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, content_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let mut text = String::new();
            match encode(&mut text, &registry) {
                Ok(()) => (StatusCode::OK, OPENMETRICS, text),
                Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics cannot be encoded\n".to_owned()),
            }
        }
        (&Method::GET, "/health") => (StatusCode::OK, "text/plain", "live\n".to_owned()),
        (&Method::GET, "/ready") => match health.ready() {
            Ok(text) => (StatusCode::OK, "text/plain", text + "\n"),
            Err(text) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", text + "\n"),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain", "try /metrics, /health or /ready\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    }
    Ok(response)
}
