//! `heddle validators`: who decides, from a running node.

use super::ask::ask;
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use std::error::Error;

/// Options of `heddle validators`.
#[derive(Args)]
pub struct ValidatorsArgs {
    /// A node's JSON-RPC, with the namespace `heddle`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8545", value_hint = ValueHint::Url)]
    rpc: String,
    /// The height that they decide [default: that of the last block].
    #[arg(long, value_name = "NUMBER")]
    height: Option<u64>,
}

/// Runs `heddle validators`.
pub fn run(args: ValidatorsArgs) -> Result<Value, Box<dyn Error>> {
    let block = args.height.map_or(json!("latest"), |height| json!(format!("{height:#x}")));
    let result = ask(&args.rpc, "heddle_getValidators", json!([block])).map_err(|error| match error.is_nobody() {
        true => format!("nobody listens on {}: start a node with --http, or name another one with --rpc", args.rpc),
        false => format!("{}: {error}", args.rpc),
    })?;
    if result.is_null() {
        return Err("that height belongs to a later epoch, whose validators are not known yet".into());
    }
    print(&result);
    Ok(result)
}

fn print(set: &Value) {
    let number = |value: &Value| {
        let digits = value.as_str().unwrap_or_default().trim_start_matches("0x");
        u64::from_str_radix(digits, 16).unwrap_or_default()
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let members = set["validators"].as_array().map(Vec::as_slice).unwrap_or_default();
    let (height, epoch, total) = (number(&set["number"]), number(&set["epoch"]), number(&set["totalPower"]));
    tell!("height {height}, epoch {epoch}: {} validators of power {total}", members.len());
    tell!("{:<42}  {:>12}  {:>6}  {:<42}  PUBLIC KEY", "ADDRESS", "POWER", "SHARE", "FEE RECIPIENT");
    for member in members {
        let power = number(&member["power"]);
        let share = 100.0 * power as f64 / total.max(1) as f64;
        let (address, fees, key) =
            (text(&member["address"]), text(&member["feeRecipient"]), text(&member["publicKey"]));
        tell!("{address:<42}  {power:>12}  {share:>5.1}%  {fees:<42}  {key}");
    }
}
