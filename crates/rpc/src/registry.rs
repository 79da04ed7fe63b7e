//! Methods by name, and where each runs.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::lane::Lane;
use crate::{RpcContext, RpcLimits, RpcMetrics};
use jsonrpsee::RpcModule;
use jsonrpsee::server::{IntoSubscriptionCloseResponse, PendingSubscriptionSink, RegisterMethodError};
use jsonrpsee::types::{ErrorCode, Params};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// A method: takes its arguments in order and returns its result.
pub(crate) type Handler<R> = fn(&Backend, &mut Arguments<'_>) -> Result<R, MethodError>;

/// The names of a method's arguments, in order.
pub(crate) type Names = &'static [&'static str];

/// Collects the methods of the namespaces that are served.
pub(crate) struct Registry {
    module: RpcModule<Backend>,
    metrics: RpcMetrics,
    reads: Lane,
    scans: Lane,
    calls: Lane,
}

impl Registry {
    pub(crate) fn new(context: RpcContext, limits: &RpcLimits) -> Self {
        Self {
            metrics: context.metrics.clone(),
            module: RpcModule::new(Backend::new(context, limits)),
            reads: Lane::new(limits.reads, limits.calls_queued),
            scans: Lane::new(limits.scans, limits.calls_queued),
            calls: Lane::new(limits.calls, limits.calls_queued),
        }
    }

    pub(crate) fn into_module(self) -> RpcModule<Backend> {
        self.module
    }

    /// Adds a method that answers from memory, at once.
    pub(crate) fn memory<R: Serialize + Clone + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.metrics.know(name);
        self.module.register_method(name, move |params, backend, _| {
            let started = Instant::now();
            let result = Arguments::parse(&params, names).and_then(|mut arguments| handler(backend, &mut arguments));
            backend.metrics.count(name, code(&result), started);
            result
        })?;
        Ok(())
    }

    /// Adds a method that reads the database or recovers signatures.
    pub(crate) fn read<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.blocking(name, names, handler, self.reads.clone())
    }

    /// Adds a method that reads many blocks from the database, or executes a whole one.
    pub(crate) fn scan<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.blocking(name, names, handler, self.scans.clone())
    }

    /// Adds a method that runs the EVM.
    pub(crate) fn execute<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.blocking(name, names, handler, self.calls.clone())
    }

    /// Parses the arguments, runs the handler, and turns its result into JSON, on a blocking thread while it holds a
    /// permit: a call that waits is no more than its text.
    fn blocking<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        handler: Handler<R>,
        lane: Lane,
    ) -> Result<(), RegisterMethodError> {
        self.metrics.know(name);
        self.module.register_async_method(name, move |params, backend, _| {
            run(lane.clone(), params, (name, names), handler, backend)
        })?;
        Ok(())
    }

    /// Adds a subscription with go-ethereum's three method names of `eth`.
    pub(crate) fn eth_subscription<F, Fut, R>(&mut self, serve: F) -> Result<(), RegisterMethodError>
    where
        F: Fn(Params<'static>, PendingSubscriptionSink, Arc<Backend>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoSubscriptionCloseResponse + Send,
    {
        self.metrics.know("eth_subscribe");
        self.module.register_subscription(
            "eth_subscribe",
            "eth_subscription",
            "eth_unsubscribe",
            move |params, pending, backend, _| serve(params, pending, backend),
        )?;
        Ok(())
    }
}

/// A call that is counted when it ends, also after its caller has hung up, and when it panics. A caller that hangs up before
/// it is its turn is not counted: nothing was done for it.
struct Counted {
    metrics: RpcMetrics,
    method: &'static str,
    started: Instant,
    code: i32,
}

impl Counted {
    fn ended(mut self, code: i32) {
        self.code = code;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics.count(self.method, self.code, self.started);
    }
}

/// Runs a handler on a blocking thread, when it is its turn.
async fn run<R: Serialize + 'static>(
    lane: Lane,
    params: Params<'static>,
    (method, names): (&'static str, Names),
    handler: Handler<R>,
    backend: Arc<Backend>,
) -> Result<Box<RawValue>, MethodError> {
    let internal = |error: &dyn std::error::Error| MethodError::Internal(error.to_string());
    let (received, started) = (SystemTime::now(), Instant::now());
    let entered = lane.enter(params.len_bytes()).await;
    let mut counted = Counted { metrics: backend.metrics.clone(), method, started, code: code(&entered) };
    let permit = entered?;
    // Unless the handler comes to say otherwise.
    counted.code = ErrorCode::InternalError.code();
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let result = Arguments::parse(&params, names).and_then(|arguments| {
            let result = handler(&backend, &mut arguments.received_at(received))?;
            serde_json::value::to_raw_value(&result).map_err(|error| internal(&error))
        });
        counted.ended(code(&result));
        result
    });
    task.await.map_err(|panic| internal(&panic))?
}

/// The JSON-RPC code that a call ends with; 0 for a result.
pub(crate) fn code<T>(result: &Result<T, MethodError>) -> i32 {
    result.as_ref().err().map_or(0, MethodError::code)
}
