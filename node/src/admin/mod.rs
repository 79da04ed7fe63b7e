//! The operator's door: a JSON-RPC server of its own, which tells and changes whom the node has for peers.
//!
//! ```text
//!   heddle peers --reads--> <datadir>/admin.json {address, token}          file
//!        |                            ^ written at start, removed at the end
//!        +--Authorization: Bearer--> auth --> methods --> NetworkHandle, Chain
//! ```
//!
//! It has nothing in common with the JSON-RPC of wallets: other port, other methods, and no method without the token.
//! Who can read the data directory's secrets may use it, nobody else.

mod auth;
mod file;
mod methods;
mod shapes;
#[cfg(test)]
mod tests;

pub use file::AdminFile;
pub use methods::{BAN_SECONDS, Subject, methods};

use crate::keys::FileError;
use auth::{is_authorized, unauthorized};
use file::OwnFile;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use jsonrpsee::Methods;
use jsonrpsee::server::{BatchRequestConfig, RegisterMethodError, ServerBuilder, ServerConfig, stop_channel};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower::Service;

/// Largest call, in bytes: an address is a few hundred.
const REQUEST_BYTES: u32 = 16 * 1024;
/// Largest answer, in bytes: a few thousand peers.
const RESPONSE_BYTES: u32 = 8 * 1024 * 1024;
/// More operators than any node has at once; the rest wait.
const CONNECTIONS_MAX: usize = 16;
/// A client that has not sent its call and read the answer by then is cut off, and makes room for another.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Before trying again after a connection could not be accepted.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the server does not start. The operator's fault, except [`AdminError::Methods`].
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another process has the port, or the address is not this machine's.
    #[error("cannot serve `heddle peers` on {address}: {source} (flags --admin.addr, --admin.port)")]
    Bind {
        /// Address and port.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The file that says where the server is.
    #[error("admin file: {0}")]
    File(#[from] FileError),
    /// Two methods of one name: our fault.
    #[error("admin methods: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// The bound listener and the file that leads to it. Dropping it, or what runs it, removes the file.
pub struct AdminServer {
    listener: TcpListener,
    token: Arc<str>,
    _file: OwnFile,
}

impl AdminServer {
    /// Binds `address`, and writes where, with a token of its own, into `datadir`.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn bind(address: SocketAddr, datadir: &Path) -> Result<Self, AdminError> {
        let bind_error = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let bound = listener.local_addr().map_err(bind_error)?;
        let content = AdminFile::new(bound);
        // After the port: whoever finds the file finds the server.
        let file = OwnFile::write(datadir, &content)?;
        if bound.ip().is_loopback() {
            tracing::info!(address = %bound, "serving `heddle peers`");
        } else {
            tracing::warn!(address = %bound, "`heddle peers` is served beyond this machine: calls and the token travel in clear text");
        }
        Ok(Self { listener, token: content.token.into(), _file: file })
    }

    /// Serves for ever, a call a connection.
    pub async fn run(self, methods: impl Into<Methods>) -> Infallible {
        // Connections end by themselves: nobody has to tell them to.
        let (stop, _) = stop_channel();
        let rpc = ServerBuilder::with_config(limits()).to_service_builder().build(methods, stop);
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(permit) = permits.clone().acquire_owned().await else { continue };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                // The client went away, or descriptors ran out for now: no reason to stop a node.
                Err(error) => {
                    tracing::warn!(%error, "admin connection not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (rpc, token) = (rpc.clone(), self.token.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (mut rpc, authorized) = (rpc.clone(), is_authorized(request.headers(), &token));
                async move {
                    match authorized {
                        true => rpc.call(request).await.map_err(io::Error::other),
                        false => Ok(unauthorized()),
                    }
                }
            });
            tokio::spawn(async move {
                let mut http = http1::Builder::new();
                let connection = http.timer(TokioTimer::new()).keep_alive(false);
                let connection = connection.serve_connection(TokioIo::new(stream), service);
                // A broken connection is the client's business.
                let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
                drop(permit);
            });
        }
    }
}

fn limits() -> ServerConfig {
    ServerConfig::builder()
        .http_only()
        .max_request_body_size(REQUEST_BYTES)
        .max_response_body_size(RESPONSE_BYTES)
        .set_batch_request_config(BatchRequestConfig::Disabled)
        .build()
}
