//! A container: an image's root, read-only, with the mounts of a manifest, and a user without rights.

use super::image::Root;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Something that stands in a container's root.
pub(super) struct Mount {
    /// What.
    pub(super) source: PathBuf,
    /// Where.
    pub(super) path: PathBuf,
    /// Not to be written.
    pub(super) read_only: bool,
}

/// Who a container runs as.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) user: u64,
    pub(super) group: u64,
    /// The group of the pod's volumes.
    pub(super) fs_group: u32,
}

/// A script that becomes the program named after it, in a container. It runs in a mount namespace of its own (`ip netns exec`
/// makes one), so that the mounts end with it.
pub(super) fn script(root: &Root, mounts: &[Mount], user: User, environment: &[(String, String)]) -> String {
    let place = |path: &Path| root.place(path);
    let root = &root.0;
    let mut script = "set -e\n".to_owned();
    bind(&mut script, root, root);
    for directory in ["/proc", "/dev"] {
        bind(&mut script, Path::new(directory), &place(Path::new(directory)));
    }
    for Mount { source, path, read_only } in mounts {
        let place = place(path);
        bind(&mut script, source, &place);
        if *read_only {
            writeln!(script, "mount -o remount,bind,ro {}", quoted(&place.display().to_string())).unwrap();
        }
    }
    writeln!(script, "mount -o remount,bind,ro {}", quoted(&root.display().to_string())).unwrap();
    write!(script, "exec env -i").unwrap();
    for (name, value) in environment {
        write!(script, " {}", quoted(&format!("{name}={value}"))).unwrap();
    }
    let User { user, group, fs_group } = user;
    let chroot = "$(command -v chroot)";
    let root = quoted(&root.display().to_string());
    writeln!(script, " {chroot} --userspec={user}:{group} --groups={fs_group} {root} \"$0\" \"$@\"").unwrap();
    script
}

fn bind(script: &mut String, source: &Path, place: &Path) {
    let [source, place] = [source, place].map(|path| quoted(&path.display().to_string()));
    writeln!(script, "mount --bind {source} {place}").unwrap();
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
