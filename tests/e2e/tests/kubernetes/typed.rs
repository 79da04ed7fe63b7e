//! Objects as Kubernetes' own types, which know every field.

use heddle_e2e::kubernetes::differences;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::{Ingress, NetworkPolicy};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use serde_json::{Result, Value, from_value, to_value};

/// Kinds that the Prometheus operator brings: Kubernetes has no types of them.
const CUSTOM: [&str; 2] = ["ServiceMonitor", "PrometheusRule"];

/// Whether the object is of a kind that only an operator knows.
pub fn is_custom(object: &Value) -> bool {
    object["apiVersion"] == "monitoring.coreos.com/v1" && CUSTOM.iter().any(|kind| object["kind"] == *kind)
}

/// Checks that nothing of an object is lost when it is read as its type and written again.
///
/// # Panics
/// When something is, or it is of another kind.
pub fn check(object: &Value) {
    let mut object = object.clone();
    if object["kind"] == "Secret" {
        // kustomize breaks long lines of base64, and Kubernetes passes over the ends of lines.
        for (_, value) in object["data"].as_object_mut().unwrap() {
            *value = value.as_str().unwrap().replace('\n', "").into();
        }
    }
    let taken = again(&object).unwrap_or_else(|error| panic!("{error}: {object:#}"));
    let lost = differences(&taken, &object);
    assert!(lost.is_empty(), "not as Kubernetes knows it: {lost:#?}");
}

fn again(object: &Value) -> Result<Value> {
    let object = object.clone();
    match (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap()) {
        ("apps/v1", "StatefulSet") => to_value(from_value::<StatefulSet>(object)?),
        ("v1", "ConfigMap") => to_value(from_value::<ConfigMap>(object)?),
        ("v1", "Namespace") => to_value(from_value::<Namespace>(object)?),
        ("v1", "Secret") => to_value(from_value::<Secret>(object)?),
        ("v1", "Service") => to_value(from_value::<Service>(object)?),
        ("v1", "ServiceAccount") => to_value(from_value::<ServiceAccount>(object)?),
        ("networking.k8s.io/v1", "Ingress") => to_value(from_value::<Ingress>(object)?),
        ("networking.k8s.io/v1", "NetworkPolicy") => to_value(from_value::<NetworkPolicy>(object)?),
        ("policy/v1", "PodDisruptionBudget") => to_value(from_value::<PodDisruptionBudget>(object)?),
        (version, kind) => panic!("no type for {kind} of {version}"),
    }
}

#[test]
#[should_panic(expected = "not as Kubernetes knows it")]
fn a_misspelt_field_is_found() {
    check(&serde_json::json!({ "apiVersion": "v1", "kind": "ServiceAccount", "automountServiceAccountTokens": false }));
}
