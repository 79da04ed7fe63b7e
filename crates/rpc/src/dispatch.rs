//! From the text of a request to the text of its answer, whatever it came over: calls and batches, within their limits.

use crate::budget::{Budget, Reservation};
use crate::error::{self, MethodError};
use crate::metrics::Limit;
use crate::modules::Namespaces;
use crate::shared::Slot;
use crate::{RpcLimits, RpcMetrics, depth};
use hyper::StatusCode;
use jsonrpsee::server::{
    BoundedSubscriptions, ConnectionId, Extensions, MethodCallback, MethodResponse, MethodSink, Methods,
    SubscriptionState,
};
use jsonrpsee::types::error::{
    INVALID_REQUEST_CODE, METHOD_NOT_FOUND_CODE, OVERSIZED_RESPONSE_CODE, reject_too_big_batch_request,
    reject_too_many_subscriptions,
};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Id, InvalidRequest, Notification, Params, Request};
use serde_json::value::RawValue;
use std::time::Duration;
use tokio::time::Instant;

/// A request that is nested as deep as it may be has its parameters one level below.
const ENVELOPE_DEPTH: usize = 1;
/// go-ethereum's codes for the rest of a batch.
const TIMED_OUT_CODE: i32 = -32002;
const TOO_LARGE_CODE: i32 = -32003;

/// Who calls, and what that connection may.
pub(crate) struct Caller {
    /// Namespaces that are served to it.
    pub(crate) namespaces: Namespaces,
    /// How many calls may come in a message, and when more of them.
    pub(crate) admission: Admission,
    /// Where notifications go; `None` where nobody can be notified.
    pub(crate) subscriptions: Option<Subscriptions>,
}

/// Lets a number of calls through, or says how long to wait.
pub(crate) type Admission = Box<dyn Fn(usize) -> Result<(), Duration> + Send + Sync>;

/// The subscriptions of a connection.
pub(crate) struct Subscriptions {
    pub(crate) connection: ConnectionId,
    pub(crate) sink: MethodSink,
    pub(crate) bound: BoundedSubscriptions,
}

/// The text of an answer, which counts as held until it was sent.
#[derive(Debug)]
pub(crate) struct Answer {
    text: Vec<u8>,
    /// What HTTP says about it.
    pub(crate) status: StatusCode,
    /// When a caller that was turned away may come again.
    pub(crate) retry_after: Option<Duration>,
    _held: Option<Reservation>,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

impl Answer {
    /// An answer to what is no call, or is not served; few bytes, which are not counted.
    pub(crate) fn refusal(status: StatusCode, error: ErrorObjectOwned) -> Self {
        let text = Vec::from(MethodResponse::error(Id::Null, error).as_ref());
        Self { text, status, retry_after: None, _held: None }
    }

    fn ok(text: Vec<u8>, held: Reservation) -> Self {
        Self { text, status: StatusCode::OK, retry_after: None, _held: Some(held) }
    }

    fn busy() -> Self {
        Self::refusal(StatusCode::SERVICE_UNAVAILABLE, MethodError::Busy.into())
    }

    fn too_many(wait: Duration) -> Self {
        let refusal = Self::refusal(StatusCode::TOO_MANY_REQUESTS, error::rate_limited(wait));
        Self { retry_after: Some(wait), ..refusal }
    }
}

/// All methods, with what bounds their use.
pub(crate) struct Dispatcher {
    methods: Methods,
    limits: RpcLimits,
    pub(crate) budget: Budget,
    pub(crate) metrics: RpcMetrics,
}

impl Dispatcher {
    pub(crate) fn new(methods: Methods, limits: RpcLimits, metrics: RpcMetrics) -> Self {
        Self { methods, budget: Budget::new(limits.buffered_bytes), limits, metrics }
    }

    pub(crate) fn limits(&self) -> &RpcLimits {
        &self.limits
    }

    /// The answer to a message; `None` to one of notifications only, which are not carried out.
    pub(crate) async fn answer(&self, message: &[u8], caller: &Caller) -> Option<Answer> {
        match message.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'[') => self.batch(message, caller).await,
            _ => self.single(message, caller).await,
        }
    }

    async fn single(&self, message: &[u8], caller: &Caller) -> Option<Answer> {
        let request = match Entry::parse(message) {
            Entry::Call(request) => request,
            Entry::Notification => return None,
            Entry::Invalid(id, code) => {
                let response = MethodResponse::error(id, ErrorObjectOwned::from(code));
                let refusal = Answer::refusal(StatusCode::BAD_REQUEST, code.into());
                return Some(Answer { text: Vec::from(response.as_ref()), ..refusal });
            }
        };
        if let Err(wait) = (caller.admission)(1) {
            self.metrics.count_refused(Limit::Rate);
            return Some(Answer {
                text: Vec::from(error_of(request.id, error::rate_limited(wait)).as_ref()),
                ..Answer::too_many(wait)
            });
        }
        let (slot, id) = (Slot::default(), request.id.clone().into_owned());
        let response = self.call(request, caller, self.limits.response_bytes as usize, Some(&slot)).await;
        // A subscription has announced itself, before its first notification.
        if response.is_subscription() {
            return None;
        }
        let text = slot.fill(response);
        let mut held = self.budget.reservation();
        if !held.covers(text.len()) {
            self.metrics.count_refused(Limit::BufferedBytes);
            // Whoever waits on a WebSocket waits for its id.
            let text = Vec::from(error_of(id, MethodError::Busy.into()).as_ref());
            return Some(Answer { text, ..Answer::busy() });
        }
        Some(Answer::ok(text, held))
    }

    /// Answers call by call. Once the answer is full, or took too long, the rest is told so without being carried out.
    async fn batch(&self, message: &[u8], caller: &Caller) -> Option<Answer> {
        let refuse = |error: ErrorObjectOwned| Some(Answer::refusal(StatusCode::BAD_REQUEST, error));
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(message) else {
            return refuse(ErrorCode::ParseError.into());
        };
        let most = self.limits.batch_calls as usize;
        if entries.is_empty() {
            return refuse(ErrorCode::InvalidRequest.into());
        }
        if entries.len() > most {
            self.metrics.count_refused(Limit::BatchCalls);
            return refuse(reject_too_big_batch_request(most));
        }
        if let Err(wait) = (caller.admission)(entries.len()) {
            self.metrics.count_refused(Limit::Rate);
            return Some(Answer::too_many(wait));
        }
        let mut answers = BatchAnswer::new(self);
        for entry in entries {
            let response = match Entry::parse(entry.get().as_bytes()) {
                Entry::Call(request) => answers.next(request, caller).await,
                Entry::Notification => continue,
                Entry::Invalid(id, _) => error_of(id, ErrorCode::InvalidRequest.into()),
            };
            if !answers.push(&response) {
                self.metrics.count_refused(Limit::BufferedBytes);
                return Some(Answer::busy());
            }
        }
        answers.finish()
    }

    /// Carries out a call whose answer may have `room` bytes, where a text may be left in the slot.
    async fn call(&self, request: Request<'_>, caller: &Caller, room: usize, slot: Option<&Slot>) -> MethodResponse {
        let Request { id, method, params, .. } = request;
        let text = params.as_deref().map(RawValue::get);
        let callback = match self.find(&method, text, caller) {
            Ok(callback) => callback,
            Err(error) => return error_of(id, error),
        };
        let params = Params::new(text);
        let connection = caller.subscriptions.as_ref().map_or(ConnectionId(0), |session| session.connection);
        match callback {
            MethodCallback::Sync(callback) => {
                let mut extensions = Extensions::new();
                extensions.insert(caller.namespaces.clone());
                callback(id, params, room, extensions)
            }
            MethodCallback::Async(callback) => {
                let mut extensions = Extensions::new();
                slot.map(|slot| extensions.insert(slot.clone()));
                callback(id.into_owned(), params.into_owned(), connection, room, extensions).await
            }
            MethodCallback::Subscription(callback) => {
                let Some(session) = &caller.subscriptions else { return error_of(id, not_notified()) };
                let Some(permit) = session.bound.acquire() else {
                    self.metrics.count_refused(Limit::Subscriptions);
                    return error_of(id, reject_too_many_subscriptions(session.bound.max()));
                };
                let state =
                    SubscriptionState { conn_id: connection, id_provider: &HexIds, subscription_permit: permit };
                callback(id, params, session.sink.clone(), state, Extensions::new()).await
            }
            MethodCallback::Unsubscription(callback) => callback(id, params, connection, room, Extensions::new()),
        }
    }

    /// The method of a call, unless it is none that this caller can call so.
    fn find(&self, name: &str, params: Option<&str>, caller: &Caller) -> Result<&MethodCallback, ErrorObjectOwned> {
        let found = if caller.namespaces.have(name) { self.methods.method(name) } else { None };
        let Some(callback) = found else {
            self.metrics.count_unknown(METHOD_NOT_FOUND_CODE);
            let message = format!("the method {name:.128} does not exist/is not available");
            return Err(ErrorObjectOwned::owned(METHOD_NOT_FOUND_CODE, message, None::<()>));
        };
        let is_subscription = matches!(callback, MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_));
        if is_subscription && caller.subscriptions.is_none() {
            self.metrics.count_unknown(METHOD_NOT_FOUND_CODE);
            return Err(not_notified());
        }
        let depth = self.limits.json_depth;
        if !depth::is_within(params.unwrap_or_default(), depth.saturating_sub(ENVELOPE_DEPTH)) {
            self.metrics.count_refused(Limit::Depth);
            let message = format!("the request is nested too deep, want at most {depth} levels");
            return Err(ErrorObjectOwned::owned(INVALID_REQUEST_CODE, message, None::<()>));
        }
        Ok(callback)
    }
}

/// What tells a call from a notification.
#[derive(serde::Deserialize)]
struct Identified<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

/// Whether a message names an id. Refuses what is no object, and an id that is an array or an object: the library would buffer
/// it at many times its length.
fn has_id(json: &[u8]) -> Result<bool, ErrorCode> {
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice::<Identified<'_>>(json) {
        Ok(call) if is_object && !call.id.is_some_and(|id| id.get().starts_with(['[', '{'])) => Ok(call.id.is_some()),
        Ok(_) => Err(ErrorCode::InvalidRequest),
        Err(_) if serde_json::from_slice::<&RawValue>(json).is_ok() => Err(ErrorCode::InvalidRequest),
        Err(_) => Err(ErrorCode::ParseError),
    }
}

/// What a message or an entry of a batch is.
enum Entry<'a> {
    Call(Request<'a>),
    Notification,
    Invalid(Id<'a>, ErrorCode),
}

impl<'a> Entry<'a> {
    fn parse(json: &'a [u8]) -> Self {
        let has_id = match has_id(json) {
            Ok(has_id) => has_id,
            Err(code) => return Self::Invalid(Id::Null, code),
        };
        if let Ok(request) = serde_json::from_slice(json) {
            return Self::Call(request);
        }
        if serde_json::from_slice::<Notification<'_, Option<&RawValue>>>(json).is_ok() {
            // An id that is none makes it a call that is none.
            return if has_id { Self::Invalid(Id::Null, ErrorCode::InvalidRequest) } else { Self::Notification };
        }
        match serde_json::from_slice::<InvalidRequest<'_>>(json) {
            Ok(InvalidRequest { id }) => Self::Invalid(id, ErrorCode::InvalidRequest),
            Err(_) => Self::Invalid(Id::Null, ErrorCode::ParseError),
        }
    }
}

/// The answer to a batch as it grows.
struct BatchAnswer<'a> {
    dispatcher: &'a Dispatcher,
    text: Vec<u8>,
    held: Reservation,
    deadline: Instant,
    is_full: bool,
}

impl<'a> BatchAnswer<'a> {
    fn new(dispatcher: &'a Dispatcher) -> Self {
        let (held, deadline) = (dispatcher.budget.reservation(), Instant::now() + dispatcher.limits.batch_time);
        Self { dispatcher, text: Vec::new(), held, deadline, is_full: false }
    }

    /// Carries out the next call, unless the answer is full or late.
    async fn next(&mut self, request: Request<'_>, caller: &Caller) -> MethodResponse {
        let id = request.id.clone().into_owned();
        let room = (self.dispatcher.limits.response_bytes as usize).saturating_sub(self.text.len());
        if self.is_full || room == 0 {
            return error_of(id, ErrorObjectOwned::borrowed(TOO_LARGE_CODE, "response too large", None));
        }
        let late = ErrorObjectOwned::borrowed(TIMED_OUT_CODE, "request timed out", None);
        if Instant::now() >= self.deadline {
            return error_of(id, late);
        }
        let response = tokio::time::timeout_at(self.deadline, self.dispatcher.call(request, caller, room, None)).await;
        let Ok(response) = response else { return error_of(id, late) };
        self.is_full = response.as_error_code() == Some(OVERSIZED_RESPONSE_CODE);
        response
    }

    /// Whether there is memory for it.
    fn push(&mut self, response: &MethodResponse) -> bool {
        self.text.push(if self.text.is_empty() { b'[' } else { b',' });
        self.text.extend_from_slice(response.as_ref().as_bytes());
        self.held.covers(self.text.len())
    }

    fn finish(mut self) -> Option<Answer> {
        if self.text.is_empty() {
            return None;
        }
        self.text.push(b']');
        Some(Answer::ok(self.text, self.held))
    }
}

fn error_of(id: Id<'_>, error: ErrorObjectOwned) -> MethodResponse {
    MethodResponse::error(id, error)
}

fn not_notified() -> ErrorObjectOwned {
    ErrorObjectOwned::borrowed(METHOD_NOT_FOUND_CODE, "notifications not supported", None)
}

/// Subscription ids as go-ethereum gives them: 16 random bytes in hex, so that nobody guesses another's.
#[derive(Debug)]
struct HexIds;

impl jsonrpsee::core::traits::IdProvider for HexIds {
    fn next_id(&self) -> jsonrpsee::types::SubscriptionId<'static> {
        format!("{:#x}", rand::random::<u128>()).into()
    }
}
