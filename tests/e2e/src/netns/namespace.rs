//! One network namespace.

use super::Forward;
use crate::tools::has_package;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Namespaces of tests are called `heddle-<process>-<number>`.
const PREFIX: &str = "heddle-";

/// A named network namespace with only a loopback interface at first. Dropping it removes it, once no process is left
/// in it, with its interfaces and rules.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Whether namespaces can be made here, after an attempt to install what that needs; otherwise prints why the test is
    /// skipped. Removes what tests that were killed left behind.
    pub async fn are_possible() -> bool {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root makes network namespaces");
            return false;
        }
        if !Path::new("/dev/net/tun").exists() {
            println!("skipped: this machine has no /dev/net/tun");
            return false;
        }
        if !(has_package("ip", "iproute2").await && has_package("nft", "nftables").await) {
            return false;
        }
        Self::remove_leftovers();
        let trial = Self::unused_name();
        let made = command("ip", &["netns", "add", &trial]).output().unwrap();
        if !made.status.success() {
            println!("skipped: no network namespace can be made: {}", String::from_utf8_lossy(&made.stderr).trim());
            return false;
        }
        let trial = Self { name: trial };
        // A kernel can have namespaces without packet filters in them.
        let filters = trial.output("nft", &["add", "table", "ip", "trial"]);
        filters.inspect_err(|reason| println!("skipped: no packet filter in a namespace: {reason}")).is_ok()
    }

    /// Makes a namespace whose loopback interface is up.
    ///
    /// # Panics
    /// When it cannot be made: see [`Self::are_possible`].
    pub fn create() -> Self {
        let name = Self::unused_name();
        run(&mut command("ip", &["netns", "add", &name])).unwrap_or_else(|error| panic!("{error}"));
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"]);
        namespace
    }

    fn unused_name() -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn remove_leftovers() {
        for name in run(&mut command("ip", &["netns", "list"])).unwrap_or_default().lines() {
            let name = name.split_whitespace().next().unwrap_or_default();
            let maker = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            if maker.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
                // Another test may be removing it at the same time.
                let _ = run(&mut command("ip", &["netns", "del", name]));
            }
        }
    }

    /// What to put before a command so that it runs here, and becomes that command by `exec`: see
    /// [`crate::Network::launch_under`] and [`crate::Process::spawn_under`].
    pub fn wrapper(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Runs a program here to its end; returns its stdout.
    ///
    /// # Errors
    /// What the program wrote to stderr when it failed.
    pub fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        run(&mut command("ip", &[&self.wrapper()[1..], &[program], arguments].concat()))
    }

    /// Runs `ip` with these arguments on the interfaces, addresses and routes of this namespace.
    ///
    /// # Panics
    /// When it fails.
    pub fn ip(&self, arguments: &[&str]) -> String {
        let arguments = [&["-n", &self.name], arguments].concat();
        run(&mut command("ip", &arguments)).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Applies a file of packet filter rules here, all of it or nothing.
    ///
    /// # Panics
    /// When it is refused.
    pub fn nft(&self, rules: &str) {
        let mut command = command("ip", &[&self.wrapper()[1..], &["nft", "-f", "-"]].concat());
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}\n{rules}", String::from_utf8_lossy(&ended.stderr));
    }

    /// Sets a value of the kernel's network here, such as `net/ipv4/ip_forward`.
    ///
    /// # Panics
    /// When there is no such value.
    pub fn set(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys").join(key);
        self.enter(|| std::fs::write(&path, value)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Makes this namespace forward packets between its interfaces.
    pub fn become_router(&self) {
        self.set("net/ipv4/ip_forward", "1");
        // Packets come from where their answers do not go: out of the tun interface of a delay.
        self.set("net/ipv4/conf/all/rp_filter", "0");
        self.set("net/ipv4/conf/default/rp_filter", "0");
    }

    /// Joins two namespaces by a cable. Each end is the name of an interface to be made (at most 15 characters) and its
    /// address with the length of its network, such as `("eth0", "10.0.0.2/24")`.
    ///
    /// # Panics
    /// When an interface of that name exists there already, or a text is none of these.
    pub fn link(&self, end: (&str, &str), other: &Self, other_end: (&str, &str)) {
        self.ip(&["link", "add", end.0, "type", "veth", "peer", "name", other_end.0, "netns", &other.name]);
        for (namespace, (interface, address)) in [(self, end), (other, other_end)] {
            namespace.ip(&["address", "add", address, "dev", interface]);
            namespace.ip(&["link", "set", interface, "up"]);
        }
    }

    /// Sends what goes to no network of this namespace's own to this address.
    ///
    /// # Panics
    /// When the address is on no network of this namespace.
    pub fn route_all_by(&self, gateway: &str) {
        self.ip(&["route", "replace", "default", "via", gateway]);
    }

    /// Does something on a thread that is in this namespace. Sockets and devices opened there stay in it.
    ///
    /// # Panics
    /// When `act` does.
    pub fn enter<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        enter(&self.name, act).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Makes a TCP port of this namespace's loopback address answer on the same port of the test's own, so that
    /// [`crate::Rpc`] reaches a node here.
    ///
    /// # Panics
    /// When the port is busy outside.
    pub fn forward(&self, port: u16) -> Forward {
        Forward::new(self.name.clone(), port)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // On failure it is a leftover, which the next test removes.
        let _ = run(&mut command("ip", &["netns", "del", &self.name]));
    }
}

/// As [`Namespace::enter`].
///
/// # Errors
/// When there is no such namespace any more.
pub(super) fn enter<T: Send>(name: &str, act: impl FnOnce() -> T + Send) -> io::Result<T> {
    let namespace = File::open(Path::new("/run/netns").join(name))?;
    std::thread::scope(|scope| {
        let inside = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(act())
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
