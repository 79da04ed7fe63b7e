//! Whether the disk has room, and keeps what it is told to keep.

use super::super::Finding;
use super::super::words::bytes;
use crate::keys::file::check_directory;
use std::io::Write;
use std::path::Path;
use tempfile::NamedTempFile;

/// Less is used up within the hour by a busy chain, or by one compaction of the database.
const FREE_MIN: u64 = 1 << 30;
/// Less is worth looking after.
const FREE_WANTED: u64 = 10 << 30;

pub(super) fn check(datadir: &Path) -> Vec<Finding> {
    // The ancestors of a relative path end before the directory that it is in.
    let absolute = std::path::absolute(datadir).unwrap_or_else(|_| datadir.to_owned());
    let datadir = absolute.as_path();
    let Some(existing) = datadir.ancestors().find(|place| place.is_dir()) else {
        return vec![Finding::problem("disk", format!("{} is nowhere", datadir.display()), "name another --datadir")];
    };
    let place = existing.display();
    let mut findings = Vec::new();
    findings.push(match rustix::fs::statvfs(existing) {
        Ok(disk) => space(&place.to_string(), disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Finding::unknown("disk", format!("{place}: {error}"), "see `df`"),
    });
    if existing == datadir {
        findings.push(match probe(existing) {
            Ok(()) => Finding::ok("disk", format!("{place} takes files and syncs them")),
            Err(error) => {
                let fix = "make the directory the node's user's own, on a file system that can be written to";
                Finding::problem("disk", format!("{place} takes no file: {error}"), fix)
            }
        });
        findings.extend(check_directory(&datadir.join("db")).err().map(|error| Finding::refused("modes", &error)));
    } else {
        findings.push(Finding::ok("disk", format!("{} is made at the first start", datadir.display())));
    }
    findings
}

fn space(place: &str, free: u64) -> Finding {
    let text = format!("{place}: {} free", bytes(free));
    let fix = "make room, or move the data directory to a larger disk; `heddle db prune` gives up old states";
    match free {
        free if free < FREE_MIN => Finding::problem("disk", text, fix),
        free if free < FREE_WANTED => Finding::warning("disk", text, fix),
        _ => Finding::ok("disk", text),
    }
}

/// The file has no name that stays.
fn probe(directory: &Path) -> std::io::Result<()> {
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(b"heddle doctor")?;
    file.as_file().sync_all()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::super::super::Level;
    use super::*;

    #[test]
    fn a_data_directory_that_does_not_exist_yet_is_made_where_it_is_named() {
        let name = "doctor-test-no-such-directory/data";
        let here = std::env::current_dir().unwrap();
        for datadir in [here.join(name), name.into()] {
            let findings = check(&datadir);
            let made = findings.iter().find(|finding| finding.text.ends_with("is made at the first start"));
            assert!(made.unwrap().text.starts_with(&here.display().to_string()), "{findings:?}");
            assert!(findings.iter().all(|finding| !finding.text.contains("nowhere")), "{findings:?}");
        }
    }

    #[test]
    fn little_room_is_a_warning_and_hardly_any_a_problem() {
        let table = [(0, Level::Problem), (FREE_MIN, Level::Warning), (FREE_WANTED, Level::Ok), (u64::MAX, Level::Ok)];
        for (free, level) in table {
            let finding = space("/data", free);
            assert_eq!(finding.level, level);
            assert_eq!(finding.fix.is_some(), level != Level::Ok);
        }
    }
}
