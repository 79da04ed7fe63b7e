//! One description of a network, and what it becomes on each target.

use heddle_e2e::{Finished, path_text, run};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use toml::Table;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Two validators, a full node, an RPC node; small, and with a registry.
const DESCRIPTION: &str = "\
name = \"small\"
registry = \"admin:0x00000000000000000000000000000000000000aa\"
[ports]
p2p = 20303
http = 28545
metrics = 29001
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

    fn toml(&self, path: &str) -> Table {
        std::fs::read_to_string(self.out().join(path)).unwrap().parse().unwrap()
    }

    fn compose(&self) -> yaml_serde::Value {
        let text = std::fs::read_to_string(self.out().join("compose.yaml")).unwrap();
        let mut value: yaml_serde::Value = yaml_serde::from_str(&text).unwrap();
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
    let result = described.create("processes,compose").await.result();
    assert_eq!(result["processes"].as_array().unwrap().len(), NODES.len());
    let compose = described.compose();
    for (place, name) in (0..).zip(NODES) {
        let process = described.toml(&format!("processes/{name}/node.toml"));
        let container = described.toml(&format!("compose/{name}/node.toml"));
        assert_eq!(peer_ids(&process), peer_ids(&container), "{name}");
        assert_eq!(process["http"]["api"], container["http"]["api"], "{name}");
        assert_eq!(process["cache"], container["cache"], "{name}");
        let ports = |node: &Table| {
            [node["port"].as_integer().unwrap(), node["http"]["port"].as_integer().unwrap(), port_of(&node["metrics"])]
        };
        assert_eq!(ports(&container), [20303, 28545, 29001], "{name}");
        assert_eq!(ports(&process), [20303, 28545, 29001].map(|first| first + place), "{name}");

        let service = &compose["services"][name];
        assert_eq!(service["container_name"], format!("small-{name}").as_str());
        let probe = service["healthcheck"]["test"].as_sequence().unwrap();
        assert_eq!(probe.last().unwrap(), "http://127.0.0.1:29001", "{name}");
        assert_eq!(service["user"], "10001:10001");
        assert_eq!(service["read_only"], true);
        let published = service.get("ports").map(|ports| ports[0].as_str().unwrap());
        assert_eq!(published, (name == "rpc-0").then_some("127.0.0.1:28545:28545"));
    }
}

#[tokio::test]
async fn keys_are_secret_and_made_once() {
    let described = Described::new();
    let first = described.create("processes").await.result();
    let keys = described.files("keys");
    assert_eq!(keys.keys().filter(|file| file.ends_with("validator.key")).count(), 2);
    for file in keys.keys() {
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
    let genesis = described.files("")[&described.out().join("genesis.json")].clone();
    described.write(&format!("chain-id = 7\n{DESCRIPTION}"));
    described.create("processes").await.fails_naming(&["genesis.json", "`chain-id` is 7", "31337", "--out"]);
    assert_eq!(described.files("")[&described.out().join("genesis.json")], genesis);
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
