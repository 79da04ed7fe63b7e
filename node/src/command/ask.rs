//! Asking a running node.

use serde_json::{Value, json};
use std::io;
use std::time::Duration;

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody answers, or not in JSON-RPC.
    #[error(transparent)]
    Http(#[from] ureq::Error),
    /// The node's own words.
    #[error("{0}")]
    Refused(String),
}

impl AskError {
    /// Whether nobody listens there.
    pub fn is_nobody(&self) -> bool {
        matches!(self, Self::Http(ureq::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Whether the token is not the server's.
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, Self::Http(ureq::Error::StatusCode(401)))
    }
}

/// Calls a method of the JSON-RPC server at `url`.
///
/// # Errors
/// See [`AskError`].
pub fn ask(url: &str, method: &str, params: Value) -> Result<Value, AskError> {
    ask_within(TIMEOUT, url, method, params)
}

/// As [`ask`], with another patience.
///
/// # Errors
/// See [`AskError`].
pub fn ask_within(timeout: Duration, url: &str, method: &str, params: Value) -> Result<Value, AskError> {
    let agent = ureq::Agent::from(ureq::Agent::config_builder().timeout_global(Some(timeout)).build());
    call(agent.post(url), method, params)
}

/// Calls a method of a server of this machine that asks for a token: past every proxy, which would learn it.
///
/// # Errors
/// See [`AskError`].
pub fn ask_with_token(url: &str, token: &str, method: &str, params: Value) -> Result<Value, AskError> {
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).proxy(None).max_redirects(0).build();
    let request = ureq::Agent::from(config).post(url).header("Authorization", format!("Bearer {token}"));
    call(request, method, params)
}

fn call(
    request: ureq::RequestBuilder<ureq::typestate::WithBody>,
    method: &str,
    params: Value,
) -> Result<Value, AskError> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let mut response: Value = request.send_json(&body)?.body_mut().read_json()?;
    match response.get("error") {
        None => Ok(response["result"].take()),
        Some(error) => {
            Err(AskError::Refused(error["message"].as_str().unwrap_or("an error without a message").to_owned()))
        }
    }
}
