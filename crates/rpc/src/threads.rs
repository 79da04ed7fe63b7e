//! The threads that calls run on: none of them is consensus'.

use crate::{RpcError, RpcLimits};
use rustix::process::setpriority_process;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// The niceness of all threads that calls run on: where consensus (0) and RPC want the same core, RPC gets about a tenth of
/// it.
pub const RPC_NICENESS: i32 = 10;
/// Threads that wait for sockets.
const WORKERS_MAX: usize = 4;
/// Blocking threads beyond what the lanes let run: closing files and resolving names takes some, for moments.
const SPARE: usize = 4;
/// How long an idle blocking thread stays.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// A runtime of low priority. Dropping it abandons what still runs on it.
pub(crate) struct Threads {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Threads {
    pub(crate) fn start(limits: &RpcLimits) -> Result<Self, RpcError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runtime = Builder::new_multi_thread()
            .worker_threads(cores.min(WORKERS_MAX))
            .max_blocking_threads(limits.running() + SPARE)
            .thread_keep_alive(KEPT_FOR)
            .thread_name("rpc")
            // The threads' own, whatever the priority of the thread that starts one. A system that refuses loses nothing
            // but the preference.
            .on_thread_start(|| {
                let _ = setpriority_process(None, RPC_NICENESS);
            })
            .enable_all()
            .build()
            .map_err(RpcError::Threads)?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Others may be dropped inside a runtime, where nobody may wait.
            runtime.shutdown_background();
        }
    }
}
