//! What a network brings along to the overlays: its ConfigMaps and Secrets.

use heddle_e2e::kubernetes::Manifests;
use heddle_e2e::{path_text, run};

/// How many validators there are.
pub const VALIDATORS: usize = 4;

/// The ConfigMaps and Secrets that `heddle genesis create` makes for [`VALIDATORS`] validators, a full node and an RPC node.
pub async fn identities() -> Manifests {
    let dir = tempfile::tempdir().unwrap();
    let (description, out) = (dir.path().join("network.toml"), dir.path().join("net"));
    let counts = [("validators", VALIDATORS), ("full-nodes", 1), ("rpc-nodes", 1)];
    let text = String::from_iter(counts.map(|(group, count)| format!("[{group}]\ncount = {count}\n")));
    std::fs::write(&description, text).unwrap();
    let create = ["genesis", "create", "--network", path_text(&description), "--target", "kubernetes", "--out"];
    run(&[&create[..], &[path_text(&out)]].concat()).await.result();
    Manifests::kustomize(&out).having("app.kubernetes.io/component", "identity")
}
