//! A pod's volumes, as a kubelet makes them: what is in a ConfigMap or a Secret is root's, and the pod's group reads it.

use super::Manifests;
use super::manifests::{list, text};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where each volume of a pod is, by name. Those that stay over restarts of the pod are kept when they are there.
pub(super) fn prepare(manifests: &Manifests, set: &Value, group: u32, directory: &Path) -> BTreeMap<String, PathBuf> {
    let mut volumes = BTreeMap::new();
    for volume in list(&set["spec"]["template"]["spec"]["volumes"]) {
        let name = text(&volume["name"]);
        let path = directory.join(&name);
        if let Some(source) = volume.get("configMap") {
            let object = manifests.get("ConfigMap", &text(&source["name"]));
            let contents = entries(&object["data"]).map(|(key, value)| (key, text(value).into_bytes()));
            write_files(&path, contents, mode(source), group);
        } else if let Some(source) = volume.get("secret") {
            let object = manifests.get("Secret", &text(&source["secretName"]));
            let contents = entries(&object["data"]).map(|(key, value)| (key, decode_base64(&text(value))));
            write_files(&path, contents, mode(source), group);
        } else if volume.get("emptyDir").is_some() {
            make_directory(&path, 0o2777, group);
        } else if volume.get("persistentVolumeClaim").is_some() {
            assert!(path.is_dir(), "the claim of volume {name} is the test's to fill: {}", path.display());
        } else {
            panic!("a volume of no known kind: {volume}");
        }
        volumes.insert(name, path);
    }
    for claim in list(&set["spec"]["volumeClaimTemplates"]) {
        let name = text(&claim["metadata"]["name"]);
        let path = directory.join(&name);
        if !path.exists() {
            // What `fsGroup` makes of the root of a new volume.
            make_directory(&path, 0o2775, group);
        }
        volumes.insert(name, path);
    }
    volumes
}

fn entries(data: &Value) -> impl Iterator<Item = (&String, &Value)> {
    data.as_object().into_iter().flatten()
}

fn mode(source: &Value) -> u32 {
    u32::try_from(source["defaultMode"].as_u64().unwrap_or(0o644)).unwrap()
}

fn write_files<'a>(path: &Path, contents: impl Iterator<Item = (&'a String, Vec<u8>)>, mode: u32, group: u32) {
    make_directory(path, 0o755, group);
    for (key, content) in contents {
        let file = path.join(key);
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        chown(&file, Some(0), Some(group)).unwrap();
    }
}

fn make_directory(path: &Path, mode: u32, group: u32) {
    std::fs::create_dir_all(path).unwrap();
    chown(path, Some(0), Some(group)).unwrap();
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn decode_base64(text: &str) -> Vec<u8> {
    let mut command = Command::new("base64");
    let mut child = command.arg("--decode").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "no base64: {text}");
    output.stdout
}
