//! `/metrics`, and the probes `/startup`, `/health` and `/ready`, over plain HTTP.

use super::metrics;
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// More scrapers than any deployment has; the rest wait.
const CONNECTIONS_MAX: usize = 32;
/// A client that has not sent its headers by then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is ended after this long, whatever it is about, so that clients who do not read cannot keep the probes from
/// being answered for ever. A scraper connects again.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Before trying again after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers the probes, each with a sentence for the operator: `Err` answers 503. A node that is stuck as a whole answers
/// none of them.
pub trait Health: Send + Sync + 'static {
    /// Whether everything has started that the node serves with. The server itself starts after the database was opened, and
    /// migrated if it was of an older format: until then the port is closed, which is not started, too.
    ///
    /// # Errors
    /// What is not there yet.
    fn startup(&self) -> Result<String, String>;

    /// Whether the node works, be it alone, behind or without a quorum: restarting it would help nobody.
    ///
    /// # Errors
    /// What is stuck.
    fn live(&self) -> Result<String, String>;

    /// Whether the node can serve now.
    ///
    /// # Errors
    /// Why not.
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
                serve(stream, registry, health, CONNECTION_TIMEOUT).await;
                drop(permit);
            });
        }
    }
}

/// Answers the requests of one connection, for `lifetime` at most.
async fn serve<S>(stream: S, registry: Arc<Registry>, health: Arc<dyn Health>, lifetime: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| answer(request, registry.clone(), health.clone()));
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A broken connection is the client's business.
    let _ = timeout(lifetime, connection).await;
}

/// Prometheus itself does, and says so.
fn takes_openmetrics<B>(request: &Request<B>) -> bool {
    let accepted = request.headers().get(hyper::header::ACCEPT).and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("application/openmetrics-text"))
}

/// All metrics as text; some are read from the database and the system's files meanwhile, which may block.
async fn encoded(registry: Arc<Registry>) -> Option<String> {
    let encoding = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        encode(&mut text, &registry).ok().map(|()| text)
    });
    encoding.await.ok().flatten()
}

async fn answer<B>(
    request: Request<B>,
    registry: Arc<Registry>,
    health: Arc<dyn Health>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (status, content_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => match encoded(registry).await {
            Some(text) if takes_openmetrics(&request) => (StatusCode::OK, metrics::OPENMETRICS, text),
            Some(text) => (StatusCode::OK, metrics::PLAIN, metrics::plain(&text)),
            None => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "metrics cannot be encoded\n".to_owned()),
        },
        (&Method::GET, "/startup") => probe(health.startup()),
        (&Method::GET, "/health") => probe(health.live()),
        (&Method::GET, "/ready") => probe(health.ready()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "try /metrics, /startup, /health or /ready\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    if let Ok(value) = content_type.parse() {
        response.headers_mut().insert(hyper::header::CONTENT_TYPE, value);
    }
    Ok(response)
}

fn probe(answer: Result<String, String>) -> (StatusCode, &'static str, String) {
    match answer {
        Ok(text) => (StatusCode::OK, "text/plain", text + "\n"),
        Err(text) => (StatusCode::SERVICE_UNAVAILABLE, "text/plain", text + "\n"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use tokio::io::AsyncWriteExt;

    /// A node that works, and cannot serve.
    struct Waiting;

    impl Health for Waiting {
        fn startup(&self) -> Result<String, String> {
            Ok("started".into())
        }

        fn live(&self) -> Result<String, String> {
            Ok("live".into())
        }

        fn ready(&self) -> Result<String, String> {
            Err("not ready: no peers".into())
        }
    }

    /// One whose loop stands still.
    struct Stuck;

    impl Health for Stuck {
        fn startup(&self) -> Result<String, String> {
            Err("starting".into())
        }

        fn live(&self) -> Result<String, String> {
            Err("stuck".into())
        }

        fn ready(&self) -> Result<String, String> {
            Ok("ready".into())
        }
    }

    async fn status(health: impl Health, path: &str) -> u16 {
        let request = Request::get(path).body(()).unwrap();
        answer(request, Arc::default(), Arc::new(health)).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn each_probe_answers_for_itself() {
        for (path, waiting, stuck) in [("/startup", 200, 503), ("/health", 200, 503), ("/ready", 503, 200)] {
            assert_eq!(status(Waiting, path).await, waiting, "{path}");
            assert_eq!(status(Stuck, path).await, stuck, "{path}");
        }
        assert_eq!(status(Waiting, "/metrics").await, 200);
        assert_eq!(status(Waiting, "/healthz").await, 404);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_does_not_hold_its_connection_for_ever() {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let served = serve(server, Arc::default(), Arc::new(Waiting), Duration::from_millis(10));
        timeout(Duration::from_secs(60), served).await.expect("the connection is ended");
        drop(client);
    }
}
