//! Where the time of an import went: stage by stage, and thread by thread.

use crate::import::{ImportSummary, ThreadTime};
use serde_json::{Value, json};
use std::time::Duration;

/// What threads of these names do. All others execute, compute roots and make rows.
const ROLES: [(&str, &str); 3] = [("ahead-", "decode, recover"), ("commit", "write"), ("rocksdb:", "flush, compact")];
/// What the importing threads do beside others.
const IMPORTING: &str = "execute, roots, rows";

fn role(thread: &ThreadTime, threads: usize) -> &'static str {
    let role = ROLES.iter().find(|(prefix, _)| thread.name.starts_with(prefix)).map(|(_, role)| *role);
    role.unwrap_or(if threads == 1 { "decode, recover, execute, roots, rows, write" } else { IMPORTING })
}

/// The stages in their order, with the time that each took: recovery summed over the threads that ran it, the others
/// from beginning to end on one thread, which others help.
fn stages(summary: &ImportSummary) -> [(&'static str, Duration); 5] {
    let timings = summary.timings;
    [
        ("recover", summary.recovery),
        ("execute", timings.execution),
        ("roots", timings.state_root),
        ("rows", timings.rows),
        ("write", timings.commit),
    ]
}

/// Seconds to a thousandth.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// For programs.
pub fn report(summary: &ImportSummary, threads: usize) -> Value {
    let stages = stages(summary).map(|(stage, took)| (stage.to_owned(), json!(seconds(took))));
    let busy = |thread: &ThreadTime| json!({ "thread": thread.name, "stages": role(thread, threads), "busySeconds": seconds(thread.busy) });
    json!({
        "threads": threads,
        "seconds": seconds(summary.elapsed),
        "mgasPerSecond": (summary.mgas_per_second() * 1e3).round() / 1e3,
        "waitingSeconds": seconds(summary.waiting),
        "stageSeconds": serde_json::Map::from_iter(stages),
        "cores": summary.threads.iter().map(busy).collect::<Vec<_>>(),
    })
}

/// For people.
pub fn tell(summary: &ImportSummary, threads: usize) {
    summary.tell();
    for thread in &summary.threads {
        let share = 100.0 * thread.busy.as_secs_f64() / summary.elapsed.as_secs_f64().max(1e-9);
        tell!(
            "    {:<15} busy {:>7.2} s, {share:>3.0} %: {}",
            thread.name,
            seconds(thread.busy),
            role(thread, threads)
        );
    }
}
