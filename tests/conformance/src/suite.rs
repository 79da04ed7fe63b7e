//! Running every test of many files, several files at once.

use crate::format::{Format, is_auxiliary};
use crate::options::Options;
use crate::verdict::{Case, Verdict};
use crate::{blockchain_test, engine_test, rlp_test, skips, state_test, transaction_test, trie_test};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use walkdir::{DirEntry, WalkDir};

/// The executor keeps its call frames on the heap, but decoders and tries recurse.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// How many cases came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// As the fixtures say.
    pub passed: usize,
    /// Not as the fixtures say.
    pub failed: usize,
    /// Not judged.
    pub skipped: usize,
    /// Of the passed (with strict exceptions: of the failed), those refused for another reason than the fixtures'.
    pub other_reason: usize,
}

/// Where a case stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The fixture file.
    pub file: &'a Path,
    /// The test's name in it.
    pub test: &'a str,
}

/// All fixture files below the given directories and files, in order.
///
/// # Errors
/// A path that cannot be read.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, walkdir::Error> {
    let is_wanted = |entry: &DirEntry| entry.depth() == 0 || entry.file_name() != ".meta";
    let mut files = Vec::new();
    for path in paths {
        for entry in WalkDir::new(path).follow_links(true).sort_by_file_name().into_iter().filter_entry(is_wanted) {
            let entry = entry?;
            let is_json = entry.path().extension().is_some_and(|extension| extension == "json");
            let is_fixture = entry.depth() == 0 || (is_json && entry.file_name() != "index.json");
            if entry.file_type().is_file() && is_fixture {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

/// Judges every test of the files, and tells `observe` of every case (from several threads), and `done` of every file.
pub fn run(
    files: &[PathBuf],
    options: &Options,
    observe: impl Fn(Place<'_>, &Case) + Sync,
    done: impl Fn() + Sync,
) -> std::io::Result<Totals> {
    let next = AtomicUsize::new(0);
    let totals = Mutex::new(Totals::default());
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut of_file = Totals::default();
            judge_file(file, options, &mut |test, case| {
                of_file.count(&case.verdict, options);
                observe(Place { file, test }, case);
            });
            // A panic inside a case was caught, so that the lock cannot be poisoned.
            totals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).add(of_file);
            done();
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.threads.max(1) {
            std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        }
        Ok::<_, std::io::Error>(())
    })?;
    Ok(totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

impl Totals {
    fn count(&mut self, verdict: &Verdict, options: &Options) {
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(_) => self.failed += 1,
            Verdict::Skipped(_) => self.skipped += 1,
            Verdict::PassedForOtherReason(_) => {
                self.other_reason += 1;
                if options.strict_exceptions { self.failed += 1 } else { self.passed += 1 }
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.other_reason += other.other_reason;
    }
}

fn judge_file(file: &Path, options: &Options, observe: &mut dyn FnMut(&str, &Case)) {
    let read = std::fs::read(file).map_err(|error| error.to_string());
    let parsed = read.and_then(|text| serde_json::from_slice(&text).map_err(|error| format!("not JSON: {error}")));
    let tests = match parsed {
        Ok(file) if is_auxiliary(&file) => return,
        Ok(Value::Object(tests)) => tests,
        Ok(_) => return observe("", &Case::whole(Verdict::Failed("no known fixture format".to_owned()))),
        Err(error) => return observe("", &Case::whole(Verdict::Failed(error))),
    };
    for (name, test) in tests {
        for case in judge_test(file, &name, test, options) {
            observe(&name, &case);
        }
    }
}

fn judge_test(file: &Path, name: &str, test: Value, options: &Options) -> Vec<Case> {
    let Some(format) = Format::of(&test) else {
        return vec![Case::whole(Verdict::Failed("no known fixture format".to_owned()))];
    };
    match format {
        Format::State => state_test::run(test),
        Format::Transaction => transaction_test::run(test),
        Format::Blockchain => isolated(|| blockchain_test::run(name, test, options)),
        Format::Engine => isolated(|| engine_test::run(file, name, test, options)),
        Format::Trie => isolated(|| trie_test::run(test, is_secure_trie(file))),
        Format::Rlp => isolated(|| rlp_test::run(test)),
        Format::Difficulty => isolated(|| Verdict::Skipped(skips::DIFFICULTY_FORMULA.reason)),
        Format::TrieNeighbours => isolated(|| Verdict::Skipped(skips::TRIE_NEIGHBOURS.reason)),
    }
}

/// A test that is one case.
fn isolated(judge: impl FnOnce() -> Verdict) -> Vec<Case> {
    vec![Case::whole(Verdict::isolate(judge))]
}

/// Nothing inside a trie test says whether its keys are hashed.
fn is_secure_trie(file: &Path) -> bool {
    file.file_stem().is_some_and(|name| name.to_string_lossy().to_lowercase().contains("secure"))
}
