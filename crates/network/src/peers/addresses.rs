//! Where one peer may be dialled.

use libp2p::{Multiaddr, multiaddr::Protocol};

/// Most addresses remembered of one peer, besides those that an operator configured.
const ADDRESSES_MAX: usize = 8;
/// Longest address taken, in bytes: several times a name behind a relay.
const ADDRESS_BYTES_MAX: usize = 256;

/// How an address is known; later ones are surer, and less sure ones never push them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Others say so.
    Hearsay,
    /// The peer says so.
    Claimed,
    /// A dial reached the peer there.
    Reached,
    /// The operator says so.
    Configured,
}

/// One peer's addresses, surest and then newest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses(Vec<(Source, Multiaddr)>);

impl Addresses {
    /// Adds an address, without the peer id at its end; the least sure and oldest one makes room. Of those where the peer
    /// was reached the last remains.
    pub(crate) fn learn(&mut self, source: Source, mut address: Multiaddr) {
        if let Some(Protocol::P2p(_)) = address.iter().last() {
            address.pop();
        }
        if address.is_empty() || !is_plain(&address) {
            return;
        }
        if source == Source::Reached {
            self.0.retain(|(source, known)| *source != Source::Reached || *known == address);
        }
        let known = self.0.iter().position(|(_, known)| *known == address).map(|index| self.0.remove(index).0);
        let source = known.map_or(source, |known| known.max(source));
        let place = self.0.iter().take_while(|(other, _)| *other > source).count();
        self.0.insert(place, (source, address));
        let configured = self.0.iter().take_while(|(source, _)| *source == Source::Configured).count();
        self.0.truncate(configured + ADDRESSES_MAX);
    }

    /// Replaces what the peer said before: it may have moved.
    pub(crate) fn claim(&mut self, addresses: impl IntoIterator<Item = Multiaddr>) {
        self.0.retain(|(source, _)| *source != Source::Claimed);
        for address in addresses {
            self.learn(Source::Claimed, address);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, surest and newest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Multiaddr> {
        self.0.iter().map(|(_, address)| address)
    }
}

/// Whether an address is short and survives being written as text: what a peer made up otherwise could be neither kept
/// in a file nor shown.
fn is_plain(address: &Multiaddr) -> bool {
    if address.len() > ADDRESS_BYTES_MAX {
        return false;
    }
    let text = address.to_string();
    !text.chars().any(char::is_control) && text.parse().is_ok_and(|read: Multiaddr| read == *address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn hearsay_pushes_out_nothing_surer() {
        let mut addresses = Addresses::default();
        addresses.learn(Source::Configured, address(1));
        addresses.learn(Source::Reached, address(2));
        addresses.claim([address(3)]);
        for port in 100..200 {
            addresses.learn(Source::Hearsay, address(port));
        }
        addresses.learn(Source::Hearsay, address(1));
        let known: Vec<_> = addresses.iter().cloned().collect();
        assert_eq!(known.len(), 1 + ADDRESSES_MAX);
        assert_eq!(known[..4], [1, 2, 3, 199].map(address));
    }

    #[test]
    fn an_address_is_the_same_with_and_without_the_peer_id() {
        let (mut addresses, peer) = (Addresses::default(), libp2p::PeerId::random());
        addresses.learn(Source::Configured, address(1));
        addresses.learn(Source::Reached, address(1).with(Protocol::P2p(peer)));
        addresses.learn(Source::Hearsay, Multiaddr::from(Protocol::P2p(peer)));
        assert_eq!(addresses.iter().collect::<Vec<_>>(), [&address(1)]);
    }

    #[test]
    fn addresses_that_no_text_tells_are_not_taken() {
        let dns = |name: &str| Multiaddr::from(Protocol::Dns(name.to_owned().into()));
        let mut addresses = Addresses::default();
        for name in ["a/b", "a\nb", "a\u{1b}[2J", &"a".repeat(ADDRESS_BYTES_MAX)] {
            addresses.learn(Source::Claimed, dns(name));
        }
        assert!(addresses.is_empty(), "{addresses:?}");
        addresses.learn(Source::Claimed, dns("node.example"));
        assert!(!addresses.is_empty());
    }

    #[test]
    fn a_peer_that_moved_is_no_longer_where_it_said() {
        let mut addresses = Addresses::default();
        addresses.claim([address(1), address(2)]);
        addresses.learn(Source::Reached, address(9));
        addresses.learn(Source::Reached, address(2));
        addresses.claim([address(3)]);
        assert_eq!(addresses.iter().cloned().collect::<Vec<_>>(), [2, 3].map(address));
    }
}
