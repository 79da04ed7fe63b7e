//! The most memory that a process has held, as the system counts it.

use std::path::Path;

/// Starts the measurement of this process anew, where the system can do that.
pub fn reset_peak_memory() {
    // Linux: 5 resets the peak. Elsewhere the peak is that of the whole run.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most that a process has held, in bytes; `proc` is its directory in `/proc`. `None` where the system does not tell.
pub fn peak_memory_bytes(proc: &Path) -> Option<u64> {
    let status = std::fs::read_to_string(proc.join("status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
