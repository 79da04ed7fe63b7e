//! The server: its methods, its doors, its threads.

use crate::backend::Backend;
use crate::dispatch::Dispatcher;
use crate::modules::Namespaces;
use crate::registry::Registry;
use crate::threads::Threads;
use crate::transport::{Access, IpcSocket, Proxies, Shared, TcpDoor};
use crate::{
    Api, RpcConfig, RpcContext, RpcError, RpcLimits, debug, erigon, eth, heddle, modules, net, openrpc, ots, testing,
    trace, txpool, web3,
};
use jsonrpsee::Methods;
use std::net::SocketAddr;
use std::sync::Arc;
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
        let serves_operators = config.auth.is_some() || config.ipc.is_some();
        let admin = context.admin.clone();
        let backend = Arc::new(Backend::new(context, &config.limits));
        let open = Shared::new(dispatcher(&config.apis, Methods::new(), &backend, config.limits.clone())?);
        let operators = match serves_operators {
            true => Some(open.beside(dispatcher(Api::ALL, admin, &backend, config.limits.of_operators())?)),
            false => None,
        };
        let threads = Threads::start(&config.limits)?;
        let handle = threads.handle().clone();
        // A socket belongs to the runtime that it is bound in.
        let doors = handle.spawn(Doors::bind(config)).await??;
        let address = |door: &Option<TcpDoor>| door.as_ref().map(TcpDoor::address);
        let (local_addr, auth_addr) = (address(&doors.open), address(&doors.auth));
        doors.serve(&open, operators.as_ref(), &handle);
        Ok(Self { local_addr, auth_addr, shared: open, _threads: threads })
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
    fn serve(self, open: &Shared, operators: Option<&Shared>, handle: &Handle) {
        if let Some(door) = self.open {
            serve_until_stopped(open, handle, door.serve(open.clone()));
        }
        let Some(operators) = operators else { return };
        if let Some(door) = self.auth {
            serve_until_stopped(operators, handle, door.serve(operators.clone()));
        }
        if let Some(door) = self.ipc {
            serve_until_stopped(operators, handle, door.serve(operators.clone()));
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

/// The methods of these namespaces and `more`, with bounds of their own for those who call them.
fn dispatcher(apis: &[Api], more: Methods, backend: &Arc<Backend>, limits: RpcLimits) -> Result<Dispatcher, RpcError> {
    let mut registry = Registry::new(Arc::clone(backend), &limits);
    modules::register(&mut registry)?;
    openrpc::register(&mut registry)?;
    for api in Api::ALL.iter().filter(|api| apis.contains(api)) {
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
    let mut methods = Methods::from(registry.into_module());
    methods.merge(more)?;
    Ok(Dispatcher::new(methods, limits, backend.metrics.clone()))
}
