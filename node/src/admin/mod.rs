//! The operator's door: a JSON-RPC server of its own, which tells and changes whom the node has for peers.
//!
//! ```text
//!   heddle peers --reads--> <datadir>/admin.json {address, token}          file
//!        |                            ^ written at start, removed at the end
//!        +--Authorization: Bearer--> auth --> methods --> NetworkHandle
//! ```
//!
//! It has nothing in common with the JSON-RPC of wallets: other port, other methods, and no method without the token.
//! Who can read the data directory's secrets may use it, nobody else.

mod auth;
mod file;
mod methods;

pub use file::AdminFile;

use auth::RequireToken;
use file::OwnFile;
use heddle_network::NetworkHandle;
use jsonrpsee::server::{BatchRequestConfig, RegisterMethodError, ServerBuilder, ServerConfig, ServerHandle};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

use crate::keys::FileError;

/// Largest call, in bytes: an address is a few hundred.
const REQUEST_BYTES: u32 = 16 * 1024;
/// Largest answer, in bytes: a few thousand peers.
const RESPONSE_BYTES: u32 = 8 * 1024 * 1024;
/// More operators than any node has at once.
const CONNECTIONS: u32 = 16;
/// A client that has not sent its headers by then is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Why the server does not start. The operator's fault, except [`AdminError::Methods`].
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Another process has the port, or the address is not this machine's.
    #[error("cannot serve `heddle peers` on {address}: {source} (flags --admin.addr, --admin.port)")]
    Bind {
        /// Address and port.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that says where the server is.
    #[error("admin file: {0}")]
    File(#[from] FileError),
    /// Two methods of one name: our fault.
    #[error("admin methods: {0}")]
    Methods(#[from] RegisterMethodError),
}

/// A running server. Dropping it stops it and removes its file.
pub struct AdminServer {
    handle: ServerHandle,
    _file: OwnFile,
}

impl AdminServer {
    /// Binds `address` and serves from then on; writes where, and with a token of its own, into `datadir`.
    ///
    /// # Errors
    /// See [`AdminError`].
    pub async fn start(address: SocketAddr, datadir: &Path, network: NetworkHandle) -> Result<Self, AdminError> {
        let module = methods::module(network)?;
        let bind_error = |source| AdminError::Bind { address, source };
        let listener = TcpListener::bind(address).await.and_then(TcpListener::into_std).map_err(bind_error)?;
        let bound = listener.local_addr().map_err(bind_error)?;
        let access = AdminFile::new(bound);
        let server = ServerBuilder::with_config(limits())
            .set_http_middleware(tower::ServiceBuilder::new().layer(RequireToken::layer(&access.token)))
            .build_from_tcp(listener)
            .map_err(bind_error)?;
        let handle = server.start(module);
        // Last: whoever finds the file finds the server.
        let file = OwnFile::write(datadir, &access)?;
        if bound.ip().is_loopback() {
            tracing::info!(address = %bound, "serving `heddle peers`");
        } else {
            tracing::warn!(address = %bound, "`heddle peers` is served beyond this machine: calls and the token travel in clear text");
        }
        Ok(Self { handle, _file: file })
    }

    /// Resolves when the server has ended by itself.
    pub async fn stopped(&self) {
        self.handle.clone().stopped().await;
    }
}

fn limits() -> ServerConfig {
    ServerConfig::builder()
        .http_only()
        .max_request_body_size(REQUEST_BYTES)
        .max_response_body_size(RESPONSE_BYTES)
        .max_connections(CONNECTIONS)
        .set_batch_request_config(BatchRequestConfig::Disabled)
        .set_first_request_timeout(Some(HEADER_TIMEOUT))
        .build()
}
