//! The server: its methods, its doors, its threads.

use crate::backend::Backend;
use crate::dispatch::Dispatcher;
use crate::modules::Namespaces;
use crate::registry::Registry;
use crate::threads::Threads;
use crate::transport::{Access, IpcSocket, Proxies, Shared, TcpDoor};
use crate::{
    Api, RpcConfig, RpcContext, RpcError, debug, erigon, eth, heddle, modules, net, openrpc, ots, testing, trace,
    txpool, web3,
};
use jsonrpsee::{Methods, RpcModule};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::runtime::Handle;

/// How long [`RpcServer::stop`] waits for calls in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// A running server; dropping it stops it.
pub struct RpcServer {
    local_addr: Option<SocketAddr>,
    auth_addr: Option<SocketAddr>,
    shared: Shared,
    _threads: Threads,
}

/// Where callers come in.
struct Doors {
    open: Option<TcpDoor>,
    auth: Option<TcpDoor>,
    ipc: Option<IpcSocket>,
}

impl RpcServer {
    /// Binds ports and socket, and serves from then on, on threads of its own. To be called inside a Tokio runtime.
    ///
    /// # Errors
    /// [`RpcError::Bind`] when a port is taken, [`RpcError::Ipc`] when the socket cannot be made, [`RpcError::Threads`] when
    /// the system gives no threads; the others when a setting is malformed.
    pub async fn start(config: RpcConfig, context: RpcContext) -> Result<Self, RpcError> {
        if config.http && config.apis.contains(&Api::Admin) {
            return Err(RpcError::AdminInTheOpen);
        }
        let metrics = context.metrics.clone();
        let methods = methods(&config, context)?;
        let threads = Threads::start(&config.limits)?;
        let handle = threads.handle().clone();
        let shared = Shared::new(Dispatcher::new(methods, config.limits.clone(), metrics));
        // A socket belongs to the runtime that it is bound in.
        let doors = handle.spawn(Doors::bind(config)).await??;
        let address = |door: &Option<TcpDoor>| door.as_ref().map(TcpDoor::address);
        let (local_addr, auth_addr) = (address(&doors.open), address(&doors.auth));
        doors.serve(&shared, &handle);
        Ok(Self { local_addr, auth_addr, shared, _threads: threads })
    }

    /// The open port, if there is one; a real port even if 0 was asked for.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.local_addr
    }

    /// The port that wants a token, if there is one.
    pub fn auth_addr(&self) -> Option<SocketAddr> {
        self.auth_addr
    }

    /// Takes no more calls, and waits a bounded time for those in flight.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(STOP_TIMEOUT, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("JSON-RPC calls were still running when the server stopped");
        }
    }

    /// Resolves when the server has ended by itself.
    pub async fn stopped(&self) {
        self.shared.stop.cancelled().await;
    }
}

impl Doors {
    async fn bind(config: RpcConfig) -> Result<Self, RpcError> {
        let proxies = || Proxies(config.trusted_proxies.clone());
        let open = match config.http {
            true => {
                let namespaces = Namespaces(config.apis.iter().map(Into::into).collect());
                Some(TcpDoor::bind(config.socket_addr(), Access::open(&config)?, namespaces, proxies()).await?)
            }
            false => None,
        };
        let auth = match &config.auth {
            Some(auth) => {
                let access = Access::authenticated(&auth.hosts, auth.secret)?;
                Some(TcpDoor::bind(auth.address, access, Namespaces(Api::names().into()), proxies()).await?)
            }
            None => None,
        };
        let ipc = match &config.ipc {
            Some(path) => Some(IpcSocket::bind(path).await?),
            None => None,
        };
        Ok(Self { open, auth, ipc })
    }

    /// Serves at each, until the first ends.
    fn serve(self, shared: &Shared, handle: &Handle) {
        for door in [self.open, self.auth].into_iter().flatten() {
            serve_until_stopped(shared, handle, door.serve(shared.clone()));
        }
        if let Some(ipc) = self.ipc {
            serve_until_stopped(shared, handle, ipc.serve(shared.clone()));
        }
    }
}

/// Serves at a door; the server stops when it ends, in whatever way.
fn serve_until_stopped(shared: &Shared, handle: &Handle, serving: impl Future<Output = ()> + Send + 'static) {
    let ends = shared.stop.clone().drop_guard();
    let serving = async move {
        serving.await;
        drop(ends);
    };
    drop(shared.tasks.spawn_on(serving, handle));
}

/// The methods of the namespaces that any door serves.
fn methods(config: &RpcConfig, context: RpcContext) -> Result<Methods, RpcError> {
    let admin = context.admin.clone();
    let mut registry = Registry::new(context, &config.limits);
    modules::register(&mut registry)?;
    openrpc::register(&mut registry)?;
    let serves_all = config.auth.is_some() || config.ipc.is_some();
    for api in Api::ALL.iter().filter(|api| serves_all || config.apis.contains(api)) {
        match api {
            Api::Eth => eth::register(&mut registry)?,
            Api::Net => net::register(&mut registry)?,
            Api::Web3 => web3::register(&mut registry)?,
            Api::Heddle => heddle::register(&mut registry)?,
            Api::Txpool => txpool::register(&mut registry)?,
            Api::Debug => debug::register(&mut registry)?,
            Api::Trace => trace::register(&mut registry)?,
            Api::Ots => ots::register(&mut registry)?,
            Api::Erigon => erigon::register(&mut registry)?,
            Api::Testing => testing::register(&mut registry)?,
            Api::Admin => {}
        }
    }
    let mut module: RpcModule<Backend> = registry.into_module();
    if serves_all {
        module.merge(admin)?;
    }
    Ok(module.into())
}
