//! The pods run: every container with its own arguments, environment, files and user, and each on a machine of its own.

use crate::network::{VALIDATORS, identities};
use crate::{overlay, typed};
use heddle_e2e::kubernetes::{Image, Manifests, Pod, has_kubectl};
use heddle_e2e::netns::{Namespace, Star};
use heddle_e2e::{eventually, path_text, run, turn};
use serde_json::Value;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

/// Pods, the machines that they run on, and the names that the cluster's DNS knows.
struct Cluster {
    // Before the machines: processes end before their namespaces are removed.
    pods: Vec<Pod>,
    star: Star,
    image: Image,
    _directory: TempDir,
}

impl Cluster {
    /// Machines for pods of these sets, by name and ordinal; nothing runs yet.
    fn of(pods: &[(&Manifests, &str, usize)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let star = Star::create(pods.len().try_into().unwrap());
        let hosts = directory.path().join("hosts");
        let pod = |(machine, (manifests, set, ordinal)): (usize, &(&Manifests, &str, usize))| {
            Pod::new(manifests, set, *ordinal, star.address(machine), directory.path(), &hosts)
        };
        let pods = Vec::from_iter(pods.iter().enumerate().map(pod));
        std::fs::write(&hosts, String::from_iter(pods.iter().map(Pod::host))).unwrap();
        Self { pods, star, image: Image::of_binary(), _directory: directory }
    }

    /// Starts a pod, as a kubelet does; returns what its init containers said.
    async fn start(&mut self, pod: usize) -> Vec<Value> {
        let (machine, pod) = (self.star.leaf(pod), &mut self.pods[pod]);
        let said = pod.initialise(machine, &self.image).await;
        pod.start(machine, &self.image);
        said
    }

    /// Waits until a probe of a pod says that all is well, or that it is not.
    async fn wait(&mut self, pod: usize, probe: &str, status: u16) {
        let (machine, pod) = (self.star.leaf(pod), &mut self.pods[pod]);
        eventually(&format!("{status} of the {probe} of {}", pod.name()), async || {
            assert!(!pod.process().has_ended(), "{} ended:\n{}", pod.name(), pod.process().log());
            pod.probe(probe, machine).filter(|(answer, _)| *answer == status)
        })
        .await;
    }

    /// The height of an RPC node's head, by the port that its Service sends callers to.
    fn height(&self, pod: usize) -> Option<u64> {
        let (machine, pod) = (self.star.leaf(pod), &self.pods[pod]);
        let number = pod.call("eth_blockNumber", pod.port("http"), machine)?;
        u64::from_str_radix(number.as_str().unwrap().trim_start_matches("0x"), 16).ok()
    }
}

#[tokio::test]
async fn the_pods_of_the_manifests_run_and_their_probes_answer() {
    let _turn = turn().await;
    if !(has_kubectl().await && Namespace::are_possible().await) {
        return;
    }
    let identities = identities().await;
    identities.objects().iter().for_each(typed::check);
    let of_validators = Manifests::kustomize(&overlay("validators")).and(identities.clone());
    let of_rpc = Manifests::kustomize(&overlay("rpc")).and(identities);
    let mut pods = Vec::from_iter((0..VALIDATORS).map(|ordinal| (&of_validators, "heddle-validator", ordinal)));
    pods.extend([(&of_validators, "heddle-full", 0), (&of_rpc, "heddle-rpc", 0)]);
    let (full, rpc) = (VALIDATORS, VALIDATORS + 1);
    let mut cluster = Cluster::of(&pods);

    for pod in 0..rpc {
        let said = cluster.start(pod).await;
        assert_eq!(said[0]["validator"].is_object(), pod < VALIDATORS, "{said:?}");
        cluster.wait(pod, "startupProbe", 200).await;
        cluster.wait(pod, "livenessProbe", 200).await;
    }
    for pod in 0..rpc {
        cluster.wait(pod, "readinessProbe", 200).await;
    }
    // An RPC node begins with a snapshot of the full node, and does so once.
    let claim = cluster.pods[rpc].volume("snapshot");
    let number = take_snapshot(&cluster.pods[full].volume("data").join("node"), &claim).await;
    for is_first in [true, false] {
        let said = cluster.start(rpc).await;
        let restored = said.iter().find(|said| said.get("restored").is_some()).expect("the snapshot's container");
        assert_eq!(restored["restored"], is_first, "{restored}");
        assert!(restored["number"].as_u64() >= Some(number), "{restored}");
        cluster.wait(rpc, "readinessProbe", 200).await;
        eventually("blocks after the snapshot", async || cluster.height(rpc).filter(|height| *height > number)).await;
        cluster.pods[rpc].stop().await;
    }

    // A validator that starts again finds its keys and what it signed.
    cluster.pods[0].stop().await;
    let said = cluster.start(0).await;
    assert!(said[0]["validator"]["height"].as_u64() > Some(0), "{said:?}");
    cluster.wait(0, "readinessProbe", 200).await;

    // Without a quorum a node is alive; without peers it is not ready.
    for pod in 1..rpc {
        cluster.pods[pod].stop().await;
    }
    cluster.wait(0, "readinessProbe", 503).await;
    cluster.wait(0, "livenessProbe", 200).await;
    cluster.wait(0, "startupProbe", 200).await;
}

/// Writes a snapshot of a running node's chain to a claim, once there is a chain; returns its block.
async fn take_snapshot(datadir: &Path, claim: &Path) -> u64 {
    std::fs::create_dir_all(claim).unwrap();
    let file = claim.join("snapshot.heddle");
    let create = ["snapshot", "create", "--datadir", path_text(datadir), path_text(&file)];
    let made = eventually("a snapshot of the full node's chain", async || {
        Some(run(&create).await).filter(|made| made.code == Some(0))
    });
    let number = made.await.result()["number"].as_u64().unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    number
}
