//! From the text of a request to the text of its answer, whatever it came over: calls and batches, within their limits.

use crate::answer::{Answer, Refusal};
use crate::batch::BatchAnswer;
use crate::budget::{Budget, Share};
use crate::entry::Entry;
use crate::eth::Listener;
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
    INVALID_REQUEST_CODE, METHOD_NOT_FOUND_CODE, reject_too_big_batch_request, reject_too_many_subscriptions,
};
use jsonrpsee::types::{ErrorCode, ErrorObjectOwned, Id, Params, Request};
use serde_json::value::RawValue;
use std::time::Duration;

/// A request that is nested as deep as it may be has its parameters one level below.
const ENVELOPE_DEPTH: usize = 1;

/// Who calls, and what that connection may.
pub(crate) struct Caller {
    /// Namespaces that are served to it.
    pub(crate) namespaces: Namespaces,
    /// How many calls may come in a message, and when more of them.
    pub(crate) admission: Admission,
    /// Where its messages and their answers are held.
    pub(crate) share: Share,
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
    pub(crate) listener: Listener,
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
            Entry::Invalid(id, code) => return Some(Refusal::new(StatusCode::BAD_REQUEST, code.into()).answer(id)),
        };
        if let Err(wait) = (caller.admission)(1) {
            self.metrics.count_refused(Limit::Rate);
            return Some(Refusal::too_many(wait).answer(request.id));
        }
        let (slot, id) = (Slot::default(), request.id.clone().into_owned());
        let response = self.call(request, caller, self.limits.response_bytes as usize, Some(&slot)).await;
        // A subscription has announced itself, before its first notification.
        if response.is_subscription() {
            return None;
        }
        let text = slot.fill(response);
        let mut held = caller.share.reservation();
        if !held.covers(text.len()) {
            self.metrics.count_refused(Limit::BufferedBytes);
            return Some(Refusal::busy().answer(id));
        }
        Some(Answer::ok(text, held))
    }

    async fn batch(&self, message: &[u8], caller: &Caller) -> Option<Answer> {
        let invalid = |error: ErrorObjectOwned| Refusal::new(StatusCode::BAD_REQUEST, error);
        let Ok(entries) = serde_json::from_slice::<Vec<&RawValue>>(message) else {
            return Some(invalid(ErrorCode::ParseError.into()).answer(Id::Null));
        };
        if entries.is_empty() {
            return Some(invalid(ErrorCode::InvalidRequest.into()).answer(Id::Null));
        }
        let most = self.limits.batch_calls as usize;
        let ids = entries.iter().take(most).filter_map(|entry| Entry::parse(entry.get().as_bytes()).into_id());
        let mut answers = BatchAnswer::new(self, caller);
        if entries.len() > most {
            self.metrics.count_refused(Limit::BatchCalls);
            // There is no end to them: as in go-ethereum, the first is told.
            return answers.refuse(ids.take(1), invalid(reject_too_big_batch_request(most)));
        }
        if let Err(wait) = (caller.admission)(entries.len()) {
            self.metrics.count_refused(Limit::Rate);
            return answers.refuse(ids, Refusal::too_many(wait));
        }
        for entry in &entries {
            // Methods that are answered at once would otherwise keep a thread from all other connections.
            tokio::task::yield_now().await;
            let response = match Entry::parse(entry.get().as_bytes()) {
                Entry::Call(request) => answers.next(request).await,
                Entry::Notification => continue,
                Entry::Invalid(id, _) => error_of(id, ErrorCode::InvalidRequest.into()),
            };
            if !answers.push(&response) {
                self.metrics.count_refused(Limit::BufferedBytes);
                return answers.refuse(ids, Refusal::busy());
            }
        }
        answers.finish()
    }

    /// Carries out a call whose answer may have `room` bytes, where a text may be left in the slot.
    pub(crate) async fn call(
        &self,
        request: Request<'_>,
        caller: &Caller,
        room: usize,
        slot: Option<&Slot>,
    ) -> MethodResponse {
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
                let mut extensions = Extensions::new();
                extensions.insert(session.listener.clone());
                callback(id, params, session.sink.clone(), state, extensions).await
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
