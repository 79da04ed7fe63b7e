//! Who may call: which hosts a request may name, which pages may ask, who has the secret.

use crate::answer::Answer;
use crate::{RpcConfig, RpcError};
use alloy_rpc_types_engine::JwtSecret;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use hyper::{Method, StatusCode};
use ipnet::IpNet;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::types::error::INVALID_REQUEST_CODE;
use std::net::IpAddr;
use tower_http::cors::{AllowOrigin, CorsLayer};

/// Stands for any.
const ANY: &str = "*";
/// Origins of this machine's own pages may open WebSockets, as go-ethereum lets them.
const LOCAL: &str = "localhost";

/// The checks in front of a port.
#[derive(Clone)]
pub(crate) struct Access {
    hosts: Vec<String>,
    origins: Vec<String>,
    secret: Option<JwtSecret>,
}

impl Access {
    /// Of the open port.
    ///
    /// # Errors
    /// A host or an origin is malformed.
    pub(crate) fn open(config: &RpcConfig) -> Result<Self, RpcError> {
        Self::new(&config.hosts, &config.cors_origins, None)
    }

    /// Of the port that wants a token: no page has one.
    ///
    /// # Errors
    /// A host is malformed.
    pub(crate) fn authenticated(hosts: &[String], secret: JwtSecret) -> Result<Self, RpcError> {
        Self::new(hosts, &[], Some(secret))
    }

    fn new(hosts: &[String], origins: &[String], secret: Option<JwtSecret>) -> Result<Self, RpcError> {
        let is_name = |host: &str| {
            !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        };
        if let Some(host) = hosts.iter().find(|host| *host != ANY && !is_name(host)) {
            return Err(RpcError::Host(host.clone()));
        }
        let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Ok(Self { hosts, origins: origins.to_vec(), secret })
    }

    /// Answers to browsers which pages may read.
    ///
    /// # Errors
    /// An origin is malformed.
    pub(crate) fn cors(&self) -> Result<Option<CorsLayer>, RpcError> {
        if self.origins.is_empty() {
            return Ok(None);
        }
        let value = |origin: &String| HeaderValue::from_str(origin).map_err(|_| RpcError::CorsOrigin(origin.clone()));
        let listed = self.origins.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        let allowed = if self.allows_any_origin() { AllowOrigin::any() } else { AllowOrigin::list(listed) };
        Ok(Some(CorsLayer::new().allow_origin(allowed).allow_methods([Method::POST]).allow_headers([CONTENT_TYPE])))
    }

    fn allows_any_origin(&self) -> bool {
        self.origins.iter().any(|origin| origin == ANY)
    }

    /// Whether a request with this head is served.
    pub(crate) fn check(&self, headers: &HeaderMap, is_websocket: bool) -> Result<(), Answer> {
        if !self.allows_host(headers.get(HOST)) {
            return Err(refusal(StatusCode::FORBIDDEN, "invalid host specified"));
        }
        // Browsers let any page open a WebSocket, and leave it to the server to ask from where.
        if is_websocket && !headers.get(ORIGIN).is_none_or(|origin| self.allows_websocket(origin)) {
            return Err(refusal(StatusCode::FORBIDDEN, "origin not allowed"));
        }
        match &self.secret {
            Some(secret) => check_token(secret, headers.get(AUTHORIZATION)),
            None => Ok(()),
        }
    }

    /// A page of another machine that has its own name resolved to this one (DNS rebinding) sends that name. Addresses
    /// cannot be rebound.
    fn allows_host(&self, host: Option<&HeaderValue>) -> bool {
        let Some(host) = host else { return true };
        let Ok(host) = host.to_str() else { return false };
        let name = name_of(host);
        name.parse::<IpAddr>().is_ok()
            || self.hosts.iter().any(|allowed| allowed == ANY || name.eq_ignore_ascii_case(allowed))
    }

    fn allows_websocket(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        let (_, host) = origin.split_once("://").unwrap_or(("", origin));
        self.allows_any_origin() || name_of(host) == LOCAL || self.origins.iter().any(|allowed| allowed == origin)
    }
}

/// A host without its port and brackets.
fn name_of(host: &str) -> &str {
    if let Some((address, _)) = host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        return address;
    }
    match host.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn check_token(secret: &JwtSecret, header: Option<&HeaderValue>) -> Result<(), Answer> {
    let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let Some(token) = token else { return Err(refusal(StatusCode::UNAUTHORIZED, "missing token")) };
    secret.validate(token.trim()).map_err(|error| refusal(StatusCode::UNAUTHORIZED, &error.to_string()))
}

/// What a request that no method sees is answered.
pub(super) fn refusal(status: StatusCode, message: &str) -> Answer {
    Answer::refusal(status, ErrorObjectOwned::owned(INVALID_REQUEST_CODE, message, None::<()>))
}

/// Proxies that are believed when they say for whom they ask.
#[derive(Clone, Debug)]
pub(crate) struct Proxies(pub(crate) Vec<IpNet>);

impl Proxies {
    /// The caller: the last address that no trusted proxy has.
    pub(crate) fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let is_trusted = |address: &IpAddr| self.0.iter().any(|net| net.contains(&address.to_canonical()));
        let mut caller = peer;
        let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        for address in forwarded.flat_map(|value| value.split(',')).collect::<Vec<_>>().into_iter().rev() {
            if !is_trusted(&caller) {
                break;
            }
            let Ok(address) = address.trim().parse() else { break };
            caller = address;
        }
        caller
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(hosts: &[&str], origins: &[&str]) -> Access {
        let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        Access::new(&owned(hosts), &owned(origins), None).unwrap()
    }

    #[test]
    fn hosts_are_addresses_or_listed() {
        let headers = |host: &'static str| HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
        let listed = access(&["localhost", "Node.example"], &[]);
        for host in ["localhost", "LOCALHOST:8545", "node.example:1", "127.0.0.1", "10.1.2.3:80", "[::1]:8545", "::1"] {
            assert!(listed.check(&headers(host), false).is_ok(), "{host}");
            assert!(access(&["*"], &[]).check(&headers(host), false).is_ok(), "{host}");
        }
        for host in
            ["attacker.example", "localhost.attacker.example:8545", "localhost:8545:1", "", "127.0.0.1.nip.example"]
        {
            assert_eq!(listed.check(&headers(host), false).unwrap_err().status, StatusCode::FORBIDDEN, "{host}");
        }
        assert!(listed.check(&HeaderMap::new(), false).is_ok());
        for malformed in ["local host", "", "name:80", "http://name"] {
            assert!(matches!(Access::new(&[malformed.to_owned()], &[], None), Err(RpcError::Host(_))), "{malformed}");
        }
    }

    #[test]
    fn pages_open_websockets_only_if_allowed() {
        let headers = |origin: &'static str| HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
        let listed = access(&[], &["https://one.example"]);
        for origin in ["https://one.example", "http://localhost", "http://localhost:3000"] {
            assert!(listed.check(&headers(origin), true).is_ok(), "{origin}");
        }
        for origin in
            ["https://two.example", "http://one.example", "https://one.example.evil", "null", "http://localhost.evil"]
        {
            assert!(listed.check(&headers(origin), true).is_err(), "{origin}");
            assert!(access(&[], &["*"]).check(&headers(origin), true).is_ok(), "{origin}");
        }
    }

    #[test]
    fn only_trusted_proxies_say_for_whom_they_ask() {
        let proxies = Proxies(vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()]);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let headers =
            |text| HeaderMap::from_iter([("x-forwarded-for".parse().unwrap(), HeaderValue::from_static(text))]);
        for (peer, forwarded, caller) in [
            ("127.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("127.0.0.1", "6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4"),
            ("::ffff:127.0.0.1", "1.2.3.4", "1.2.3.4"),
            ("5.5.5.5", "1.2.3.4", "5.5.5.5"),
            ("127.0.0.1", "garbage", "127.0.0.1"),
        ] {
            assert_eq!(proxies.caller(address(peer), &headers(forwarded)), address(caller), "{peer} {forwarded}");
        }
        assert_eq!(proxies.caller(address("127.0.0.1"), &HeaderMap::new()), address("127.0.0.1"));
    }
}
