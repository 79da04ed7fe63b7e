//! Nodes as processes of their own, so that each one's processor time and memory are its own.

use super::memory::peak_memory_bytes;
use crate::command::ask::ask;
use alloy_primitives::B256;
use serde_json::{Value, json};
use std::error::Error;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks at a node.
const POLL: Duration = Duration::from_millis(20);
/// How long a node may take to answer at all.
const STARTUP_MAX: Duration = Duration::from_secs(60);
/// How long a node may stand still.
const STALL_MAX: Duration = Duration::from_secs(300);

/// A running node. Dropping it kills the process.
pub struct NodeProcess {
    child: Child,
    http: SocketAddr,
    log: PathBuf,
}

/// What a process cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Time on processors, all threads together; zero where the system does not tell.
    pub processor: Duration,
    /// The most memory it held; zero where the system does not tell.
    pub peak_memory_bytes: u64,
}

/// A free port for TCP and UDP on loopback.
pub fn free_port() -> std::io::Result<u16> {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
}

impl NodeProcess {
    /// Starts `heddle node` on a data directory with more options; its log goes beside that directory.
    ///
    /// # Errors
    /// When the process does not start, or answers no request within a minute.
    pub fn start(genesis: &Path, datadir: &Path, port: u16, options: &[&str]) -> Result<Self, Box<dyn Error>> {
        let http_port = free_port()?;
        let log = datadir.with_extension("log");
        let child = Command::new(std::env::current_exe()?)
            .args(["node", "--addr", "127.0.0.1", "--http", "--chain"])
            .arg(genesis)
            .arg("--datadir")
            .arg(datadir)
            .args(["--port", &port.to_string(), "--http.port", &http_port.to_string()])
            .args(options)
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()?;
        let mut node = Self { child, http: (Ipv4Addr::LOCALHOST, http_port).into(), log };
        let started = Instant::now();
        while node.height().is_none() {
            node.require_alive()?;
            if started.elapsed() > STARTUP_MAX {
                return Err(format!("a node does not answer: see {}", node.log.display()).into());
            }
            std::thread::sleep(POLL);
        }
        Ok(node)
    }

    /// Waits until the node's last block is the one at `height` with this hash.
    ///
    /// # Errors
    /// When the process ends, stands still for minutes, or has another block there.
    pub fn wait_for(&mut self, height: u64, hash: B256) -> Result<(), Box<dyn Error>> {
        let (mut last, mut moved) = (self.height(), Instant::now());
        while last.is_none_or(|at| at < height) {
            self.require_alive()?;
            if moved.elapsed() > STALL_MAX {
                return Err(format!("a node stands still at block {last:?}: see {}", self.log.display()).into());
            }
            std::thread::sleep(POLL);
            let now = self.progress();
            if now.0 != last || now.1 {
                (last, moved) = (now.0, Instant::now());
            }
        }
        loop {
            let block = self.call("eth_getBlockByNumber", json!([format!("{height:#x}"), false]))?;
            match &block["hash"] {
                // A node that began with this block's state fetches the block itself a moment later.
                Value::Null if moved.elapsed() <= STALL_MAX => std::thread::sleep(POLL),
                found if *found == json!(hash) => return Ok(()),
                found => return Err(format!("block {height} is {found}, not {hash}").into()),
            }
        }
    }

    /// Where it serves JSON-RPC.
    pub fn address(&self) -> SocketAddr {
        self.http
    }

    /// What it cost so far.
    pub fn cost(&self) -> Cost {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        Cost { processor: processor_time(&proc), peak_memory_bytes: peak_memory_bytes(&proc).unwrap_or_default() }
    }

    fn progress(&self) -> (Option<u64>, bool) {
        let is_syncing = self.call("eth_syncing", json!([])).is_ok_and(|syncing| syncing.is_object());
        (self.height(), is_syncing)
    }

    fn height(&self) -> Option<u64> {
        let height = self.call("eth_blockNumber", json!([])).ok()?;
        u64::from_str_radix(height.as_str()?.trim_start_matches("0x"), 16).ok()
    }

    fn call(&self, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
        Ok(ask(&format!("http://{}", self.http), method, params)?)
    }

    fn require_alive(&mut self) -> Result<(), Box<dyn Error>> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                Err(format!("a node ended with {status}: {}", log.lines().last().unwrap_or_default()).into())
            }
        }
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// User and system time, as `proc(5)` has them in fields 14 and 15: hundredths of a second on Linux.
fn processor_time(proc: &Path) -> Duration {
    let stat = fs::read_to_string(proc.join("stat")).unwrap_or_default();
    // The second field is the program's name in parentheses, which may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// Runs another command of this binary to its end and returns its result.
///
/// # Errors
/// When it fails, with its last words.
pub fn run(arguments: &[&str]) -> Result<Value, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).args(arguments).output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(format!("heddle {}: {}", arguments.join(" "), words.lines().last().unwrap_or_default()).into());
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    Ok(serde_json::from_str(stdout.lines().last().unwrap_or_default())?)
}
