//! One HTTP request: who asks, what, and the answer with its status.

use super::access::{Access, Proxies, refusal};
use super::inbox::{Inbox, NotTaken};
use super::stream::{Served, Serving};
use super::{Shared, websocket};
use crate::answer::Answer;
use crate::dispatch::Caller;
use crate::error::MethodError;
use crate::metrics::Limit;
use crate::modules::Namespaces;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::{INVALID_REQUEST_CODE, reject_too_big_request};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

/// A port's checks, and what it serves.
pub(crate) struct Door {
    pub(crate) access: Access,
    pub(crate) namespaces: Namespaces,
    pub(crate) proxies: Proxies,
}

/// Answers a request.
pub(crate) async fn serve(
    shared: Shared,
    door: Arc<Door>,
    peer: IpAddr,
    serving: Serving,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let served = serving.begin();
    let is_websocket = websocket::is_upgrade_request(&request);
    let address = door.proxies.caller(peer, request.headers());
    let caller = shared.caller(door.namespaces.clone(), Some(address));
    let taken = match door.access.check(request.headers(), is_websocket) {
        Err(refusal) => Err(refusal),
        Ok(()) if is_websocket => match websocket::handshake(&request) {
            Ok(response) => {
                websocket::open(shared, request, caller, served);
                return Ok(response);
            }
            Err(error) => Err(refusal(StatusCode::BAD_REQUEST, &error.to_string())),
        },
        Ok(()) => take(&shared, &caller, &mut request).await,
    };
    Ok(match taken {
        Ok(inbox) => respond(shared.dispatcher.answer(inbox.bytes(), &caller).await, served),
        Err(refusal) if request.body().is_end_stream() => respond(Some(refusal), served),
        Err(refusal) => {
            served.leave_unread();
            let mut response = respond(Some(refusal), served);
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    })
}

/// Takes a call, or says why not.
async fn take(shared: &Shared, caller: &Caller, request: &mut Request<Incoming>) -> Result<Inbox, Answer> {
    if request.method() != Method::POST {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "JSON-RPC is asked with POST"));
    }
    if !is_json(request.headers()) {
        let message = "invalid content type, want `Content-Type: application/json`";
        return Err(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let limits = shared.dispatcher.limits();
    let inbox = Inbox::new(&caller.share, limits.request_bytes as usize);
    match tokio::time::timeout(limits.body_timeout, read(request.body_mut(), inbox)).await {
        Ok(taken) => taken.map_err(|error| unread(shared, error)),
        Err(_) => {
            shared.dispatcher.metrics.count_refused(Limit::BodyTime);
            Err(refusal(StatusCode::REQUEST_TIMEOUT, "the request did not come to its end in time"))
        }
    }
}

/// Why a body was not read.
enum Unread {
    NotTaken(NotTaken),
    Broken(hyper::Error),
}

/// Reads a body, as far as it is taken.
async fn read(body: &mut Incoming, mut inbox: Inbox) -> Result<Inbox, Unread> {
    if body.size_hint().lower() > inbox.most() as u64 {
        return Err(Unread::NotTaken(NotTaken::TooLong));
    }
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(Unread::Broken)?.into_data() {
            inbox.push(&piece).map_err(Unread::NotTaken)?;
        }
    }
    Ok(inbox)
}

fn unread(shared: &Shared, error: Unread) -> Answer {
    let metrics = &shared.dispatcher.metrics;
    match error {
        Unread::NotTaken(NotTaken::TooLong) => {
            metrics.count_refused(Limit::RequestBytes);
            let error = reject_too_big_request(shared.dispatcher.limits().request_bytes);
            Answer::refusal(StatusCode::PAYLOAD_TOO_LARGE, error)
        }
        Unread::NotTaken(NotTaken::NoMemory) => {
            metrics.count_refused(Limit::BufferedBytes);
            Answer::refusal(StatusCode::SERVICE_UNAVAILABLE, MethodError::Busy.into())
        }
        Unread::Broken(error) => {
            let error = ErrorObjectOwned::owned(INVALID_REQUEST_CODE, error.to_string(), None::<()>);
            Answer::refusal(StatusCode::BAD_REQUEST, error)
        }
    }
}

/// `application/json` and `application/json-rpc`, with any parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.eq_ignore_ascii_case("application/json-rpc")
}

/// An answer on its way: its bytes are held, and its request is being served, until it was written.
struct Sending {
    answer: Answer,
    _served: Served,
}

impl AsRef<[u8]> for Sending {
    fn as_ref(&self) -> &[u8] {
        self.answer.as_ref()
    }
}

/// What goes out; to notifications only nothing is said.
fn respond(answer: Option<Answer>, served: Served) -> Response<Full<Bytes>> {
    let Some(answer) = answer else { return Response::new(Full::default()) };
    let (status, retry_after) = (answer.status, answer.retry_after);
    let mut response = Response::new(Full::new(Bytes::from_owner(Sending { answer, _served: served })));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(wait.as_secs() + 1));
    }
    response
}
