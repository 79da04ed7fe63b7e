//! The tables and the JSON.

use crate::workload::{SLOTS, SLOTS_CHANGED, STORAGE_EVERY, Workload};
use alloy_primitives::B256;
use std::path::Path;
use std::time::Duration;

/// Figures of a state.
pub(crate) struct State {
    accounts: u64,
    slots: u64,
    loaded: Duration,
    disk_bytes: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) measured: Vec<Measured>,
}

/// Figures of one kind of block, each the median over its rounds.
pub(crate) struct Measured {
    pub(crate) changed: usize,
    pub(crate) threads: usize,
    pub(crate) cold: Duration,
    pub(crate) warm: Duration,
    pub(crate) commit: Duration,
    pub(crate) baseline: Duration,
    /// Root after the last round.
    pub(crate) root: B256,
}

impl State {
    pub(crate) fn new(workload: &Workload, loaded: Duration, disk_bytes: u64) -> Self {
        let accounts = workload.accounts;
        let slots = accounts / STORAGE_EVERY * SLOTS;
        Self { accounts, slots, loaded, disk_bytes, rss_bytes: 0, measured: Vec::new() }
    }

    fn account_bytes(&self) -> f64 {
        self.disk_bytes as f64 / self.accounts as f64
    }

    pub(crate) fn print(&self) {
        let Self { accounts, slots, loaded, disk_bytes, rss_bytes, measured } = self;
        println!(
            "{accounts} accounts, {slots} slots: built in {:.1} s; {:.1} MB on disk, {:.0} bytes an account with its \
             slots, tries included; RSS {:.0} MB",
            loaded.as_secs_f64(),
            *disk_bytes as f64 / 1e6,
            self.account_bytes(),
            *rss_bytes as f64 / 1e6,
        );
        println!(
            "   changed  threads | cold us/account us/slot | warm us/account us/slot | baseline  ratio | commit ms"
        );
        for block in measured {
            println!(
                "{:>10} {:>8} | {:>15.2} {:>7.2} | {:>15.2} {:>7.2} | {:>8.2} {:>6.2} | {:>9.1}",
                block.changed,
                block.threads,
                block.account_us(block.cold),
                block.slot_us(block.cold),
                block.account_us(block.warm),
                block.slot_us(block.warm),
                block.account_us(block.baseline),
                block.ratio(),
                block.commit.as_secs_f64() * 1e3,
            );
        }
        println!();
    }

    fn json(&self) -> String {
        let measured: Vec<_> = self.measured.iter().map(Measured::json).collect();
        format!(
            r#"{{"accounts":{},"slots":{},"buildSeconds":{:.1},"diskBytesPerAccount":{:.0},"rssBytes":{},"blocks":[{}]}}"#,
            self.accounts,
            self.slots,
            self.loaded.as_secs_f64(),
            self.account_bytes(),
            self.rss_bytes,
            measured.join(",")
        )
    }
}

impl Measured {
    /// Microseconds a changed account, its slots included.
    fn account_us(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.changed as f64
    }

    fn slot_us(&self, time: Duration) -> f64 {
        self.account_us(time) / SLOTS_CHANGED as f64
    }

    /// Warm time over the baseline's: below 1 is faster than the baseline.
    fn ratio(&self) -> f64 {
        self.warm.as_secs_f64() / self.baseline.as_secs_f64()
    }

    fn json(&self) -> String {
        format!(
            r#"{{"changed":{},"threads":{},"coldUs":{:.2},"warmUs":{:.2},"baselineUs":{:.2},"ratio":{:.3},"commitMs":{:.1}}}"#,
            self.changed,
            self.threads,
            self.account_us(self.cold),
            self.account_us(self.warm),
            self.account_us(self.baseline),
            self.ratio(),
            self.commit.as_secs_f64() * 1e3,
        )
    }
}

pub(crate) fn introduce() {
    println!(
        "State root of a block that changes accounts, and {SLOTS_CHANGED} slots of each; of every {STORAGE_EVERY} accounts"
    );
    println!(
        "one has storage, of {SLOTS} slots, and only such accounts are changed. Baseline: HashBuilder, warm us/account;"
    );
    println!("ratio: warm over baseline.\n");
}

pub(crate) fn json(states: &[State]) -> String {
    let states: Vec<_> = states.iter().map(State::json).collect();
    format!(r#"{{"benchmark":"state_root","states":[{}]}}"#, states.join(","))
}

/// Size of the files in a directory.
pub(crate) fn directory_bytes(directory: &Path) -> u64 {
    let files = std::fs::read_dir(directory).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}

/// Memory of this process that is in RAM; 0 where the system does not say.
pub(crate) fn rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
