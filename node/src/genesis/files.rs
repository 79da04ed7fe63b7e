//! Writing what a target needs.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes a file with nothing secret in it, in place of an earlier one, and the directories above it. Every user may read
/// it, whatever this one's umask: a container's user is another.
///
/// # Errors
/// Names the file.
pub fn write_public(path: &Path, content: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(failed)?;
    }
    std::fs::write(path, content).map_err(failed)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o644)).map_err(failed)
}
