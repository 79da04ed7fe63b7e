//! Any bytes as a message: each is answered as JSON-RPC says, or not at all if it only notifies, and none makes the node fail.
//!
//! Calls of every method are cut, turned and spliced. A test takes some thousand of them. `HEDDLE_FUZZ_SECONDS` takes as many as
//! fit into so long, and `HEDDLE_FUZZ_SEED` begins with other ones.

use crate::client::Connection;
use crate::hostile::{INTERNAL_ERROR, methods, palette, serving_all};
use crate::node::{LOGGER, transaction};
use alloy_primitives::B256;
use heddle_rpc::RpcLimits;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Messages without a time.
const MESSAGES: usize = 5_000;
/// Connections at a time.
const CONNECTIONS: u64 = 4;
/// Pieces of messages.
const TOKENS: [&str; 24] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "-1",
    "1e999",
    "\"\\ud800\"",
    "\"id\":",
    "\"id\":{}",
    "\"method\":",
    "\"params\":",
    "\"jsonrpc\":\"2.0\"",
    "\0",
    "\u{feff}",
    "\n",
    "[[[[[[[[",
    "0xffffffffffffffff",
    "9007199254740993",
];

/// What a fuzzer of messages does.
struct Fuzzer {
    random: StdRng,
    methods: Vec<(String, usize)>,
    palette: Vec<Value>,
}

impl Fuzzer {
    fn call(&mut self) -> Value {
        let (method, arguments) = self.methods.choose(&mut self.random).unwrap().clone();
        let count = self.random.random_range(0..=arguments + 1);
        let params = Vec::from_iter((0..count).map(|_| self.palette.choose(&mut self.random).unwrap().clone()));
        let mut call = json!({"jsonrpc": "2.0", "method": method, "params": params});
        if self.random.random_ratio(9, 10) {
            call["id"] = json!(self.random.random_range(0..3));
        }
        call
    }

    fn message(&mut self) -> Vec<u8> {
        let calls = self.random.random_range(0..4);
        let mut message = match calls {
            0 => Value::from_iter((0..self.random.random_range(0..5)).map(|_| self.call())),
            _ => self.call(),
        }
        .to_string()
        .into_bytes();
        for _ in 0..self.random.random_range(0..4) {
            self.change(&mut message);
        }
        message
    }

    /// Somewhere in a message, its end included.
    fn place(&mut self, message: &[u8]) -> usize {
        self.random.random_range(0..=message.len())
    }

    fn change(&mut self, message: &mut Vec<u8>) {
        let (one, other) = (self.place(message), self.place(message));
        let (from, to) = (one.min(other), one.max(other).min(one.min(other) + 64));
        match self.random.random_range(0..5) {
            0 => drop(message.drain(from..to)),
            1 => {
                let twice = message[from..to].to_vec();
                message.splice(to..to, twice);
            }
            2 => {
                let token = TOKENS.choose(&mut self.random).unwrap();
                message.splice(from..from, token.bytes());
            }
            3 => message[from..to].iter_mut().take(1).for_each(|byte| *byte = self.random.random()),
            _ => {
                let rest = self.call().to_string().into_bytes();
                let start = self.place(&rest);
                message.splice(from.., rest[start..].iter().copied());
            }
        }
    }
}

/// Whether this is an answer to one call; the node's own failure is none.
fn is_answer(answer: &Value) -> bool {
    let is_error = |error: &Value| {
        error["message"].is_string() && error["code"].as_i64().is_some_and(|code| code != INTERNAL_ERROR)
    };
    let has_id = answer.get("id").is_some_and(|id| id.is_null() || id.is_number() || id.is_string());
    let (result, error) = (answer.get("result"), answer.get("error"));
    answer["jsonrpc"] == "2.0" && has_id && (result.is_some() != error.is_some()) && error.is_none_or(is_error)
}

/// Whether nobody waits for an answer to this.
fn only_notifies(message: &[u8]) -> bool {
    let notifies = |call: &Value| call.is_object() && call.get("id").is_none();
    match serde_json::from_slice::<Value>(message) {
        Ok(Value::Array(calls)) => calls.iter().all(notifies),
        Ok(call) => notifies(&call),
        // What the test's own parser does not take the server may.
        Err(_) => true,
    }
}

fn check(message: &[u8], answer: &str) {
    let is_well = match serde_json::from_str::<Value>(answer) {
        Ok(Value::Array(answers)) => !answers.is_empty() && answers.iter().all(is_answer),
        Ok(answer) => is_answer(&answer),
        Err(_) => answer.is_empty() && only_notifies(message),
    };
    assert!(is_well, "{} -> {answer}", message.escape_ascii());
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap_or_else(|_| panic!("{name} is no number")))
}

#[tokio::test(flavor = "multi_thread")]
async fn any_message_is_answered() {
    // Endless calls end soon: there are many.
    let (call_time, trace_time) = (Duration::from_millis(20), Duration::from_millis(20));
    let limits = RpcLimits { call_time, trace_time, call_gas: 1_000_000, ..RpcLimits::default() };
    let node = serving_all(limits).await;
    let sent = transaction(0, 0, LOGGER, 0, B256::repeat_byte(7));
    node.mine_all(&[&sent]).await;
    let known = [json!(sent.tx_hash()), json!(node.chain.head().hash()), json!(LOGGER), json!("0x1")];

    let (seed, time) =
        (setting("HEDDLE_FUZZ_SEED").unwrap_or(9), setting("HEDDLE_FUZZ_SECONDS").map(Duration::from_secs));
    let (started, address) = (Instant::now(), node.address());
    let fuzzing = (0..CONNECTIONS).map(|number| {
        let random = StdRng::seed_from_u64(seed.wrapping_mul(CONNECTIONS).wrapping_add(number));
        let mut fuzzer = Fuzzer { random, methods: methods(), palette: palette(&known) };
        tokio::spawn(async move {
            let (mut connection, mut messages) = (Connection::new(address), 0);
            while time.map_or(messages < MESSAGES / CONNECTIONS as usize, |time| started.elapsed() < time) {
                let message = fuzzer.message();
                let answer = connection.post(&message).await;
                check(&message, &answer.body);
                messages += 1;
            }
            messages
        })
    });
    let mut messages = 0;
    for fuzzing in Vec::from_iter(fuzzing) {
        messages += fuzzing.await.unwrap();
    }
    println!("{messages} messages, {:.0} a second", messages as f64 / started.elapsed().as_secs_f64());
    assert_eq!(node.get("eth_chainId", json!([])).await, "0x7a69");
}
