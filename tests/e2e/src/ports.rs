//! Ports that nobody else takes while a node is down.

use std::collections::BTreeSet;
use std::net::{TcpListener, UdpSocket};
use std::sync::{LazyLock, Mutex};

/// Below the ports that the system gives to outgoing connections: one of those could be taken by a client between a
/// node's end and its restart.
const RANGE: std::ops::Range<u16> = 10_240..32_000;

/// A port that is free now, TCP and UDP, and given to no other caller of this process.
///
/// # Panics
/// When every port is busy.
pub fn free_port() -> u16 {
    free_ports(1)
}

/// As [`free_port`], the first of so many in a row.
///
/// # Panics
/// When there are no such.
pub fn free_ports(count: u16) -> u16 {
    static GIVEN: LazyLock<Mutex<BTreeSet<u16>>> = LazyLock::new(Mutex::default);
    let mut given = GIVEN.lock().unwrap();
    // Test binaries that run side by side start at different places.
    let start = u16::try_from(std::process::id() % 20_000).unwrap();
    let mut candidates = RANGE.cycle().skip(usize::from(start)).take(RANGE.len());
    let row = |first: u16| first..first.saturating_add(count);
    let first = candidates.find(|first| row(*first).all(|port| !given.contains(&port) && is_free(port)));
    let first = first.expect("free ports");
    given.extend(row(first));
    first
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("0.0.0.0", port)).is_ok() && UdpSocket::bind(("0.0.0.0", port)).is_ok()
}
