//! Methods by name, and where each runs.

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::config::TRACES;
use crate::error::MethodError;
use crate::eth::Listener;
use crate::lane::Lane;
use crate::modules::Namespaces;
use crate::shared::Slot;
use crate::texts::Text;
use crate::waiting::Waiting;
use crate::{RpcLimits, RpcMetrics};
use heddle_chain::TraceError;
use jsonrpsee::server::{IntoSubscriptionCloseResponse, PendingSubscriptionSink, RegisterMethodError};
use jsonrpsee::types::{ErrorCode, Params};
use jsonrpsee::{Extensions, RpcModule};
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tokio::sync::Semaphore;

/// Calls of one method that wait for events at a time.
const WAITING_MAX: usize = 512;
/// Bytes of arguments up to which one looks whether the answer is in memory: longer ones take time to be parsed.
const RECALLED_BYTES: usize = 4 * 1024;

/// A method: takes its arguments in order and returns its result.
pub(crate) type Handler<R> = fn(&Backend, &mut Arguments<'_>) -> Result<R, MethodError>;

/// Gives a method's result where that is in memory.
pub(crate) type Recent<R> = fn(&Backend, &mut Arguments<'_>) -> Option<R>;

/// The names of a method's arguments, in order.
pub(crate) type Names = &'static [&'static str];

/// Collects the methods of the namespaces that are served.
pub(crate) struct Registry {
    module: RpcModule<Backend>,
    metrics: RpcMetrics,
    reads: Lane,
    scans: Lane,
    calls: Lane,
    traces: Lane,
    /// Most bytes of an answer.
    response_bytes: usize,
}

impl Registry {
    /// Methods on this backend, with lanes of their own.
    pub(crate) fn new(backend: Arc<Backend>, limits: &RpcLimits) -> Self {
        Self {
            metrics: backend.metrics.clone(),
            module: RpcModule::from_arc(backend),
            reads: Lane::new(limits.reads, limits.calls_queued),
            scans: Lane::new(limits.scans, limits.calls_queued),
            calls: Lane::new(limits.calls, limits.calls_queued),
            traces: Lane::new(TRACES, limits.traces_queued),
            response_bytes: limits.response_bytes as usize,
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

    /// Adds a method without arguments that tells a caller what it is served.
    pub(crate) fn of_caller<R: Serialize + Clone + 'static>(
        &mut self,
        name: &'static str,
        handler: fn(&Namespaces) -> Result<R, MethodError>,
    ) -> Result<(), RegisterMethodError> {
        self.metrics.know(name);
        self.module.register_method(name, move |params, backend, extensions| {
            let started = Instant::now();
            let namespaces = extensions.get::<Namespaces>();
            let result = Arguments::parse(&params, &[]).and_then(|_| {
                handler(namespaces.ok_or_else(|| MethodError::Internal("a caller without namespaces".to_owned()))?)
            });
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

    /// As [`Self::read`], for a method that may know its answer from memory, and then gives it at once.
    pub(crate) fn recall<R: Serialize + Clone + Send + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        recent: Recent<R>,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.metrics.know(name);
        let lane = self.reads.clone();
        self.module.register_async_method(name, move |params, backend, _| {
            recall_or_run(lane.clone(), params, (name, names), recent, handler, backend)
        })?;
        Ok(())
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

    /// As [`Self::execute`], for a method that may know its answer in a moment, and then gives it at once.
    pub(crate) fn execute_or_recall<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        short: Recent<R>,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.metrics.know(name);
        let (lane, bytes_max) = (self.calls.clone(), self.response_bytes);
        self.module.register_async_method(name, move |params, backend, _| {
            let short = move |backend: &Backend, arguments: &mut Arguments<'_>| {
                bounded_json(&short(backend, arguments)?, bytes_max).ok()
            };
            let answer = move |backend: &Backend, arguments: &mut Arguments<'_>| {
                bounded_json(&handler(backend, arguments)?, bytes_max)
            };
            recall_or_run(lane.clone(), params, (name, names), short, answer, backend)
        })?;
        Ok(())
    }

    /// Adds a method that executes blocks again under a tracer: one call of all these runs at a time.
    pub(crate) fn trace<R: Serialize + 'static>(
        &mut self,
        name: &'static str,
        names: Names,
        handler: Handler<R>,
    ) -> Result<(), RegisterMethodError> {
        self.blocking(name, names, handler, self.traces.clone())
    }

    /// Adds a method that waits for events between reads of the database. A bounded number of calls wait.
    pub(crate) fn waiting<R, Fut>(
        &mut self,
        name: &'static str,
        names: Names,
        serve: fn(Waiting) -> Fut,
    ) -> Result<(), RegisterMethodError>
    where
        R: Serialize + Clone + 'static,
        Fut: Future<Output = Result<R, MethodError>> + Send + 'static,
    {
        self.metrics.know(name);
        let (lane, places) = (self.reads.clone(), Arc::new(Semaphore::new(WAITING_MAX)));
        self.module.register_async_method(name, move |params, backend, _| {
            let (lane, places) = (lane.clone(), Arc::clone(&places));
            let (received, started) = (SystemTime::now(), Instant::now());
            let code = ErrorCode::InternalError.code();
            let counted = Counted { metrics: backend.metrics.clone(), method: name, started, code };
            async move {
                let result = match places.try_acquire() {
                    Ok(_place) => serve(Waiting::new((params, names), backend, received, lane)).await,
                    Err(_) => Err(MethodError::Busy),
                };
                counted.ended(self::code(&result));
                result
            }
        })?;
        Ok(())
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
        let bytes_max = self.response_bytes;
        self.module.register_async_method(name, move |params, backend, _| {
            let answer = move |backend: &Backend, arguments: &mut Arguments<'_>| {
                bounded_json(&handler(backend, arguments)?, bytes_max)
            };
            run(lane.clone(), params, (name, names), answer, backend)
        })?;
        Ok(())
    }

    /// Adds a method whose answers are kept as text: `recent` finds one that is, in memory, and the handler makes it as
    /// [`Self::read`] does.
    pub(crate) fn text(
        &mut self,
        name: &'static str,
        names: Names,
        recent: Recent<Option<Text>>,
        handler: Handler<Option<Text>>,
    ) -> Result<(), RegisterMethodError> {
        self.metrics.know(name);
        let (lane, bytes_max) = (self.reads.clone(), self.response_bytes);
        self.module.register_async_method(name, move |params, backend, extensions| {
            let text = recall_or_run(lane.clone(), params, (name, names), recent, handler, backend);
            async move { Ok::<_, MethodError>(text.await?.and_then(|text| deliver(text, &extensions, bytes_max))) }
        })?;
        Ok(())
    }

    /// Adds a subscription with go-ethereum's three method names of `eth`.
    pub(crate) fn eth_subscription<F, Fut, R>(&mut self, serve: F) -> Result<(), RegisterMethodError>
    where
        F: Fn(Params<'static>, PendingSubscriptionSink, Arc<Backend>, Listener) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = R> + Send + 'static,
        R: IntoSubscriptionCloseResponse + Send,
    {
        self.metrics.know("eth_subscribe");
        self.module.register_subscription(
            "eth_subscribe",
            "eth_subscription",
            "eth_unsubscribe",
            move |params, pending, backend, extensions| {
                serve(params, pending, backend, extensions.get::<Listener>().cloned().unwrap_or_default())
            },
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
async fn run<R: Send + 'static>(
    lane: Lane,
    params: Params<'static>,
    (method, names): (&'static str, Names),
    handler: impl FnOnce(&Backend, &mut Arguments<'_>) -> Result<R, MethodError> + Send + 'static,
    backend: Arc<Backend>,
) -> Result<R, MethodError> {
    let (received, started) = (SystemTime::now(), Instant::now());
    let entered = lane.enter(params.len_bytes()).await;
    let mut counted = Counted { metrics: backend.metrics.clone(), method, started, code: code(&entered) };
    let permit = entered?;
    // Unless the handler comes to say otherwise.
    counted.code = ErrorCode::InternalError.code();
    let task = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let result = Arguments::parse(&params, names)
            .and_then(|arguments| handler(&backend, &mut arguments.received_at(received)));
        counted.ended(code(&result));
        result
    });
    task.await.map_err(|panic| MethodError::Internal(panic.to_string()))?
}

/// Gives what is in memory at once, or else runs a handler.
async fn recall_or_run<R: Send + 'static>(
    lane: Lane,
    params: Params<'static>,
    (method, names): (&'static str, Names),
    recent: impl FnOnce(&Backend, &mut Arguments<'_>) -> Option<R>,
    handler: impl FnOnce(&Backend, &mut Arguments<'_>) -> Result<R, MethodError> + Send + 'static,
    backend: Arc<Backend>,
) -> Result<R, MethodError> {
    let started = Instant::now();
    let arguments = Some(&params).filter(|params| params.len_bytes() <= RECALLED_BYTES);
    let arguments = arguments.and_then(|params| Arguments::parse(params, names).ok());
    match arguments.and_then(|mut arguments| recent(&backend, &mut arguments)) {
        Some(result) => {
            backend.metrics.count(method, 0, started);
            Ok(result)
        }
        None => run(lane, params, (method, names), handler, backend).await,
    }
}

/// A result as JSON. Its bytes are not only counted when it is there: a short result may be long as text.
fn bounded_json<R: Serialize>(result: &R, bytes_max: usize) -> Result<Box<RawValue>, MethodError> {
    heddle_chain::to_bounded_json(result, bytes_max).map_err(|error| match error {
        TraceError::TooLarge(_) => MethodError::ResponseTooBig,
        error => error.into(),
    })
}

/// Leaves a text to be sent as it is, where the caller's transport allows that, with no result in its place.
fn deliver(text: Text, extensions: &Extensions, bytes_max: usize) -> Option<Box<RawValue>> {
    match extensions.get::<Slot>().filter(|_| text.len() <= bytes_max) {
        Some(slot) => {
            slot.put(text);
            None
        }
        None => Some(text.to_raw()),
    }
}

/// The JSON-RPC code that a call ends with; 0 for a result.
pub(crate) fn code<T>(result: &Result<T, MethodError>) -> i32 {
    result.as_ref().err().map_or(0, MethodError::code)
}
