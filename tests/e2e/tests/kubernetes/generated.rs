//! What `heddle genesis create --target kubernetes` writes is an overlay like the others, with what a network brings along.

use crate::{overlay, typed};
use heddle_e2e::kubernetes::{Manifests, differences, has_kubectl};
use heddle_e2e::{path_text, run};
use std::collections::BTreeSet;

/// What the overlay says of the sizes of machines is its own.
const SIZES: [&str; 2] = ["/spec/template/spec/containers/0/resources", "/spec/volumeClaimTemplates/0/spec/resources"];

#[tokio::test]
async fn a_network_from_a_description_is_the_devnet_overlay_with_its_keys() {
    if !has_kubectl().await {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (description, out) = (directory.path().join("network.toml"), directory.path().join("net"));
    std::fs::write(&description, "[validators]\ncount = 4\n[rpc-nodes]\ncount = 1\n").unwrap();
    let create = ["genesis", "create", "--network", path_text(&description), "--target", "kubernetes", "--out"];
    run(&[&create[..], &[path_text(&out)]].concat()).await.result();
    let generated = Manifests::kustomize(&out);
    generated.objects().iter().for_each(typed::check);
    let devnet = Manifests::kustomize(&overlay("devnet"));
    let (generated, devnet) = (generated.by_name(), devnet.by_name());
    for (which, object) in &devnet {
        let mut differences = differences(generated[which], object);
        differences.retain(|difference| !SIZES.iter().any(|size| difference.starts_with(size)));
        assert!(differences.is_empty(), "{which:?} of the network, and of the overlay: {differences:#?}");
    }
    let others = generated.keys().filter(|which| !devnet.contains_key(which));
    let identity = |which: &(String, String)| {
        assert_eq!(generated[which]["metadata"]["labels"]["app.kubernetes.io/component"], "identity", "{which:?}");
        Vec::from_iter(generated[which]["data"].as_object().unwrap().keys().map(|key| format!("{}/{key}", which.1)))
    };
    let found = BTreeSet::from_iter(others.flat_map(identity));
    let validators = (0..4).flat_map(|node| {
        let keys = ["node.key", "validator.key", "sign-state.json"];
        let keys = keys.map(|key| format!("heddle-validator-keys/validator-{node}.{key}"));
        keys.into_iter().chain([format!("heddle-validator-config/validator-{node}.toml")])
    });
    let others = ["heddle-genesis/genesis.json", "heddle-rpc-config/rpc-0.toml", "heddle-rpc-keys/rpc-0.node.key"];
    assert_eq!(found, validators.chain(others.map(str::to_owned)).collect());
}
