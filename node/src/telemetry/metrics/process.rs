//! The process, by the names that all Prometheus client libraries give it. Read from `/proc`, so that other systems than
//! Linux have none of it.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::Error;

/// Reads the process when it is asked.
#[derive(Debug)]
pub struct Process;

impl Collector for Process {
    #[cfg(target_os = "linux")]
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        match linux::Facts::read() {
            Ok(facts) => facts.write(super::scribe::Scribe(encoder)),
            // The other metrics are of use without these.
            Err(error) => {
                tracing::debug!(%error, "cannot read /proc");
                Ok(())
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn encode(&self, _encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use super::super::scribe::Scribe;
    use procfs::ProcResult;
    use procfs::process::{LimitValue, Process};
    use std::fmt::Error;

    pub(super) struct Facts {
        cpu_seconds: f64,
        resident_bytes: u64,
        virtual_bytes: u64,
        open_fds: u64,
        /// None when there is no limit.
        max_fds: Option<u64>,
        start_seconds: f64,
        threads: i64,
    }

    impl Facts {
        pub(super) fn read() -> ProcResult<Self> {
            let process = Process::myself()?;
            let stat = process.stat()?;
            let ticks = procfs::ticks_per_second() as f64;
            let max_fds = match process.limits()?.max_open_files.soft_limit {
                LimitValue::Value(max) => Some(max),
                LimitValue::Unlimited => None,
            };
            Ok(Self {
                cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
                resident_bytes: stat.rss * procfs::page_size(),
                virtual_bytes: stat.vsize,
                open_fds: process.fd_count()? as u64,
                max_fds,
                start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
                threads: stat.num_threads,
            })
        }

        pub(super) fn write(&self, mut scribe: Scribe<'_>) -> Result<(), Error> {
            scribe.counter("process_cpu_seconds", "Processor time of the user and the system", self.cpu_seconds)?;
            scribe.gauge("process_resident_memory_bytes", "Memory that is resident", self.resident_bytes)?;
            scribe.gauge("process_virtual_memory_bytes", "Memory that is mapped", self.virtual_bytes)?;
            scribe.gauge("process_open_fds", "Open file descriptors", self.open_fds)?;
            if let Some(max_fds) = self.max_fds {
                scribe.gauge("process_max_fds", "Most file descriptors that may be open", max_fds)?;
            }
            scribe.gauge("process_start_time_seconds", "When the process started, since 1970", self.start_seconds)?;
            scribe.gauge("process_threads", "Threads", self.threads)
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn this_process_is_there() {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Process));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let value = |name: &str| -> f64 {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            found.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") < value("process_virtual_memory_bytes"));
        assert!(value("process_open_fds") > 0.0 && value("process_threads") > 0.0);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        assert!((now - 86_400.0..now + 2.0).contains(&value("process_start_time_seconds")));
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
