//! `config/kubernetes`: what is rendered is what Kubernetes takes, the chart is the overlays, and the pods that are described
//! run.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod chart;
mod generated;
mod network;
mod pods;
mod rendered;
mod typed;

use std::path::{Path, PathBuf};

/// The overlays, as their directories are called.
const OVERLAYS: [&str; 3] = ["devnet", "validators", "rpc"];

/// The directory under test.
fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config")
}

fn overlay(name: &str) -> PathBuf {
    config().join("kubernetes/overlays").join(name)
}
