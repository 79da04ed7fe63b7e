//! The answer to a batch as it grows.

use crate::answer::{Answer, Refusal};
use crate::budget::Reservation;
use crate::dispatch::{Caller, Dispatcher};
use jsonrpsee::server::MethodResponse;
use jsonrpsee::types::error::{INVALID_REQUEST_CODE, OVERSIZED_RESPONSE_CODE};
use jsonrpsee::types::{ErrorObjectOwned, Id, Request};
use tokio::time::Instant;

/// go-ethereum's codes for the rest of a batch.
const TIMED_OUT_CODE: i32 = -32002;
const TOO_LARGE_CODE: i32 = -32003;

/// Answers call by call. Once it is full, or took too long, the rest is told so without being carried out.
pub(crate) struct BatchAnswer<'a> {
    dispatcher: &'a Dispatcher,
    caller: &'a Caller,
    text: Vec<u8>,
    held: Reservation,
    deadline: Instant,
    is_full: bool,
}

impl<'a> BatchAnswer<'a> {
    pub(crate) fn new(dispatcher: &'a Dispatcher, caller: &'a Caller) -> Self {
        let (held, deadline) = (caller.share.reservation(), Instant::now() + dispatcher.limits().batch_time);
        Self { dispatcher, caller, text: Vec::new(), held, deadline, is_full: false }
    }

    /// Carries out the next call, unless the answer is full or late.
    pub(crate) async fn next(&mut self, request: Request<'_>) -> MethodResponse {
        let id = request.id.clone().into_owned();
        let room = (self.dispatcher.limits().response_bytes as usize).saturating_sub(self.text.len());
        if self.is_full || room == 0 {
            let error = ErrorObjectOwned::borrowed(TOO_LARGE_CODE, "response too large", None);
            return MethodResponse::error(id, error);
        }
        if request.method == "eth_subscribe" {
            // It is answered by itself, before its first notification.
            let error = ErrorObjectOwned::borrowed(INVALID_REQUEST_CODE, "eth_subscribe is no part of a batch", None);
            return MethodResponse::error(id, error);
        }
        let late = ErrorObjectOwned::borrowed(TIMED_OUT_CODE, "request timed out", None);
        if Instant::now() >= self.deadline {
            return MethodResponse::error(id, late);
        }
        let response =
            tokio::time::timeout_at(self.deadline, self.dispatcher.call(request, self.caller, room, None)).await;
        let Ok(response) = response else { return MethodResponse::error(id, late) };
        self.is_full = response.as_error_code() == Some(OVERSIZED_RESPONSE_CODE);
        response
    }

    /// Whether there is memory for it; otherwise it is not added.
    pub(crate) fn push(&mut self, response: &MethodResponse) -> bool {
        let response = response.as_ref().as_bytes();
        // A comma or bracket before it, and the bracket at the end.
        let is_held = self.held.covers(self.text.len() + response.len() + 2);
        if is_held {
            self.add(response);
        }
        is_held
    }

    fn add(&mut self, response: &[u8]) {
        self.text.push(if self.text.is_empty() { b'[' } else { b',' });
        self.text.extend_from_slice(response);
    }

    /// `None` when nothing was to be answered.
    pub(crate) fn finish(self) -> Option<Answer> {
        let (text, held) = self.end()?;
        Some(Answer::ok(text, held))
    }

    /// Tells every call the same in place of all answers, so that none waits for ever: as many as there is memory for, and the
    /// first in any case.
    pub(crate) fn refuse<'b>(mut self, mut ids: impl Iterator<Item = Id<'b>>, refusal: Refusal) -> Option<Answer> {
        self.text.clear();
        self.add(refusal.response(ids.next()?).as_ref().as_bytes());
        while let Some(id) = ids.next()
            && self.push(&refusal.response(id))
        {}
        let (text, held) = self.end()?;
        Some(refusal.sent(text, Some(held)))
    }

    fn end(mut self) -> Option<(Vec<u8>, Reservation)> {
        if self.text.is_empty() {
            return None;
        }
        self.text.push(b']');
        Some((self.text, self.held))
    }
}
