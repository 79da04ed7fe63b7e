//! Foundry's development node, to compare with.

use super::super::processes::free_port;
use super::traffic::{Server, Traffic};
use crate::command::ask::{ask, ask_within};
use crate::progress::Progress;
use crate::shutdown::StopFlag;
use alloy_eips::Encodable2718;
use alloy_primitives::Bytes;
use heddle_primitives::Transaction;
use heddle_rpc::RPC_NICENESS;
use rustix::process::{Pid, Signal, setpriority_process};
use serde_json::json;
use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long it may take to start.
const STARTUP_MAX: Duration = Duration::from_secs(30);
/// How long it may take for a block.
const BLOCK_MAX: Duration = Duration::from_secs(120);
/// How long it may take for all blocks.
const CHAIN_MAX: Duration = Duration::from_secs(600);

/// A running Anvil. Dropping it kills the process.
pub struct Anvil {
    child: Child,
    address: SocketAddr,
}

/// The program: the one that is named, or else one on the path.
pub fn find(named: Option<&Path>) -> Option<PathBuf> {
    let on_path = || {
        let directories = std::env::var_os("PATH")?;
        std::env::split_paths(&directories).map(|directory| directory.join("anvil")).find(|file| file.is_file())
    };
    named.map(Path::to_owned).or_else(on_path)
}

impl Anvil {
    /// Starts it with the same genesis and blocks.
    ///
    /// # Errors
    /// When it does not start, takes a transaction or block amiss, or takes too long.
    pub fn start(
        program: &Path,
        genesis: &Path,
        traffic: &Traffic,
        log_blocks: u64,
        is_told: bool,
        stop: &StopFlag,
    ) -> Result<Self, Box<dyn Error>> {
        let port = free_port()?;
        let mut command = Command::new(program);
        command
            .args(["--silent", "--no-mining", "--order", "fifo", "--host", "127.0.0.1", "--accounts", "0"])
            .args(["--gas-limit", &traffic.genesis().header().gas_limit.to_string()])
            .args(["--port", &port.to_string(), "--init"])
            .arg(genesis)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What npm installs is a script that starts the program: both are to end.
            .process_group(0);
        let child = spawn_nicely(command).map_err(|error| format!("{}: {error}", program.display()))?;
        let mut anvil = Self { child, address: (Ipv4Addr::LOCALHOST, port).into() };
        let started = Instant::now();
        while ask(&anvil.url(), "eth_blockNumber", json!([])).is_err() {
            if started.elapsed() > STARTUP_MAX {
                return Err("Anvil does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let (made_from, mut shown) = (Instant::now(), is_told.then(|| Progress::new("anvil", log_blocks)));
        traffic.populate(&mut anvil, log_blocks, &mut |number| {
            if let Some(shown) = &mut shown {
                shown.at(number, || format!("block {number}"));
            }
            match stop.is_raised() {
                true => Err("stopped by a signal".into()),
                false if made_from.elapsed() > CHAIN_MAX => Err("Anvil takes too long to make the chain".into()),
                false => Ok(()),
            }
        })?;
        Ok(anvil)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Starts a process with the priority that RPC has in our node: what else the machine does takes as much of either's time.
fn spawn_nicely(mut command: Command) -> io::Result<Child> {
    let spawning = std::thread::spawn(move || {
        // This thread's, and with it the new process'.
        setpriority_process(None, RPC_NICENESS)?;
        command.spawn()
    });
    spawning.join().map_err(|_| io::Error::other("the thread that starts it panicked"))?
}

impl Server for Anvil {
    fn mine(&mut self, transactions: Vec<Transaction>) -> Result<(), Box<dyn Error>> {
        let url = self.url();
        let count = transactions.len();
        for transaction in transactions {
            ask(&url, "eth_sendRawTransaction", json!([Bytes::from(transaction.encoded_2718())]))?;
        }
        ask_within(BLOCK_MAX, &url, "evm_mine", json!([]))?;
        let mined = ask(&url, "eth_getBlockTransactionCountByNumber", json!(["latest"]))?;
        if mined != json!(format!("{count:#x}")) {
            return Err(format!("Anvil mined {mined} of {count} transactions").into());
        }
        Ok(())
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
