#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::*;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// What a refusal says.
fn refused(path: &Path) -> String {
    read(path, 16).unwrap_err().to_string()
}

#[test]
fn a_new_file_and_its_directory_are_its_owners_alone() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a/b/key");
    create(&path, b"secret").unwrap();
    assert_eq!(read(&path, 6).unwrap().as_slice(), b"secret");
    assert_eq!(mode(&path), 0o600);
    assert_eq!([mode(&scratch.path().join("a")), mode(&scratch.path().join("a/b"))], [0o700; 2]);
    assert!(matches!(create(&path, b"other"), Err(FileError::Exists(_))));
    assert_eq!(read(&path, 6).unwrap().as_slice(), b"secret");
    assert_eq!(std::fs::read_dir(scratch.path().join("a/b")).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn what_others_can_use_is_refused_with_the_fix() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    create(&path, b"secret").unwrap();
    let fix = format!("`chmod 600 {}`", path.display());
    for loose in [0o644, 0o640, 0o604, 0o660, 0o620, 0o601, 0o700, 0o4600] {
        set_mode(&path, loose);
        let message = refused(&path);
        assert!(message.contains(&fix) && message.contains(&format!("{loose:o}")), "{message}");
        assert!(replace(&path, b"new").is_err());
    }
    for strict in [0o600, 0o400] {
        set_mode(&path, strict);
        read(&path, 16).unwrap();
    }
    for loose in [0o770, 0o702, 0o777, 0o1777] {
        set_mode(scratch.path(), loose);
        let message = refused(&path);
        assert!(message.contains(&format!("`chmod 700 {}`", scratch.path().display())), "{message}");
        assert!(create(&scratch.path().join("other"), b"secret").is_err());
    }
    set_mode(scratch.path(), 0o755);
    read(&path, 16).unwrap();
}

#[test]
fn what_is_no_file_of_its_own_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let at = |name: &str| scratch.path().join(name);
    create(&at("key"), b"secret").unwrap();
    symlink(at("key"), at("link")).unwrap();
    std::fs::create_dir(at("directory")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    create(&at("long"), &[b'a'; 17]).unwrap();
    for (name, word) in [
        ("link", "symbolic link"),
        ("directory", "not a regular file"),
        ("pipe", "not a regular file"),
        ("long", "longer than 16 bytes"),
        ("nothing", "No such file"),
    ] {
        let message = refused(&at(name));
        assert!(message.contains(word) && message.contains(at(name).to_str().unwrap()), "{message}");
    }
    assert!(read(&at("nothing"), 16).unwrap_err().is_absence());
    assert!(matches!(replace(&at("link"), b"new"), Err(FileError::Symlink(_))));
    assert!(matches!(write_new(&at("link"), b"new"), Err(FileError::Exists(_))));
    assert_eq!(read(&at("key"), 16).unwrap().as_slice(), b"secret");
}

#[test]
fn a_foreign_owner_is_refused() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a file away");
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    create(&path, b"secret").unwrap();
    std::os::unix::fs::chown(&path, Some(1), None).unwrap();
    let message = refused(&path);
    assert!(message.contains(&format!("`chown 0 {}`", path.display())), "{message}");
    std::os::unix::fs::chown(&path, Some(0), None).unwrap();
    std::os::unix::fs::chown(scratch.path(), Some(1), None).unwrap();
    let message = refused(&path);
    assert!(message.contains(&format!("`chown 0 {}`", scratch.path().display())), "{message}");
}

#[test]
fn a_replaced_file_leaves_nothing_of_its_old_content() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("key");
    create(&path, b"secret").unwrap();
    let old = File::open(&path).unwrap();
    replace(&path, b"new").unwrap();
    assert_eq!(read(&path, 16).unwrap().as_slice(), b"new");
    assert_eq!(mode(&path), 0o600);
    let mut left = Vec::new();
    old.take(100).read_to_end(&mut left).unwrap();
    assert_eq!(left, [0; 6]);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1, "no temporary file stays");
}
