//! What the threads of the process did, as the system counts it.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Less than this is not worth a line.
const BUSY_MIN: Duration = Duration::from_millis(5);

/// Processor time of every live thread since it began, by thread id. Empty where the system does not tell (it does on
/// Linux).
#[derive(Debug, Default)]
pub struct ThreadTimes(BTreeMap<String, ThreadTime>);

/// A thread, and how long it was on a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTime {
    /// Its name, of up to 15 bytes.
    pub name: String,
    /// Time on a processor.
    pub busy: Duration,
}

impl ThreadTimes {
    /// Reads them.
    pub fn now() -> Self {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let read = |task: fs::DirEntry| {
            let name = fs::read_to_string(task.path().join("comm")).ok()?.trim_end().to_owned();
            let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let busy = Duration::from_nanos(times.split(' ').next()?.parse().ok()?);
            Some((task.file_name().to_string_lossy().into_owned(), ThreadTime { name, busy }))
        };
        Self(tasks.filter_map(read).collect())
    }

    /// What the threads of now did since an earlier moment, by name; those that did next to nothing are left out.
    pub fn since(&self, earlier: &Self) -> Vec<ThreadTime> {
        let busy = |(id, now): (&String, &ThreadTime)| {
            let before = earlier.0.get(id).filter(|before| before.name == now.name);
            let busy = now.busy.saturating_sub(before.map(|before| before.busy).unwrap_or_default());
            ThreadTime { name: now.name.clone(), busy }
        };
        let mut times: Vec<_> = self.0.iter().map(busy).filter(|time| time.busy >= BUSY_MIN).collect();
        times.sort_by(|a, b| a.name.cmp(&b.name));
        times
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_works_is_seen_to_work() {
        let work = || {
            let before = ThreadTimes::now();
            loop {
                let times = ThreadTimes::now().since(&before);
                if let Some(own) = times.into_iter().find(|time| time.name == "a-busy-thread") {
                    return own;
                }
            }
        };
        let thread = std::thread::Builder::new().name("a-busy-thread".to_owned()).spawn(work).unwrap();
        assert!(thread.join().unwrap().busy >= BUSY_MIN);
    }
}
