//! The target `kubernetes`: makes the network's directory one for `kubectl apply --kustomize` that stands alone, with a
//! copy of `config/kubernetes/base` and what that asks a network for (the README there names it).
//!
//! `kustomization.yaml` stands in the network's directory, since kustomize reads nothing above it: so the cluster's Secrets
//! are made from the very files in `keys`, and no key is copied.

use super::container::{self, Paths};
use super::description::{Description, Group, Ports};
use super::files::write_public;
use super::identities::{NODE_KEY, VALIDATOR_KEY};
use super::kubernetes_base::FILES;
use super::network::{Network, Node, Role};
use crate::keys::{self, SignStateExport, SignStateStore};
use std::error::Error;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Where a pod has what in a node's configuration is a path: keys in memory, the rest on its volume.
const PATHS: Paths = Paths { datadir: "/data/node", keys: "/keys/node", sign_state: Some("/data/keys/sign-state") };
/// A secret's file of what a key signed last.
const SIGN_STATE: &str = "sign-state.json";

/// Writes the manifests, a configuration a node, and what puts them together; returns the directory to apply.
///
/// # Errors
/// When the ports are not those of the manifests, or a file cannot be read or written.
pub fn write(network: &Network) -> Result<PathBuf, Box<dyn Error>> {
    refuse_ports(network.description.ports)?;
    let out = network.out.join("kubernetes");
    for (name, content) in FILES {
        write_public(&out.join("base").join(name), content)?;
    }
    let nodes = network.nodes()?;
    let prefix = &network.description.name;
    let host = |node: &Node<'_>| format!("{}.{prefix}-{}.{prefix}.svc", network.full_name(node), node.role.name());
    for node in &nodes {
        let file = |what: &str| out.join(format!("{}.{what}", node.identity.name));
        write_public(&file("toml"), &container::node_file(network, node, &PATHS, host)?)?;
        if node.role == Role::Validator {
            write_public(&file(SIGN_STATE), &sign_state(&network.keys_dir(node).join(VALIDATOR_KEY))?)?;
        }
    }
    write_public(&network.out.join("kustomization.yaml"), &kustomization(&network.description, &nodes))?;
    Ok(network.out.clone())
}

/// What the key signed last, on another target perhaps: a pod signs nothing before that.
fn sign_state(key: &Path) -> Result<String, Box<dyn Error>> {
    let path = keys::sign_state_path(key);
    let record = SignStateStore::read(&path)?.ok_or_else(|| format!("{} does not exist", path.display()))?;
    Ok(serde_json::to_string_pretty(&SignStateExport::from(record))? + "\n")
}

/// Services, NetworkPolicies and probes name the ports, and pods have addresses of their own.
fn refuse_ports(ports: Ports) -> Result<(), String> {
    match ports == Ports::default() {
        true => Ok(()),
        false => {
            Err("key `ports`: on Kubernetes every pod has an address of its own, and the ports 30303, 8545 and 9001: \
                      leave the key out"
                .into())
        }
    }
}

fn kustomization(description: &Description, nodes: &[Node<'_>]) -> String {
    let name = &description.name;
    let mut text = format!(
        "# Written by `heddle genesis create --target kubernetes`, for `kubectl apply --kustomize` of this directory.\n\
         apiVersion: kustomize.config.k8s.io/v1beta1\n\
         kind: Kustomization\n\
         namespace: {name}\n\
         namePrefix: {name}-\n\
         labels:\n  - pairs:\n      app.kubernetes.io/instance: {name}\n    includeTemplates: true\n\
         images:\n  - name: heddle\n{image}\
         generatorOptions:\n  disableNameSuffixHash: true\n  labels:\n    app.kubernetes.io/component: identity\n\
         resources:\n  - kubernetes/base/common\n",
        image = new_image(&description.image),
    );
    let roles = [Role::Validator, Role::Full, Role::Rpc];
    let of = |role| Vec::from_iter(nodes.iter().filter(move |node| node.role == role));
    let present = Vec::from_iter(roles.into_iter().map(|role| (role, of(role))).filter(|(_, nodes)| !nodes.is_empty()));
    let each = |part: fn(Role, &[&Node<'_>]) -> String| {
        String::from_iter(present.iter().map(|(role, nodes)| part(*role, nodes)))
    };
    text += &each(|role, _| format!("  - kubernetes/base/{}\n", role.name()));
    text += "replicas:\n";
    text += &each(|role, nodes| format!("  - name: {}\n    count: {}\n", role.name(), nodes.len()));
    text += "patches:\n";
    text += &each(|role, nodes| nodes.first().map_or_else(String::new, |node| resources(role, node.group)));
    text += "configMapGenerator:\n  - name: genesis\n    files: [genesis.json]\n";
    text += &each(configurations);
    text += "secretGenerator:\n";
    text += &each(secrets);
    text
}

/// The image's name, and its tag or digest.
fn new_image(image: &str) -> String {
    if let Some((name, digest)) = image.split_once('@') {
        return format!("    newName: \"{name}\"\n    digest: \"{digest}\"\n");
    }
    match image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((name, tag)) => format!("    newName: \"{name}\"\n    newTag: \"{tag}\"\n"),
        None => format!("    newName: \"{image}\"\n    newTag: latest\n"),
    }
}

fn resources(role: Role, group: &Group) -> String {
    let Group { cpu, memory, disk, .. } = group;
    format!(
        "  - target:\n      kind: StatefulSet\n      name: {}\n    patch: |-\n      \
         - op: replace\n        path: /spec/template/spec/containers/0/resources\n        \
         value:\n          requests:\n            cpu: \"{cpu}\"\n            memory: {memory}\n          \
         limits:\n            memory: {memory}\n      \
         - op: replace\n        path: /spec/volumeClaimTemplates/0/spec/resources/requests/storage\n        value: {disk}\n",
        role.name()
    )
}

fn configurations(role: Role, nodes: &[&Node<'_>]) -> String {
    let files = nodes.iter().map(|node| format!("      - kubernetes/{}.toml\n", node.identity.name));
    format!("  - name: {}-config\n    files:\n{}", role.name(), String::from_iter(files))
}

fn secrets(role: Role, nodes: &[&Node<'_>]) -> String {
    let mut files = String::new();
    for node in nodes {
        let name = &node.identity.name;
        let _ = writeln!(files, "      - {name}.{NODE_KEY}=keys/{name}/{NODE_KEY}");
        if role == Role::Validator {
            let _ = writeln!(files, "      - {name}.{VALIDATOR_KEY}=keys/{name}/{VALIDATOR_KEY}");
            let _ = writeln!(files, "      - kubernetes/{name}.{SIGN_STATE}");
        }
    }
    format!("  - name: {}-keys\n    files:\n{files}", role.name())
}
