//! Kubernetes without a cluster: manifests are rendered by `kubectl` and `helm`, and the pods that they describe run as
//! processes.
//!
//! [`Manifests`] are what would be applied. [`Pod`] is one pod of a StatefulSet: its volumes are directories with the owners
//! and modes that a kubelet gives them, each container is a process in a mount namespace and a network namespace, with a
//! read-only root in which only the manifest's mounts stand, the manifest's user, environment and arguments, and a hosts file
//! for the cluster's DNS.

mod image;
mod manifests;
mod pod;
mod sandbox;
mod tools;
mod volumes;

pub use image::Image;
pub use manifests::{Manifests, differences};
pub use pod::{Pod, Probe};
pub use tools::{Validator, has_kubectl, helm};
