//! The archive of ethereum/tests in every `make test`, all but its slowest files; `make conformance` runs those too.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_conformance::{Mode, Options, SKIPS, Verdict, files, fixtures, run, unpack};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Files that cost more time than all others together: precompiles and loops that run for their whole gas.
const SLOW: [&str; 2] = ["CALLBlake2f_MaxRounds.json", "loopMul.json"];

fn is_sampled(file: &Path) -> bool {
    !SLOW.iter().any(|slow| file.ends_with(slow))
}

#[test]
fn the_archive_passes() {
    let Some(root) = unpack(&fixtures()).unwrap() else {
        println!("skipped: no fixtures");
        return;
    };
    let files: Vec<PathBuf> = files(std::slice::from_ref(&root)).unwrap();
    let sample: Vec<_> = files.into_iter().filter(|file| is_sampled(file)).collect();
    assert!(sample.len() > 3_000, "the archive has fewer files than it should: {}", sample.len());
    let failures = Mutex::new(Vec::new());
    let options = Options { mode: Mode::AccessList, threads: 2, strict_exceptions: false };
    let totals = run(
        &sample,
        &options,
        |place, case| match &case.verdict {
            Verdict::Failed(reason) => {
                let file = place.file.strip_prefix(&root).unwrap().display().to_string();
                failures.lock().unwrap().push(format!("{file} {} [{}]: {reason}", place.test, case.label));
            }
            Verdict::Skipped(reason) => assert!(SKIPS.iter().any(|skip| skip.reason == *reason)),
            Verdict::Passed | Verdict::PassedForOtherReason(_) => {}
        },
        || {},
    )
    .unwrap();
    println!("{} passed, {} failed, {} skipped", totals.passed, totals.failed, totals.skipped);
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    assert!(totals.passed > 24_000, "only {} cases were run", totals.passed);
    assert!(totals.skipped * 100 < totals.passed, "{} of {} cases were skipped", totals.skipped, totals.passed);
}
