//! What goes back to a caller: the text, and what HTTP says about it.

use crate::budget::Reservation;
use crate::error::{self, MethodError};
use hyper::StatusCode;
use jsonrpsee::server::MethodResponse;
use jsonrpsee::types::{ErrorObjectOwned, Id};
use std::time::Duration;

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
    /// An answer to what was carried out.
    pub(crate) fn ok(text: Vec<u8>, held: Reservation) -> Self {
        Self { text, status: StatusCode::OK, retry_after: None, _held: Some(held) }
    }

    /// An answer to what is no call, or is not served.
    pub(crate) fn refusal(status: StatusCode, error: ErrorObjectOwned) -> Self {
        Refusal::new(status, error).answer(Id::Null)
    }
}

/// Why a message is not carried out.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    error: ErrorObjectOwned,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, error: ErrorObjectOwned) -> Self {
        Self { status, error, retry_after: None }
    }

    /// There is no memory for its answer.
    pub(crate) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, MethodError::Busy.into())
    }

    /// Its caller has called too often, and may again after `wait`.
    pub(crate) fn too_many(wait: Duration) -> Self {
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, error::rate_limited(wait));
        Self { retry_after: Some(wait), ..refusal }
    }

    /// What the call with this id is told.
    pub(crate) fn response(&self, id: Id<'_>) -> MethodResponse {
        MethodResponse::error(id, self.error.clone())
    }

    /// The answer to a call that is no part of a batch. It is not counted: it is little longer than the id, and so than the
    /// message, which is.
    pub(crate) fn answer(self, id: Id<'_>) -> Answer {
        let text = Vec::from(self.response(id).as_ref());
        self.sent(text, None)
    }

    /// The answer with this text.
    pub(crate) fn sent(self, text: Vec<u8>, held: Option<Reservation>) -> Answer {
        Answer { text, status: self.status, retry_after: self.retry_after, _held: held }
    }
}
