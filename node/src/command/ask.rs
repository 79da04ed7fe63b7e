//! Asking a running node.

use serde_json::{Value, json};
use std::error::Error;
use std::time::Duration;

/// How long a node may take to answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Calls a method of the JSON-RPC server at `url`.
///
/// # Errors
/// When there is no answer, or the answer is an error: in the node's words.
pub fn ask(url: &str, method: &str, params: Value) -> Result<Value, Box<dyn Error>> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let agent = ureq::Agent::from(ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).build());
    let mut response: Value = agent.post(url).send_json(&request)?.body_mut().read_json()?;
    match response.get("error") {
        None => Ok(response["result"].take()),
        Some(error) => Err(error["message"].as_str().unwrap_or("an error without a message").into()),
    }
}
