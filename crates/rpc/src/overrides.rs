//! What a single call pretends about its block.

use crate::arguments::{Arguments, Twice};
use crate::error::MethodError;
use alloy_rpc_types_eth::BlockOverrides;
use alloy_rpc_types_trace::geth::GethDebugTracingCallOptions;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// What the library's type of a block's overrides leaves out.
#[derive(Default, Deserialize)]
struct Beside {
    withdrawals: Option<IgnoredAny>,
}

impl Beside {
    /// # Errors
    /// In go-ethereum's words: only the blocks that `eth_simulateV1` makes credit withdrawals. What else a call cannot have,
    /// the executor refuses.
    fn refused(self) -> Result<(), MethodError> {
        let reason = r#"block override "withdrawals" is not supported for this RPC method"#;
        self.withdrawals.map_or(Ok(()), |_| Err(MethodError::Rejected(reason.to_owned())))
    }
}

/// The next argument, the overrides of a call's block.
pub(crate) fn call_block(arguments: &mut Arguments<'_>) -> Result<BlockOverrides, MethodError> {
    let Twice(overrides, beside): Twice<_, Beside> = arguments.optional()?.unwrap_or_default();
    beside.refused().map(|()| overrides)
}

/// The next argument, the options of a traced call, which hold the overrides of its block.
pub(crate) fn traced_call(arguments: &mut Arguments<'_>) -> Result<GethDebugTracingCallOptions, MethodError> {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Blocks {
        block_overrides: Option<Beside>,
    }
    let Twice(options, Blocks { block_overrides }) = arguments.optional()?.unwrap_or_default();
    block_overrides.unwrap_or_default().refused().map(|()| options)
}
