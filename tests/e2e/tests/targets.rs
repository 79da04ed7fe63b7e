//! One description of a network, and what it becomes on each target.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use heddle_e2e::{Finished, has_package, path_text, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tokio::process::Command;
use toml::Table;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Two validators, a full node, an RPC node; small, and with a registry.
const DESCRIPTION: &str = "\
name = \"small\"
registry = \"admin:0x00000000000000000000000000000000000000aa\"
[validators]
count = 2
memory = \"256Mi\"
[full-nodes]
count = 1
[rpc-nodes]
count = 1
api = [\"eth\"]
";
const NODES: [&str; 4] = ["validator-0", "validator-1", "full-0", "rpc-0"];

struct Described {
    dir: tempfile::TempDir,
}

impl Described {
    fn new() -> Self {
        let described = Self { dir: tempfile::tempdir().unwrap() };
        described.write(DESCRIPTION);
        described
    }

    fn write(&self, description: &str) {
        std::fs::write(self.dir.path().join("network.toml"), description).unwrap();
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("net")
    }

    async fn create(&self, targets: &str) -> Finished {
        let (file, out) = (self.dir.path().join("network.toml"), self.out());
        let create = ["genesis", "create", "--network", path_text(&file), "--out", path_text(&out)];
        run(&[&create[..], &["--target", targets]].concat()).await
    }

    fn read(&self, path: &str) -> Vec<u8> {
        std::fs::read(self.out().join(path)).unwrap()
    }

    fn toml(&self, path: &str) -> Table {
        std::fs::read_to_string(self.out().join(path)).unwrap().parse().unwrap()
    }

    fn compose(&self) -> yaml_serde::Value {
        let text = std::fs::read_to_string(self.out().join("compose.yaml")).unwrap();
        let mut value: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
        // What is merged merges something itself.
        value.apply_merge().unwrap();
        value.apply_merge().unwrap();
        value
    }

    /// Every file below a directory with its content, for comparison.
    fn files(&self, below: &str) -> BTreeMap<PathBuf, Vec<u8>> {
        fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => collect(&path, files),
                    false => _ = files.insert(path.clone(), std::fs::read(&path).unwrap()),
                }
            }
        }
        let mut files = BTreeMap::new();
        collect(&self.out().join(below), &mut files);
        files
    }
}

/// The ids at the ends of a node's persistent peers.
fn peer_ids(node: &Table) -> BTreeSet<String> {
    let peers = node["persistent-peers"].as_array().unwrap().iter();
    peers.map(|peer| peer.as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

fn port_of(address: &toml::Value) -> i64 {
    address.as_str().unwrap().rsplit(':').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_target_has_the_same_peers_ports_and_probes() {
    let described = Described::new();
    let created = described.create("processes,compose,kubernetes").await;
    assert!(created.stderr.contains("start with one of:"), "{}", created.stderr);
    assert!(created.stderr.contains("processes, compose, kubernetes share the keys"), "{}", created.stderr);
    let result = created.result();
    assert_eq!(result["processes"].as_array().unwrap().len(), NODES.len());
    let compose = described.compose();
    for (place, name) in (0..).zip(NODES) {
        let process = described.toml(&format!("processes/{name}/node.toml"));
        let container = described.toml(&format!("compose/{name}/node.toml"));
        let pod = described.toml(&format!("kubernetes/{name}.toml"));
        assert_eq!(peer_ids(&process), peer_ids(&container), "{name}");
        assert_eq!(peer_ids(&process), peer_ids(&pod), "{name}");
        assert_eq!(
            (&pod["port"], &pod["http"], &pod["metrics"]),
            (&container["port"], &container["http"], &container["metrics"])
        );
        assert_eq!(process["http"]["api"], container["http"]["api"], "{name}");
        assert_eq!(process["cache"], container["cache"], "{name}");
        let ports = |node: &Table| {
            [node["port"].as_integer().unwrap(), node["http"]["port"].as_integer().unwrap(), port_of(&node["metrics"])]
        };
        assert_eq!(ports(&container), [30303, 8545, 9001], "{name}");
        assert_eq!(ports(&process), [30303, 8545, 9001].map(|first| first + place), "{name}");

        let service = &compose["services"][name];
        assert_eq!(service["container_name"], format!("small-{name}").as_str());
        let probe = service["healthcheck"]["test"].as_sequence().unwrap();
        assert_eq!(probe.last().unwrap(), "http://127.0.0.1:9001", "{name}");
        assert_eq!(service["user"], "10001:10001");
        assert_eq!(service["read_only"], true);
        let published = service.get("ports").map(|ports| ports[0].as_str().unwrap());
        assert_eq!(published, (name == "rpc-0").then_some("127.0.0.1:8545:8545"));
    }
}

#[tokio::test]
async fn a_cluster_gets_the_same_keys_genesis_and_probes() {
    let described = Described::new();
    described.create("kubernetes").await.result();
    let Some(objects) = rendered(&described.out()).await else { return };
    let names = |kind: &str| {
        BTreeSet::from_iter(of_kind(&objects, kind).map(|object| object["metadata"]["name"].as_str().unwrap()))
    };
    let workloads = ["small-full", "small-rpc", "small-validator"];
    assert_eq!(names("StatefulSet"), BTreeSet::from(workloads));
    assert_eq!(names("Secret"), BTreeSet::from(["small-full-keys", "small-rpc-keys", "small-validator-keys"]));
    assert!(objects.iter().all(|object| match object["kind"].as_str().unwrap() {
        "Namespace" => object["metadata"]["name"] == "small",
        _ => object["metadata"]["namespace"] == "small",
    }));

    let mut installed = BTreeMap::new();
    for secret in of_kind(&objects, "Secret") {
        let mut secret = secret.clone();
        for (_, content) in secret["data"].as_mapping_mut().unwrap() {
            // Long ones are folded into lines.
            *content = content.as_str().unwrap().replace('\n', "").into();
        }
        let secret: k8s_openapi::api::core::v1::Secret = yaml_serde::from_value(secret).unwrap();
        installed.extend(secret.data.unwrap().into_iter().map(|(name, content)| (name, content.0)));
    }
    for name in NODES {
        for file in ["node.key", "validator.key"] {
            let kept = std::fs::read(described.out().join("keys").join(name).join(file)).ok();
            assert_eq!(installed.get(&format!("{name}.{file}")), kept.as_ref(), "{name} {file}");
        }
    }
    let genesis = of_kind(&objects, "ConfigMap").find(|map| map["metadata"]["name"] == "small-genesis").unwrap();
    assert_eq!(genesis["data"]["genesis.json"].as_str().unwrap().as_bytes(), described.read("genesis.json"));
    for workload in of_kind(&objects, "StatefulSet") {
        let count = if workload["metadata"]["name"] == "small-validator" { 2 } else { 1 };
        assert_eq!(workload["spec"]["replicas"], count);
        let container = &workload["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["image"], "heddle:latest");
        assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/health");
        let ports = container["ports"].as_sequence().unwrap();
        assert!(ports.iter().any(|port| port["name"] == "metrics" && port["containerPort"] == 9001));
    }
    described.write(&format!("{DESCRIPTION}[ports]\nhttp = 18545\n"));
    described.create("kubernetes").await.fails_naming(&["`ports`", "8545"]);
}

/// The objects that `kubectl` would apply; `None` without it, with the reason printed.
async fn rendered(directory: &Path) -> Option<Vec<yaml_serde::Value>> {
    if !has_package("kubectl", "kubernetes-client").await {
        return None;
    }
    let output = Command::new("kubectl").arg("kustomize").arg(directory).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    Some(text.split("\n---\n").map(|object| yaml_serde::from_str(object).unwrap()).collect())
}

fn of_kind<'a>(objects: &'a [yaml_serde::Value], kind: &str) -> impl Iterator<Item = &'a yaml_serde::Value> {
    objects.iter().filter(move |object| object["kind"] == kind)
}

#[tokio::test]
async fn keys_are_secret_and_made_once() {
    let described = Described::new();
    let first = described.create("processes").await.result();
    let keys = described.files("keys");
    assert_eq!(keys.keys().filter(|file| file.ends_with("validator.key")).count(), 2);
    for file in keys.keys().filter(|file| file.extension().is_some_and(|extension| extension == "key")) {
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{}", file.display());
        assert_eq!(file.parent().unwrap().metadata().unwrap().mode() & 0o777, 0o700);
    }

    // Another target, and then two nodes more.
    let again = described.create("compose").await.result();
    assert_eq!(again["genesisHash"], first["genesisHash"]);
    assert_eq!(described.files("keys"), keys);
    let before = described.toml("processes/rpc-0/node.toml");
    described.write(
        &DESCRIPTION.replace("count = 2", "count = 3").replace("[full-nodes]\ncount = 1", "[full-nodes]\ncount = 2"),
    );
    let more = described.create("processes,compose").await;
    assert!(more.stderr.contains("validator-2 votes once the registry"), "{more:#?}");
    assert_eq!(more.result()["genesisHash"], first["genesisHash"]);
    let more_keys = described.files("keys");
    assert!(keys.iter().all(|(file, content)| more_keys.get(file) == Some(content)), "a key changed");
    assert!(more_keys.keys().any(|file| file.ends_with("keys/full-1/node.key")));
    // Nobody's ports move.
    let after = described.toml("processes/rpc-0/node.toml");
    assert_eq!(
        (&before["port"], &before["http"], &before["metrics"]),
        (&after["port"], &after["http"], &after["metrics"])
    );
    assert_eq!(peer_ids(&after).len(), 3);
}

#[tokio::test]
async fn another_chain_is_refused() {
    let described = Described::new();
    described.create("processes").await.result();
    let genesis = described.read("genesis.json");
    described.write(&format!("chain-id = 7\n{DESCRIPTION}"));
    described.create("processes").await.fails_naming(&["genesis.json", "`chain-id` is 7", "31337", "--out"]);
    assert_eq!(described.read("genesis.json"), genesis);
    described.write("chian-id = 7\n");
    described.create("processes").await.fails_naming(&["network.toml", "chian-id", "chain-id"]);
    described.create("cloud").await.fails_naming(&["--target", "cloud", "compose"]);
    let (file, out) = (described.dir.path().join("network.toml"), described.out());
    let create = ["genesis", "create", "--network", path_text(&file), "--out", path_text(&out), "--chain-id", "7"];
    run(&create).await.fails_naming(&["--network", "--chain-id"]);
}

#[tokio::test]
async fn the_repositorys_compose_file_is_what_the_command_writes() {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(repository().join("config/networks")).unwrap() {
        let file = entry.unwrap().path();
        let out = dir.path().join(file.file_stem().unwrap());
        let create = ["genesis", "create", "--network", path_text(&file), "--out", path_text(&out)];
        let result: Value = run(&[&create[..], &["--target", "processes,compose"]].concat()).await.result();
        assert_eq!(result["chainId"], 31337, "{}", file.display());
    }
    let written = std::fs::read_to_string(dir.path().join("compose/compose.yaml")).unwrap();
    let kept = std::fs::read_to_string(repository().join("docker/compose.yaml")).unwrap();
    assert_eq!(
        written, kept,
        "run `heddle genesis create --network config/networks/compose.toml --target compose` anew"
    );
}
