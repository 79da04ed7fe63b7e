//! How a node behind an address translation is reached.

use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// How peers reach a node whose sockets have no public address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Nat {
    /// Nothing is arranged; AutoNAT alone finds out whether the node is reached.
    #[default]
    None,
    /// The ports listened on are reached at this address, and that is announced.
    ExternalIp(IpAddr),
    /// The router is asked by UPnP to map the ports listened on.
    Upnp,
}

/// The text is no kind of address translation: the operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no address translation; accepted: none, upnp, extip:ADDRESS")]
pub struct InvalidNat(String);

impl FromStr for Nat {
    type Err = InvalidNat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let external = || text.strip_prefix("extip:")?.parse().ok().map(Self::ExternalIp);
        match text {
            "none" => Ok(Self::None),
            "upnp" => Ok(Self::Upnp),
            _ => external().ok_or_else(|| InvalidNat(text.into())),
        }
    }
}

impl fmt::Display for Nat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => formatter.write_str("none"),
            Self::ExternalIp(ip) => write!(formatter, "extip:{ip}"),
            Self::Upnp => formatter.write_str("upnp"),
        }
    }
}

impl TryFrom<String> for Nat {
    type Error = InvalidNat;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Nat> for String {
    fn from(nat: Nat) -> Self {
        nat.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive() {
        for text in ["none", "upnp", "extip:192.0.2.7", "extip:2001:db8::1"] {
            assert_eq!(text.parse::<Nat>().unwrap().to_string(), text);
        }
        for text in ["", "extip", "extip:", "extip:example.org", "UPNP", "192.0.2.7"] {
            assert!(text.parse::<Nat>().unwrap_err().to_string().contains("extip:ADDRESS"), "{text}");
        }
    }
}
