//! Whether the configured peers have addresses, and somebody answers there.

use super::super::Finding;
use super::super::words::count;
use heddle_network::{Multiaddr, NetworkConfig};
use heddle_primitives::Genesis;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// For one connection.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Peers that are tried; more say nothing new.
const TRIED_MAX: usize = 64;

/// What a try found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tried {
    Reached,
    /// The name has no address, or nobody answers.
    Failed(String),
    /// Only QUIC or another transport, which says nothing to strangers.
    Resolved,
}

pub(super) fn check(network: &NetworkConfig, genesis: Option<&Genesis>) -> Vec<Finding> {
    let mut peers = Vec::from_iter(network.persistent_peers.iter().chain(&network.bootnodes).chain(&network.relays));
    peers.sort();
    peers.dedup();
    peers.truncate(TRIED_MAX);
    let is_alone = genesis.and_then(Genesis::heddle).is_some_and(|heddle| heddle.validators.validators().len() == 1);
    if peers.is_empty() {
        return vec![match is_alone || network.mdns {
            true => Finding::ok("peers", "none are configured, and none are needed"),
            false => {
                let fix = "name some with --bootnodes, unless others dial this node, or it has met peers before";
                Finding::warning("peers", "none are configured", fix)
            }
        }];
    }
    let own_resolver = !network.nameservers.is_empty();
    let tried = std::thread::scope(|scope| {
        let threads = Vec::from_iter(peers.iter().map(|peer| scope.spawn(|| dial(peer, own_resolver))));
        let lost = || Tried::Failed("the try died".to_owned());
        Vec::from_iter(threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| lost())))
    });
    judge(&Vec::from_iter(peers.into_iter().map(ToString::to_string).zip(tried)))
}

/// Host, port, and whether that is TCP; `None` for what is not reached by an address and a port.
fn destination(peer: &Multiaddr) -> Option<(String, u16, bool)> {
    let text = peer.to_string();
    let mut parts = text.split('/').skip(1);
    let (kind, host, protocol, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_host = ["ip4", "ip6", "dns", "dns4", "dns6"].contains(&kind);
    let is_port = ["tcp", "udp"].contains(&protocol);
    (is_host && is_port).then_some(())?;
    Some((host.to_owned(), port.parse().ok()?, protocol == "tcp"))
}

fn dial(peer: &Multiaddr, own_resolver: bool) -> Tried {
    let Some((host, port, is_tcp)) = destination(peer) else { return Tried::Resolved };
    let addresses = match (host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => Vec::from_iter(addresses),
        // The node asks other servers than this machine's.
        Err(_) if own_resolver => return Tried::Resolved,
        Err(error) => return Tried::Failed(format!("its name cannot be resolved: {error}")),
    };
    if !is_tcp {
        return Tried::Resolved;
    }
    let mut last = "its name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, TIMEOUT) {
            Ok(_) => return Tried::Reached,
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Tried::Failed(last)
}

/// One peer that is away is nothing; all of them are the end of it.
fn judge(tried: &[(String, Tried)]) -> Vec<Finding> {
    let fix = "see that it is up, that the address is right, and that no firewall stands between";
    let failed = tried.iter().filter_map(|(peer, tried)| match tried {
        Tried::Failed(reason) => Some(format!("{peer} is not reached: {reason}")),
        Tried::Reached | Tried::Resolved => None,
    });
    let failed = Vec::from_iter(failed);
    let all = failed.len() == tried.len();
    let mut findings = Vec::from_iter(failed.into_iter().map(|text| match all {
        true => Finding::problem("peers", text, fix),
        false => Finding::warning("peers", text, fix),
    }));
    let reached = tried.iter().filter(|(_, tried)| *tried == Tried::Reached).count() as u64;
    if reached > 0 {
        findings.push(Finding::ok("peers", format!("{} answered over TCP", count(reached, "peer"))));
    }
    findings
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn an_address_is_taken_apart() {
        let id = heddle_network::PeerId::random();
        let table = [
            (format!("/ip4/192.0.2.7/tcp/30303/p2p/{id}"), Some(("192.0.2.7", 30_303, true))),
            (format!("/dns4/a.example/udp/1/quic-v1/p2p/{id}"), Some(("a.example", 1, false))),
            (format!("/dnsaddr/a.example/p2p/{id}"), None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(host, port, is_tcp)| (host.to_owned(), port, is_tcp));
            assert_eq!(destination(&text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn one_peer_away_is_a_warning_and_all_of_them_a_problem() {
        let failed = |name: &str| (name.to_owned(), Tried::Failed("refused".to_owned()));
        let reached = ("a".to_owned(), Tried::Reached);
        let levels = |tried: &[(String, Tried)]| Vec::from_iter(judge(tried).iter().map(|finding| finding.level));
        assert_eq!(levels(&[reached.clone(), failed("b")]), [Level::Warning, Level::Ok]);
        assert_eq!(levels(&[failed("a"), failed("b")]), [Level::Problem, Level::Problem]);
        assert_eq!(levels(&[("a".to_owned(), Tried::Resolved), failed("b")]), [Level::Warning]);
        assert_eq!(levels(&[reached]), [Level::Ok]);
    }
}
