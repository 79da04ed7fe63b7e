//! The `erigon` namespace: what tools made for Erigon ask for.

use crate::eth::headers;
use crate::registry::Registry;
use jsonrpsee::server::RegisterMethodError;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.read("erigon_getHeaderByNumber", &["block"], headers::by_number)?;
    registry.read("erigon_getHeaderByHash", &["blockHash"], headers::by_hash)
}
