//! The listener and what stands around the methods: limits, CORS, the `Host` check.

use crate::backend::Backend;
use crate::middleware::{Gate, count_refusal, note_connection};
use crate::registry::Registry;
use crate::{Api, RpcConfig, RpcContext, RpcError, RpcLimits, eth, heddle, net, web3};
use hyper::Method;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use jsonrpsee::RpcModule;
use jsonrpsee::core::middleware::RpcServiceBuilder;
use jsonrpsee::core::traits::IdProvider;
use jsonrpsee::server::middleware::http::HostFilterLayer;
use jsonrpsee::server::{BatchRequestConfig, PingConfig, ServerBuilder, ServerConfig, ServerHandle};
use jsonrpsee::types::SubscriptionId;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long [`RpcServer::stop`] waits for calls in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A running server; dropping it stops it.
pub struct RpcServer {
    local_addr: SocketAddr,
    handle: ServerHandle,
}

impl RpcServer {
    /// Binds the port and serves from then on. To be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`RpcError::Bind`] when the port is taken; the others when a setting is malformed.
    pub async fn start(config: RpcConfig, context: RpcContext) -> Result<Self, RpcError> {
        let metrics = context.metrics.clone();
        let (of_requests, of_responses) = (metrics.clone(), metrics.clone());
        let module = methods(&config, context)?;
        let names = Arc::new(module.method_names().collect());
        let cors = cors_layer(&config.cors_origins)?;
        let hosts = host_layer(&config.hosts)?;
        let address = config.socket_addr();
        let bind_error = |source| RpcError::Bind { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(bind_error)?;
        let listener: TcpListener = listener.into_std().map_err(bind_error)?;
        let local_addr = listener.local_addr().map_err(bind_error)?;
        let server = ServerBuilder::with_config(server_config(&config.limits))
            .set_http_middleware(
                tower::ServiceBuilder::new()
                    .option_layer(hosts)
                    .option_layer(cors)
                    .map_request(move |request| note_connection(request, &of_requests))
                    .map_response(move |response| count_refusal(response, &of_responses)),
            )
            .set_rpc_middleware(
                RpcServiceBuilder::new().layer_fn(move |inner| Gate::new(inner, Arc::clone(&names), metrics.clone())),
            )
            .build_from_tcp(listener)
            .map_err(bind_error)?;
        Ok(Self { local_addr, handle: server.start(module) })
    }

    /// Where the server listens; the port is a real one even if 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more calls, and waits a bounded time for those in flight.
    pub async fn stop(self) {
        // An error says that the server has stopped already.
        if self.handle.stop().is_ok() && tokio::time::timeout(STOP_TIMEOUT, self.handle.stopped()).await.is_err() {
            tracing::warn!("JSON-RPC calls were still running when the server stopped");
        }
    }

    /// Resolves when the server has ended by itself.
    pub async fn stopped(&self) {
        self.handle.clone().stopped().await;
    }
}

/// The methods of the namespaces that are served.
fn methods(config: &RpcConfig, context: RpcContext) -> Result<RpcModule<Backend>, RpcError> {
    let mut registry = Registry::new(context, &config.limits);
    let mut registered = Vec::new();
    for api in &config.apis {
        if registered.contains(api) {
            continue;
        }
        registered.push(*api);
        match api {
            Api::Eth => eth::register(&mut registry)?,
            Api::Net => net::register(&mut registry)?,
            Api::Web3 => web3::register(&mut registry)?,
            Api::Heddle => heddle::register(&mut registry)?,
        }
    }
    Ok(registry.into_module())
}

fn server_config(limits: &RpcLimits) -> ServerConfig {
    ServerConfig::builder()
        .max_request_body_size(limits.request_bytes)
        .max_response_body_size(limits.response_bytes)
        .max_connections(limits.connections)
        .max_subscriptions_per_connection(limits.subscriptions_per_connection)
        .set_batch_request_config(BatchRequestConfig::Limit(limits.batch_calls))
        // A WebSocket whose client is gone would hold its subscriptions for ever.
        .enable_ws_ping(PingConfig::default())
        .set_id_provider(HexIds)
        .build()
}

fn cors_layer(origins: &[String]) -> Result<Option<CorsLayer>, RpcError> {
    if origins.is_empty() {
        return Ok(None);
    }
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        let value = |origin: &String| HeaderValue::from_str(origin).map_err(|_| RpcError::CorsOrigin(origin.clone()));
        AllowOrigin::list(origins.iter().map(value).collect::<Result<Vec<_>, _>>()?)
    };
    Ok(Some(CorsLayer::new().allow_origin(allowed).allow_methods([Method::POST]).allow_headers([CONTENT_TYPE])))
}

fn host_layer(hosts: &[String]) -> Result<Option<HostFilterLayer>, RpcError> {
    if hosts.is_empty() {
        return Ok(None);
    }
    for host in hosts {
        HostFilterLayer::new([host.as_str()])
            .map_err(|error| RpcError::Host { host: host.clone(), reason: error.to_string() })?;
    }
    Ok(HostFilterLayer::new(hosts.iter().map(String::as_str)).ok())
}

/// Subscription ids as go-ethereum gives them: 16 random bytes in hex, so that nobody guesses another's.
#[derive(Debug)]
struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::from(format!("{:#x}", rand::random::<u128>()))
    }
}
