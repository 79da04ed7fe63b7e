//! What is asked.

use super::traffic::{ANNOUNCER, Traffic, USUAL_BLOCKS, balance_of};
use serde_json::{Value, json};

/// Blocks of a search for logs.
const SEARCHED: u64 = 1_000;
/// Different calls of a question, where there are different ones.
const VARIANTS: u64 = 500;

/// A method with the calls that are made in turn.
pub struct Question {
    /// For people, and in the report.
    pub name: &'static str,
    /// The calls, as JSON-RPC.
    pub calls: Vec<String>,
}

impl Question {
    fn new(name: &'static str, method: &str, params: impl Iterator<Item = Value>) -> Self {
        let call = |params| json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        Self { name, calls: params.map(call).collect() }
    }
}

/// The questions about a chain with so many blocks of announcements.
pub fn questions(traffic: &Traffic, log_blocks: u64) -> Vec<Question> {
    let hex = |number: u64| json!(format!("{number:#x}"));
    let variants = || 0..VARIANTS;
    let balance = |n| json!([traffic.holder(n), "latest"]);
    let call = |n| {
        let (to, data) = balance_of(traffic.holder(n));
        json!([{ "to": to, "data": data }, "latest"])
    };
    let logs = |n: u64| {
        // Steps that have no common divisor with the range reach all of it.
        let from = 1 + n * 7_919 % (log_blocks - SEARCHED + 1);
        let (transfer, recipient) = traffic.topics(n);
        let topics = json!([transfer, null, recipient]);
        json!([{ "fromBlock": hex(from), "toBlock": hex(from + SEARCHED - 1), "address": ANNOUNCER, "topics": topics }])
    };
    let usual = |n: u64| json!([hex(log_blocks + 1 + n % USUAL_BLOCKS), true]);
    let largest = hex(log_blocks + USUAL_BLOCKS + 1);
    vec![
        Question::new("eth_blockNumber", "eth_blockNumber", [json!([])].into_iter()),
        Question::new("eth_getBalance", "eth_getBalance", variants().map(balance)),
        Question::new("eth_call, balanceOf", "eth_call", variants().map(call)),
        Question::new("eth_getLogs over 1,000 blocks", "eth_getLogs", variants().map(logs)),
        Question::new("eth_getBlockByNumber, 200 transactions", "eth_getBlockByNumber", variants().map(usual)),
        Question::new(
            "eth_getBlockReceipts, the largest block",
            "eth_getBlockReceipts",
            [json!([largest])].into_iter(),
        ),
    ]
}
