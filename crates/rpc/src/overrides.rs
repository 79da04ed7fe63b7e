//! What a single call pretends about its block.

use crate::arguments::read_twice;
use crate::error::MethodError;
use crate::quantities::{Argument, Shape};
use alloy_rpc_types_eth::BlockOverrides;
use alloy_rpc_types_trace::geth::GethDebugTracingCallOptions;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

/// A block's overrides, with what the library's type of them leaves out.
#[derive(Default)]
pub(crate) struct CallBlock {
    overrides: BlockOverrides,
    beside: Beside,
}

/// Only blocks that are made credit withdrawals: those of `eth_simulateV1`.
#[derive(Default, Deserialize)]
struct Beside {
    withdrawals: Option<IgnoredAny>,
}

impl Beside {
    fn refused(&self) -> Result<(), MethodError> {
        let reason = r#"block override "withdrawals" is not supported for this RPC method"#;
        self.withdrawals.map_or(Ok(()), |_| Err(MethodError::Rejected(reason.to_owned())))
    }
}

impl CallBlock {
    /// What a call can pretend.
    ///
    /// # Errors
    /// [`MethodError::Rejected`] for withdrawals, in go-ethereum's words. What else a call cannot have, the executor refuses.
    pub(crate) fn supported(self) -> Result<BlockOverrides, MethodError> {
        self.beside.refused().map(|()| self.overrides)
    }
}

impl Argument for CallBlock {
    const SHAPE: Shape = Shape::Object;
}

impl<'de> Deserialize<'de> for CallBlock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_twice(deserializer).map(|(overrides, beside)| Self { overrides, beside })
    }
}

/// The options of `debug_traceCall`, which hold a block's overrides.
#[derive(Default)]
pub(crate) struct TracedCallOptions {
    options: GethDebugTracingCallOptions,
    beside: Beside,
}

impl TracedCallOptions {
    /// As [`CallBlock::supported`].
    pub(crate) fn supported(self) -> Result<GethDebugTracingCallOptions, MethodError> {
        self.beside.refused().map(|()| self.options)
    }
}

impl Argument for TracedCallOptions {
    const SHAPE: Shape = Shape::Object;
}

impl<'de> Deserialize<'de> for TracedCallOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Blocks {
            block_overrides: Option<Beside>,
        }
        let (options, Blocks { block_overrides }) = read_twice(deserializer)?;
        Ok(Self { options, beside: block_overrides.unwrap_or_default() })
    }
}
