//! Programs that a test needs and that may be missing.

use std::process::Stdio;
use tokio::process::Command;

/// Whether `program` runs here, after an attempt to install the Debian package of that name; otherwise prints why the
/// test is skipped.
pub async fn has_program(program: &str) -> bool {
    has_package(program, program).await
}

/// As [`has_program`], for a program that has another name than its package.
pub async fn has_package(program: &str, package: &str) -> bool {
    if runs(program).await {
        return true;
    }
    let install = format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {package}");
    let output = Command::new("sh").args(["-c", &install]).stdin(Stdio::null()).output().await.unwrap();
    if output.status.success() && runs(program).await {
        return true;
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    println!("skipped: no {program}, and it cannot be installed: {}", reason.lines().last().unwrap_or_default());
    false
}

/// Not every program knows `--version`; the shell knows whether there is a program.
async fn runs(program: &str) -> bool {
    let mut command = Command::new("sh");
    command.args(["-c", "command -v \"$0\"", program]).stdin(Stdio::null()).stdout(Stdio::null());
    command.status().await.is_ok_and(|status| status.success())
}
