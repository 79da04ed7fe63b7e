//! Objects as they would be applied.

use super::tools::said;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// Rendered objects.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    objects: Vec<Value>,
}

impl Manifests {
    /// What `kubectl apply -k DIRECTORY` would apply.
    ///
    /// # Panics
    /// When it cannot be rendered.
    pub fn kustomize(directory: &Path) -> Self {
        Self::rendered(Command::new("kubectl").arg("kustomize").arg(directory))
    }

    /// What `helm install heddle CHART --namespace NAMESPACE --values VALUES` would apply.
    ///
    /// # Panics
    /// When it cannot be rendered.
    pub fn helm(helm: &Path, chart: &Path, namespace: &str, values: &Path) -> Self {
        let mut command = Command::new(helm);
        Self::rendered(command.args(["template", "heddle"]).arg(chart).args(["-n", namespace, "-f"]).arg(values))
    }

    fn rendered(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}:\n{}", said(&output));
        Self::parse(&String::from_utf8_lossy(&output.stdout))
    }

    /// Objects in YAML documents.
    ///
    /// # Panics
    /// When they are none.
    pub fn parse(text: &str) -> Self {
        let documents = format!("\n{text}\n");
        let objects = documents.split("\n---\n").map(|document| yaml_serde::from_str::<Value>(document).unwrap());
        Self { objects: objects.filter(|object| !object.is_null()).collect() }
    }

    /// All of them.
    pub fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// Together with others.
    pub fn and(mut self, others: Self) -> Self {
        self.objects.extend(others.objects);
        self
    }

    /// Those with this label.
    pub fn having(mut self, label: &str, value: &str) -> Self {
        self.objects.retain(|object| object["metadata"]["labels"][label] == value);
        self
    }

    /// The objects by kind and name.
    ///
    /// # Panics
    /// When two have one name.
    pub fn by_name(&self) -> BTreeMap<(String, String), &Value> {
        let mut named = BTreeMap::new();
        for object in &self.objects {
            let name = (text(&object["kind"]), text(&object["metadata"]["name"]));
            assert!(named.insert(name.clone(), object).is_none(), "{name:?} is there twice");
        }
        named
    }

    /// An object.
    ///
    /// # Panics
    /// When there is none.
    pub fn get(&self, kind: &str, name: &str) -> &Value {
        let named = self.by_name();
        named.get(&(kind.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {kind} {name}: {:?}", named.keys()))
    }

    /// Every object of a kind.
    pub fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |object| object["kind"] == kind)
    }
}

/// Where two objects differ, with both values.
pub fn differences(left: &Value, right: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differ("", left, right, &mut found);
    found
}

fn differ(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            for key in BTreeSet::from_iter(one.keys().chain(other.keys())) {
                differ(&format!("{path}/{key}"), &left[key], &right[key], found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (left, right)) in one.iter().zip(other).enumerate() {
                differ(&format!("{path}/{index}"), left, right, found);
            }
        }
        _ if left == right => {}
        _ => found.push(format!("{path}: {left} and {right}")),
    }
}

/// A string in an object.
///
/// # Panics
/// When it is none.
pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no string")).to_owned()
}

/// The entries of a list in an object; none where there is no such list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
