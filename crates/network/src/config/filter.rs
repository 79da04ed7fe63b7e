//! Peers that an operator names, by identity or by address.

use ipnet::IpNet;
use libp2p::PeerId;
use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// Some peers: one by its identity, or all in a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum PeerFilter {
    /// The peer of this identity.
    Peer(PeerId),
    /// The peers whose address lies in this range, such as `10.0.0.0/8`; a single address is a range of one.
    Range(IpNet),
}

impl PeerFilter {
    /// Whether a connection with this identity and address is meant; what is not known yet does not match.
    pub(crate) fn matches(&self, peer: Option<PeerId>, ip: Option<IpAddr>) -> bool {
        match self {
            Self::Peer(named) => peer == Some(*named),
            Self::Range(range) => ip.is_some_and(|ip| range.contains(&ip)),
        }
    }
}

/// The text is neither a peer id nor a range of addresses: the operator's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no peers; accepted: a peer id, an IP address, or a range of them such as 10.0.0.0/8")]
pub struct InvalidPeerFilter(String);

impl FromStr for PeerFilter {
    type Err = InvalidPeerFilter;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let range = || text.parse::<IpNet>().ok().map(|range| range.trunc());
        let single = || text.parse::<IpAddr>().ok().map(IpNet::from);
        let peer = || text.parse().ok().map(Self::Peer);
        range().or_else(single).map(Self::Range).or_else(peer).ok_or_else(|| InvalidPeerFilter(text.into()))
    }
}

impl fmt::Display for PeerFilter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(peer) => write!(formatter, "{peer}"),
            Self::Range(range) => write!(formatter, "{range}"),
        }
    }
}

impl TryFrom<String> for PeerFilter {
    type Error = InvalidPeerFilter;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PeerFilter> for String {
    fn from(filter: PeerFilter) -> Self {
        filter.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive() {
        let peer = PeerId::random().to_string();
        for (text, written) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            (&peer, &peer),
        ] {
            let filter: PeerFilter = text.parse().unwrap();
            assert_eq!(filter.to_string(), written);
            assert_eq!(filter.to_string().parse(), Ok(filter));
        }
        for text in ["", "10.0.0.0/33", "example.org", "12D3KooW"] {
            assert!(text.parse::<PeerFilter>().unwrap_err().to_string().contains(text));
        }
    }

    #[test]
    fn what_is_not_known_does_not_match() {
        let peer = PeerId::random();
        let range: PeerFilter = "10.0.0.0/8".parse().unwrap();
        let inside: IpAddr = [10, 9, 8, 7].into();
        assert!(range.matches(None, Some(inside)) && !range.matches(Some(peer), Some([11, 0, 0, 1].into())));
        assert!(!range.matches(Some(peer), None));
        assert!(PeerFilter::Peer(peer).matches(Some(peer), Some(inside)));
        assert!(!PeerFilter::Peer(peer).matches(None, Some(inside)));
    }
}
