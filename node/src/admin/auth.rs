//! Nothing is answered, nor read beyond the headers, without the token.

use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use jsonrpsee::server::{HttpBody, HttpResponse};
use subtle::ConstantTimeEq;

/// What precedes the token in the header.
const SCHEME: &[u8] = b"Bearer ";

/// Whether a request carries the token. Takes as long for one that is right at the beginning as for one that is not:
/// nobody guesses it bit by bit.
pub(super) fn is_authorized(headers: &HeaderMap, token: &str) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(SCHEME));
    given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
}

/// The answer to a request without the token.
pub(super) fn unauthorized() -> HttpResponse {
    let text =
        "the header `Authorization: Bearer <token>` is missing or wrong: admin.json in the data directory has it\n";
    let mut response = HttpResponse::new(HttpBody::from(text));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_opens() {
        let opens = |header: &'static str| {
            is_authorized(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]), "secret")
        };
        assert!(opens("Bearer secret"));
        for header in
            ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Bearer Secret", "secret", "Basic secret"]
        {
            assert!(!opens(header), "{header}");
        }
        assert!(!is_authorized(&HeaderMap::new(), "secret"));
    }
}
