//! Nothing is answered, nor read beyond the headers, without the token.

use futures::future::{Either, Ready, ready};
use hyper::StatusCode;
use hyper::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use jsonrpsee::server::{HttpBody, HttpRequest, HttpResponse};
use std::sync::Arc;
use std::task::{Context, Poll};
use subtle::ConstantTimeEq;
use tower::{Layer, Service};

/// What precedes the token in the header.
const SCHEME: &[u8] = b"Bearer ";

/// Refuses requests without the token, by 401.
#[derive(Clone)]
pub struct RequireToken<S> {
    inner: S,
    token: Arc<str>,
}

/// Puts [`RequireToken`] before a service.
#[derive(Clone)]
pub struct RequireTokenLayer(Arc<str>);

impl RequireToken<()> {
    /// Asks for this token.
    pub fn layer(token: &str) -> RequireTokenLayer {
        RequireTokenLayer(token.into())
    }
}

impl<S> Layer<S> for RequireTokenLayer {
    type Service = RequireToken<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireToken { inner, token: self.0.clone() }
    }
}

impl<S, B> Service<HttpRequest<B>> for RequireToken<S>
where
    S: Service<HttpRequest<B>, Response = HttpResponse>,
{
    type Response = HttpResponse;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<HttpResponse, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        match is_bearer(request.headers().get(AUTHORIZATION), &self.token) {
            true => Either::Left(self.inner.call(request)),
            false => Either::Right(ready(Ok(unauthorized()))),
        }
    }
}

/// Takes as long for a token that is right at the beginning as for one that is not: nobody guesses it bit by bit.
fn is_bearer(header: Option<&HeaderValue>, token: &str) -> bool {
    let given = header.and_then(|value| value.as_bytes().strip_prefix(SCHEME));
    given.is_some_and(|given| given.ct_eq(token.as_bytes()).into())
}

fn unauthorized() -> HttpResponse {
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
        let opens = |header: &'static str| is_bearer(Some(&HeaderValue::from_static(header)), "secret");
        assert!(opens("Bearer secret"));
        for header in
            ["", "Bearer", "Bearer ", "Bearer secre", "Bearer secret2", "Bearer Secret", "secret", "Basic secret"]
        {
            assert!(!opens(header), "{header}");
        }
        assert!(!is_bearer(None, "secret"));
    }
}
