//! Whether the ports are free for a node that is to be started, and served by one that runs.

use super::super::Finding;
use crate::command::Prospect;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// For a connection within this machine.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn check(prospect: &Prospect, is_running: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let tcp = [
        ("peers", "--port", Some(prospect.p2p)),
        ("JSON-RPC", "--http.port", prospect.http),
        ("JSON-RPC for operators", "--authrpc.port", prospect.authrpc),
        ("metrics", "--metrics", prospect.metrics),
        ("admin", "--admin.port", prospect.admin),
    ];
    for (what, flag, address) in tcp.into_iter().filter_map(|(what, flag, address)| Some((what, flag, address?))) {
        if address.port() == 0 {
            findings.push(Finding::ok("ports", format!("{what}: the system chooses one")));
        } else if is_running {
            findings.push(listening(what, address, TcpStream::connect_timeout(&local(address), TIMEOUT).map(drop)));
        } else {
            findings.push(free(what, flag, address, "TCP", TcpListener::bind(address).map(drop)));
        }
    }
    if !is_running && prospect.p2p.port() != 0 {
        let bound = UdpSocket::bind(prospect.p2p).map(drop);
        findings.push(free("peers", "--port", prospect.p2p, "UDP", bound));
    }
    findings
}

/// Where this machine reaches what listens there.
fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn listening(what: &str, address: SocketAddr, connected: io::Result<()>) -> Finding {
    match connected {
        Ok(()) => Finding::ok("ports", format!("{what}: the node listens on {address}")),
        Err(error) => {
            let text = format!("{what}: a node runs on the data directory, and nobody listens on {address}: {error}");
            let fix = "it was started with other options, or is still starting: compare them, and see its log";
            Finding::problem("ports", text, fix)
        }
    }
}

fn free(what: &str, flag: &str, address: SocketAddr, protocol: &str, bound: io::Result<()>) -> Finding {
    let place = format!("{what}: {protocol} {address}");
    match bound {
        Ok(()) => Finding::ok("ports", format!("{place} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let fix = format!("choose another with {flag}, or stop who has it: `ss -ltnup` names the process");
            Finding::problem("ports", format!("{place} is taken by another process"), fix)
        }
        Err(error) => {
            let fix = format!("choose an address of this machine, and a port from 1024 on, with {flag}");
            Finding::problem("ports", format!("{place} cannot be had: {error}"), fix)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn a_taken_port_is_told_from_one_that_cannot_be_had() {
        let address = SocketAddr::from(([127, 0, 0, 1], 8545));
        let judged = |kind: io::ErrorKind| free("JSON-RPC", "--http.port", address, "TCP", Err(kind.into()));
        let taken = judged(io::ErrorKind::AddrInUse);
        assert!(
            taken.text.contains("127.0.0.1:8545 is taken") && taken.fix.unwrap_or_default().contains("--http.port")
        );
        assert!(judged(io::ErrorKind::PermissionDenied).text.contains("cannot be had"));
        assert_eq!(free("JSON-RPC", "--http.port", address, "TCP", Ok(())).level, Level::Ok);
        assert_eq!(listening("metrics", address, Err(io::ErrorKind::ConnectionRefused.into())).level, Level::Problem);
    }

    #[test]
    fn what_listens_everywhere_is_reached_here() {
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 1));
        assert_eq!(local(everywhere), SocketAddr::from(([127, 0, 0, 1], 1)));
    }
}
