//! The manifests that the binary brings along.

/// A file of `config/kubernetes/base`: its name there, and its content.
macro_rules! base {
    ($($name:literal,)*) => {
        &[$(($name, include_str!(concat!("../../../config/kubernetes/base/", $name))),)*]
    };
}

/// The manifests of the roles, and what they have in common.
pub const FILES: &[(&str, &str)] = base![
    "common/kustomization.yaml",
    "common/namespace.yaml",
    "common/network-policies.yaml",
    "common/service-account.yaml",
    "full/kustomization.yaml",
    "full/statefulset.yaml",
    "node/disruption-budget.yaml",
    "node/kustomization.yaml",
    "node/service.yaml",
    "node/statefulset.yaml",
    "rpc/headless.yaml",
    "rpc/ingress.yaml",
    "rpc/kustomization.yaml",
    "rpc/service.yaml",
    "rpc/statefulset.yaml",
    "validator/kustomization.yaml",
    "validator/statefulset.yaml",
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn no_file_is_forgotten() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/kubernetes/base");
        let mut found = BTreeSet::new();
        for part in ["common", "node", "validator", "full", "rpc"] {
            for entry in std::fs::read_dir(base.join(part)).unwrap() {
                found.insert(format!("{part}/{}", entry.unwrap().file_name().to_string_lossy()));
            }
        }
        assert_eq!(found, FILES.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}
