//! What the overlays render, object by object.

use crate::typed;
use crate::{OVERLAYS, config, overlay};
use heddle_e2e::kubernetes::{Manifests, Validator, has_kubectl};
use serde_json::{Value, json};
use std::io::Write;

#[tokio::test]
async fn kubernetes_takes_every_object() {
    if !has_kubectl().await {
        return;
    }
    for overlay in OVERLAYS.map(overlay) {
        let manifests = Manifests::kustomize(&overlay);
        assert!(manifests.objects().len() > 10, "{}", overlay.display());
        manifests.objects().iter().filter(|object| !typed::is_custom(object)).for_each(typed::check);
    }
    let Some(validator) = Validator::install().await else { return };
    for overlay in OVERLAYS.map(overlay) {
        let manifests = Manifests::kustomize(&overlay);
        let (custom, known): (Vec<_>, Vec<_>) = manifests.objects().iter().partition(|object| typed::is_custom(object));
        let mut file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        for object in &known {
            writeln!(file, "---\n{object}").unwrap();
        }
        let said = validator.check(file.path());
        assert_eq!(said.matches("passed").count(), known.len(), "{said}");
        // With Prometheus' operator or without any.
        assert!([0, 2].contains(&custom.len()), "{custom:?}");
    }
}

/// What no schema here knows: it must at least find what it reads.
#[tokio::test]
async fn prometheus_finds_every_node_once() {
    if !has_kubectl().await {
        return;
    }
    let manifests = Manifests::kustomize(&overlay("rpc"));
    let monitor = &manifests.get("ServiceMonitor", "heddle-nodes")["spec"];
    let wanted = monitor["selector"]["matchLabels"].as_object().unwrap();
    let port = &monitor["endpoints"][0]["port"];
    // The rules look for nodes that are down by the name of the job.
    assert_eq!(wanted[monitor["jobLabel"].as_str().unwrap()], "heddle");
    for set in manifests.of_kind("StatefulSet") {
        let role = &set["metadata"]["labels"]["app.kubernetes.io/component"];
        let read = manifests.of_kind("Service").filter(|service| {
            let labels = &service["metadata"]["labels"];
            let is_selected = wanted.iter().all(|(label, value)| &labels[label] == value);
            let mut ports = service["spec"]["ports"].as_array().unwrap().iter();
            is_selected && &labels["app.kubernetes.io/component"] == role && ports.any(|named| &named["name"] == port)
        });
        assert_eq!(read.count(), 1, "{role}");
    }
}

/// The rules that `config/prometheus` has for everybody.
#[tokio::test]
async fn the_operators_rules_are_prometheus_own() {
    if !has_kubectl().await {
        return;
    }
    let rules = std::fs::read_to_string(config().join("prometheus/rules.yaml")).unwrap();
    let rules: Value = yaml_serde::from_str(&rules).unwrap();
    let manifests = Manifests::kustomize(&overlay("validators"));
    let rule = manifests.get("PrometheusRule", "heddle-rules");
    assert_eq!(
        rule["spec"], rules,
        "copy config/prometheus/rules.yaml below `spec` of base/monitoring/prometheus-rule.yaml"
    );
}

#[tokio::test]
async fn every_pod_is_confined_and_keeps_its_volume() {
    if !has_kubectl().await {
        return;
    }
    for manifests in OVERLAYS.map(overlay).map(|overlay| Manifests::kustomize(&overlay)) {
        for set in manifests.of_kind("StatefulSet") {
            assert_eq!(set["spec"]["podManagementPolicy"], "Parallel");
            let kept = json!({ "whenDeleted": "Retain", "whenScaled": "Retain" });
            assert_eq!(set["spec"]["persistentVolumeClaimRetentionPolicy"], kept);
            let pod = &set["spec"]["template"]["spec"];
            assert_eq!(pod["automountServiceAccountToken"], false);
            assert_eq!(pod["enableServiceLinks"], false, "a Service's variables are no options of the node");
            assert!(pod["terminationGracePeriodSeconds"].as_u64() >= Some(30));
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(pod["securityContext"]["seccompProfile"], json!({ "type": "RuntimeDefault" }));
            assert!(pod["affinity"]["podAntiAffinity"].is_object() && pod["topologySpreadConstraints"].is_array());
            let containers = [&pod["initContainers"], &pod["containers"]].map(|list| list.as_array().unwrap());
            for container in containers.into_iter().flatten() {
                let confined = json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                });
                assert_eq!(container["securityContext"], confined, "{}", container["name"]);
                assert!(container["resources"]["requests"].is_object() && container["resources"]["limits"].is_object());
            }
            check_company(&manifests, &set["metadata"]["name"]);
        }
    }
}

/// Each set has its budget, which lets one go.
fn check_company(manifests: &Manifests, name: &Value) {
    let budget = manifests.get("PodDisruptionBudget", name.as_str().unwrap());
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    let set = manifests.get("StatefulSet", name.as_str().unwrap());
    assert_eq!(budget["spec"]["selector"], set["spec"]["selector"]);
}

#[tokio::test]
async fn nothing_reaches_a_pod_but_what_a_policy_names() {
    if !has_kubectl().await {
        return;
    }
    for name in OVERLAYS {
        let manifests = Manifests::kustomize(&overlay(name));
        let deny = manifests.get("NetworkPolicy", "heddle-default-deny");
        assert_eq!(deny["spec"], json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
        for policy in manifests.of_kind("NetworkPolicy") {
            let metadata = &policy["metadata"]["name"];
            for rule in policy["spec"]["ingress"].as_array().into_iter().flatten() {
                let anybody = rule.get("from").is_none();
                assert!(!anybody || metadata == "heddle-p2p-public", "{name}: {metadata} lets anybody in");
                assert!(
                    rule["ports"].as_array().is_some_and(|ports| !ports.is_empty()),
                    "{name}: {metadata}: every port"
                );
            }
        }
        let public = manifests.of_kind("Ingress").flat_map(|ingress| ingress["spec"]["rules"].as_array().unwrap());
        for rule in public {
            let backend = &rule["http"]["paths"][0]["backend"]["service"];
            assert_eq!(backend, &json!({ "name": "heddle-rpc-http", "port": { "name": "http" } }));
            let service = manifests.get("Service", "heddle-rpc-http");
            let ports = service["spec"]["ports"].as_array().unwrap();
            assert!(matches!(&ports[..], [only] if only["targetPort"] == "http"), "{ports:?}");
        }
    }
}
