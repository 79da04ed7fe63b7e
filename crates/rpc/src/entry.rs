//! What a message, or an entry of a batch, is: a call, a notification, or neither.

use jsonrpsee::types::{ErrorCode, Id, InvalidRequest, Notification, Request};
use serde_json::value::RawValue;

/// What a message or an entry of a batch is.
pub(crate) enum Entry<'a> {
    Call(Request<'a>),
    Notification,
    Invalid(Id<'a>, ErrorCode),
}

impl<'a> Entry<'a> {
    pub(crate) fn parse(json: &'a [u8]) -> Self {
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
        let id = serde_json::from_slice::<InvalidRequest<'_>>(json).map_or(Id::Null, |request| request.id);
        Self::Invalid(id, ErrorCode::InvalidRequest)
    }

    /// What an answer to it names; `None` when it is not answered.
    pub(crate) fn into_id(self) -> Option<Id<'a>> {
        match self {
            Self::Call(request) => Some(request.id),
            Self::Invalid(id, _) => Some(id),
            Self::Notification => None,
        }
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
