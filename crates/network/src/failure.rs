//! Why dials come to nothing.

use libp2p::{TransportError, dns::ResolveError, swarm::DialError};
use std::{error::Error, io, iter};

/// The cause of a failed dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DialFailure {
    /// Our own limits or lists refuse the peer.
    Denied,
    /// No address that can be dialled.
    NoAddress,
    /// A name has no address, or no name server answers.
    Name,
    /// Nothing listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// No way there.
    Unreachable,
    /// Another peer answered.
    WrongPeer,
    /// The connection broke, or what answered does not speak our protocols.
    Handshake,
}

impl DialFailure {
    /// Every cause.
    pub(crate) const ALL: [Self; 8] = [
        Self::Denied,
        Self::NoAddress,
        Self::Name,
        Self::Refused,
        Self::Timeout,
        Self::Unreachable,
        Self::WrongPeer,
        Self::Handshake,
    ];
}

/// Sorts an error into a cause; `None` when nothing was dialled because the peer is connected or being dialled already.
pub(crate) fn dial_failure(error: &DialError) -> Option<DialFailure> {
    match error {
        DialError::DialPeerConditionFalse(_) => None,
        DialError::NoAddresses => Some(DialFailure::NoAddress),
        DialError::Denied { .. } | DialError::Aborted => Some(DialFailure::Denied),
        DialError::LocalPeerId { .. } | DialError::WrongPeerId { .. } => Some(DialFailure::WrongPeer),
        DialError::Transport(errors) => {
            let causes = errors.iter().map(|(_, error)| transport_failure(error));
            // Several addresses were tried: what came closest to a connection says most.
            Some(causes.max_by_key(|cause| closeness(*cause)).unwrap_or(DialFailure::NoAddress))
        }
    }
}

fn closeness(cause: DialFailure) -> u8 {
    match cause {
        DialFailure::NoAddress => 0,
        DialFailure::Name => 1,
        DialFailure::Unreachable => 2,
        DialFailure::Timeout => 3,
        DialFailure::Refused => 4,
        _ => 5,
    }
}

fn transport_failure(error: &TransportError<io::Error>) -> DialFailure {
    match error {
        TransportError::MultiaddrNotSupported(_) => DialFailure::NoAddress,
        TransportError::Other(error) if is_of_name(error) => DialFailure::Name,
        TransportError::Other(error) => text_failure(&error.to_string()),
    }
}

/// Whether the resolver failed: then nothing was dialled, whatever the resolver's own sockets said.
fn is_of_name(error: &io::Error) -> bool {
    let first = error.get_ref().map(|inner| inner as &(dyn Error + 'static));
    iter::successors(first, |layer| (*layer).source()).any(|layer| layer.is::<ResolveError>())
}

/// Several layers of transports hide the error of the operating system itself, but all of them print it.
fn text_failure(text: &str) -> DialFailure {
    match os_error(text) {
        Some(io::ErrorKind::ConnectionRefused) => DialFailure::Refused,
        Some(io::ErrorKind::TimedOut) => DialFailure::Timeout,
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown) => {
            DialFailure::Unreachable
        }
        None if ["timed out", "Timeout"].iter().any(|words| text.contains(words)) => DialFailure::Timeout,
        _ => DialFailure::Handshake,
    }
}

/// The kind of the error that is printed as `(os error 111)`.
fn os_error(text: &str) -> Option<io::ErrorKind> {
    let (_, rest) = text.split_once("(os error ")?;
    let (number, _) = rest.split_once(')')?;
    number.parse().ok().map(|number| io::Error::from_raw_os_error(number).kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::Multiaddr;

    fn cause(errors: Vec<io::Error>) -> DialFailure {
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        let errors = errors.into_iter().map(|error| (address.clone(), TransportError::Other(error))).collect();
        dial_failure(&DialError::Transport(errors)).unwrap()
    }

    fn hidden(error: &io::Error) -> io::Error {
        io::Error::other(format!("Multiple dial errors occurred:\n - {error}"))
    }

    #[test]
    fn causes_are_read_through_the_layers() {
        assert_eq!(cause(vec![hidden(&io::Error::from_raw_os_error(111))]), DialFailure::Refused);
        assert_eq!(cause(vec![hidden(&io::Error::from_raw_os_error(110))]), DialFailure::Timeout);
        assert_eq!(cause(vec![hidden(&io::Error::from_raw_os_error(113))]), DialFailure::Unreachable);
        assert_eq!(cause(vec![io::Error::other("Timeout has been reached")]), DialFailure::Timeout);
        assert_eq!(cause(vec![io::Error::other("Handshake failed")]), DialFailure::Handshake);
        let unresolved = ResolveError::from("No Matching Records Found");
        assert_eq!(cause(vec![io::Error::other(unresolved)]), DialFailure::Name);
        assert_eq!(cause(vec![]), DialFailure::NoAddress);
    }

    #[test]
    fn what_came_closest_to_a_connection_says_most() {
        let [refused, unreachable] = [111, 113].map(io::Error::from_raw_os_error);
        assert_eq!(cause(vec![unreachable, refused]), DialFailure::Refused);
        assert_eq!(dial_failure(&DialError::NoAddresses), Some(DialFailure::NoAddress));
    }
}
