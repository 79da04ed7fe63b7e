//! Asking a running node.

use crate::operator::printable;
use serde_json::{Value, json};
use std::io;
use std::net::IpAddr;
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
    #[error("{}", printable(.0))]
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
    let mut config = ureq::Agent::config_builder().timeout_global(Some(timeout));
    if is_this_machine(url) {
        config = config.proxy(None);
    }
    call(ureq::Agent::from(config.build()).post(url), method, params)
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

/// Whether a URL names this machine: to a proxy it would name the proxy's own.
fn is_this_machine(url: &str) -> bool {
    let Ok(url) = url.parse::<ureq::http::Uri>() else { return false };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_here = |ip: IpAddr| ip.to_canonical().is_loopback() || ip.is_unspecified();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_here)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_told_from_others() {
        let here = [
            "http://127.0.0.1:8545",
            "http://127.9.9.9",
            "http://LocalHost:1/x",
            "http://[::1]:8545",
            "http://0.0.0.0:1",
        ];
        let others =
            ["http://10.0.0.1:8545", "https://localhost.example.org", "http://[2001:db8::1]:1", "no URL at all"];
        assert!(here.into_iter().all(is_this_machine));
        assert!(!others.into_iter().any(is_this_machine));
    }
}
