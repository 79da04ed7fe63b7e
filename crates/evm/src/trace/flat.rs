//! go-ethereum's `flatCallTracer`: Parity's traces, with some words of its own.

use super::TraceError;
use alloy_rpc_types_trace::parity::LocalizedTransactionTrace;
use serde_json::Value;

/// The traces as go-ethereum writes them; with Parity's texts of errors if the caller wants those.
pub(crate) fn flat_calls(
    mut traces: Vec<LocalizedTransactionTrace>,
    has_parity_errors: bool,
) -> Result<Vec<Value>, TraceError> {
    if !has_parity_errors {
        for error in traces.iter_mut().filter_map(|trace| trace.trace.error.as_mut()) {
            if let Some(text) = error_text(error) {
                text.clone_into(error);
            }
        }
    }
    let without_method = |trace: LocalizedTransactionTrace| {
        let mut json = serde_json::to_value(trace).map_err(|error| TraceError::Internal(error.to_string()))?;
        if let Some(action) = json.get_mut("action").and_then(Value::as_object_mut) {
            action.remove("creationMethod");
        }
        Ok(json)
    };
    traces.into_iter().map(without_method).collect()
}

/// go-ethereum's text for what Parity says of a frame that failed.
fn error_text(parity: &str) -> Option<&'static str> {
    Some(match parity {
        "Reverted" => "execution reverted",
        "Out of gas" => "out of gas",
        "Bad instruction" => "invalid opcode",
        "Bad jump destination" => "invalid jump destination",
        "Stack underflow" => "stack underflow",
        "Out of stack" => "stack limit reached",
        "Mutable Call In Static Context" => "write protection",
        "Out of bounds" => "return data out of bounds",
        "Invalid code" => "invalid code: must not begin with 0xef",
        "Contract address collision" => "contract address collision",
        "Insufficient balance for transfer" => "insufficient balance for transfer",
        "Nonce overflow" => "nonce uint64 overflow",
        "Max call depth exceeded" => "max call depth exceeded",
        _ => return None,
    })
}
