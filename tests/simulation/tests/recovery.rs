//! A chain that stood still for an hour goes on at once.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_simulation::{Scenario, run_scenario, stay_on_this_thread};

#[test]
fn an_hour_without_network_is_over_within_20_seconds_of_its_end() {
    stay_on_this_thread().unwrap();
    for (nodes, seeds) in [(4, 3), (7, 1)] {
        for seed in 0..seeds {
            let scenario = Scenario::outage(seed, nodes);
            let summary = run_scenario(&scenario, 100).unwrap_or_else(|violation| {
                panic!("seed {seed}: {}\n{}", violation.reason, violation.trace.join("\n"));
            });
            let after = summary.resumed_after;
            assert!(after < 20_000_000, "{nodes} nodes, seed {seed}: the next block came after {after} us");
        }
    }
}
