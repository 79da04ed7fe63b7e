//! Whether the system lets the node have enough files and memory.

use super::super::Finding;
use super::super::words::bytes;
use crate::cache::CacheSize;
use crate::genesis;
use rustix::process::{Resource, getrlimit};

/// Files of the database, and one for each connection.
const FILES_MIN: u64 = 1_024;
/// Room for many clients of JSON-RPC.
const FILES_WANTED: u64 = 4_096;
/// What a node needs besides its caches, in bytes: what the least node of `heddle genesis create` has beside them, which
/// get a quarter.
const MEMORY_MIN: u64 = (genesis::MEMORY_MIN.0 as u64 * 3 / 4) << 20;
/// What it needs at its busiest.
const MEMORY_WANTED: u64 = 1 << 30;

pub(super) fn check(cache: CacheSize) -> [Finding; 2] {
    // Of control groups of version 2, and of version 1.
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = limits.iter().find_map(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    [files(getrlimit(Resource::Nofile).current), memory(memory_bytes(&machine, &limit), cache.bytes())]
}

/// `None` is no limit.
fn files(limit: Option<u64>) -> Finding {
    let Some(limit) = limit else { return Finding::ok("files", "any number may be open") };
    let text = format!("{limit} may be open at once");
    let fix = format!(
        "raise the limit to {FILES_WANTED} or more: LimitNOFILE= of a systemd unit, --ulimit nofile= of a container"
    );
    match limit {
        limit if limit < FILES_MIN => Finding::problem("files", text, fix),
        limit if limit < FILES_WANTED => Finding::warning("files", text, fix),
        _ => Finding::ok("files", text),
    }
}

/// What the machine has, or the container may use, whichever is less; `None` where the system does not say.
fn memory_bytes(machine: &str, limit: &str) -> Option<u64> {
    let total = machine.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = total.and_then(|total| total.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let machine = kibibytes.map(|kibibytes| kibibytes.saturating_mul(1_024));
    machine.into_iter().chain(limit.trim().parse()).min()
}

fn memory(available: Option<u64>, caches: u64) -> Finding {
    let Some(available) = available else {
        return Finding::unknown("memory", "the system does not say how much there is", "see `free`");
    };
    let text = format!("{} for a node with caches of {}", bytes(available), bytes(caches));
    let fix = "give the machine or the container more memory, or the node smaller caches (--cache MIB)";
    match available.saturating_sub(caches) {
        rest if rest < MEMORY_MIN => Finding::problem("memory", text, fix),
        rest if rest < MEMORY_WANTED => Finding::warning("memory", text, fix),
        _ => Finding::ok("memory", text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn few_files_and_little_memory_are_found() {
        let levels = [Some(256), Some(1_024), Some(65_536), None].map(|limit| files(limit).level);
        assert_eq!(levels, [Level::Problem, Level::Warning, Level::Ok, Level::Ok]);
        assert_eq!(memory(Some(256 << 20), 64 << 20).level, Level::Warning, "the least of `heddle genesis create`");
        let levels = [Some(600 << 20), Some(1 << 30), Some(8 << 30), None].map(|some| memory(some, 512 << 20).level);
        assert_eq!(levels, [Level::Problem, Level::Warning, Level::Ok, Level::Unknown]);
    }

    #[test]
    fn the_lower_of_machine_and_container_counts() {
        let machine = "MemTotal:       2097152 kB\nMemFree: 1 kB\n";
        assert_eq!(memory_bytes(machine, "max\n"), Some(2 << 30));
        assert_eq!(memory_bytes(machine, "1073741824\n"), Some(1 << 30));
        assert_eq!(memory_bytes("", ""), None);
    }
}
