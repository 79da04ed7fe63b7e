//! `rpc_modules`: what is served here. go-ethereum's console asks it first.

use crate::error::MethodError;
use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The namespaces that a caller is served.
#[derive(Clone, Debug)]
pub(crate) struct Namespaces(pub(crate) Arc<[&'static str]>);

impl Namespaces {
    /// Whether the method is in one of them; what tells a caller of them is everybody's.
    pub(crate) fn have(&self, method: &str) -> bool {
        let namespace = method.split(['_', '.']).next().unwrap_or_default();
        namespace == "rpc" || self.0.contains(&namespace)
    }
}

/// Every namespace has this version, as go-ethereum's have.
const VERSION: &str = "1.0";

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.of_caller("rpc_modules", modules)
}

fn modules(namespaces: &Namespaces) -> Result<BTreeMap<&'static str, &'static str>, MethodError> {
    Ok(namespaces.0.iter().map(|namespace| (*namespace, VERSION)).chain([("rpc", VERSION)]).collect())
}
