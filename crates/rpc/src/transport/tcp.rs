//! A TCP port, and HTTP on each of its connections.

use super::Shared;
use super::accept::accept;
use super::access::{Access, Proxies};
use super::http::{Door, serve};
use super::stream::{Patience, Serving, Stream};
use crate::RpcError;
use crate::metrics::Transport;
use crate::modules::Namespaces;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tower_http::cors::CorsLayer;

/// What a connection too many is told, if it listens.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/json\r\n\
    Retry-After: 1\r\nContent-Length: 101\r\n\r\n\
    {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32005,\"message\":\"too many connections, try again later\"}}";

/// A bound port.
pub(crate) struct TcpDoor {
    listener: TcpListener,
    address: SocketAddr,
    cors: Option<CorsLayer>,
    door: Arc<Door>,
}

impl TcpDoor {
    /// Binds it, to serve these namespaces.
    ///
    /// # Errors
    /// The port is taken, or an origin is malformed.
    pub(crate) async fn bind(
        address: SocketAddr,
        access: Access,
        namespaces: Namespaces,
        proxies: Proxies,
    ) -> Result<Self, RpcError> {
        let bind_error = |source| RpcError::Bind { address, source };
        let cors = access.cors()?;
        let listener = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = listener.local_addr().map_err(bind_error)?;
        Ok(Self { listener, address, cors, door: Arc::new(Door { access, namespaces, proxies }) })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the server stops.
    pub(crate) async fn serve(self, shared: Shared) {
        let connect = |(stream, peer), place| match place {
            Some(place) => self.connect(&shared, stream, peer, place),
            // Nobody waits for one that does not listen.
            None => drop(TcpStream::try_write(&stream, TOO_MANY)),
        };
        accept(&shared, || self.listener.accept(), connect).await;
    }

    fn connect(&self, shared: &Shared, stream: TcpStream, peer: SocketAddr, place: OwnedSemaphorePermit) {
        let limits = shared.dispatcher.limits();
        // It only delays.
        let _ = stream.set_nodelay(true);
        let serving = Serving::default();
        let patience = Patience { idle: limits.idle_timeout, head: limits.header_timeout, write: limits.write_timeout };
        let counted = shared.dispatcher.metrics.connected(Transport::Http);
        let stream = Stream::new(stream, patience, serving.clone(), shared.linger.clone(), (place, counted));
        let (door, of_request) = (self.door.clone(), shared.clone());
        let service = tower::service_fn(move |request| {
            serve(of_request.clone(), door.clone(), peer.ip(), serving.clone(), request)
        });
        let service =
            TowerToHyperService::new(tower::ServiceBuilder::new().option_layer(self.cors.clone()).service(service));
        let stop = shared.stop.clone();
        shared.tasks.spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
            tokio::pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "JSON-RPC connection ended");
            }
        });
    }
}
