//! What callers may take: each bound is reached from outside.

use crate::client::{call, post, request};
use crate::node::TestNode;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nothing here takes that long, however busy the machine is.
const DEADLINE: Duration = Duration::from_secs(60);

async fn start(limits: RpcLimits) -> TestNode {
    TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await
}

fn chain_id(id: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId"})
}

async fn connect(node: &TestNode) -> TcpStream {
    TcpStream::connect(node.address()).await.unwrap()
}

/// All that the server says until it ends the connection.
pub async fn rest(mut stream: TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut said)).await;
    // An end by force is an end, too.
    drop(read.expect("the server does not end the connection"));
    String::from_utf8_lossy(&said).into_owned()
}

/// The value of a metric.
pub fn metric(node: &TestNode, name: &str) -> u64 {
    let text = node.metrics();
    let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("{name} is not in\n{text}")).parse().unwrap()
}

pub fn refused(node: &TestNode, limit: &str) -> u64 {
    metric(node, &format!("rpc_refused_total{{limit=\"{limit}\"}}"))
}

/// Waits until something is so.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("{what} does not come"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_count_and_the_next_is_turned_away_at_once() {
    let node = start(RpcLimits { connections: 3, header_timeout: DEADLINE, ..RpcLimits::default() }).await;
    let mut silent = vec![connect(&node).await, connect(&node).await, connect(&node).await];
    until("the third connection", || metric(&node, "rpc_connections{transport=\"http\"}") == 3).await;
    let turned_away = rest(connect(&node).await).await;
    if !turned_away.is_empty() {
        let (head, body) = turned_away.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 503") && head.contains(&format!("Content-Length: {}", body.len())),
            "{head}"
        );
        assert_eq!(serde_json::from_str::<Value>(body).unwrap()["error"]["code"], -32005);
    }
    assert_eq!(refused(&node, "connections"), 1);
    drop(silent.pop());
    until("a place", || metric(&node, "rpc_connections{transport=\"http\"}") == 2).await;
    assert_eq!(call(node.address(), "eth_chainId", json!([])).await, Ok(json!("0x7a69")));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_bodies_and_silence_have_their_time() {
    let short = Duration::from_millis(50);
    let node = start(RpcLimits { header_timeout: short, ..RpcLimits::default() }).await;
    assert_eq!(rest(connect(&node).await).await, "");
    let mut stream = connect(&node).await;
    stream.write_all(b"POST / HTTP/1.1\r\nHost: local").await.unwrap();
    assert_eq!(rest(stream).await, "");

    let node = start(RpcLimits { body_timeout: short, ..RpcLimits::default() }).await;
    let mut stream = connect(&node).await;
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head).await.unwrap();
    let answer = rest(stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert_eq!(refused(&node, "body_time"), 1);

    let node = start(RpcLimits { idle_timeout: short, ..RpcLimits::default() }).await;
    let mut stream = connect(&node).await;
    let call = chain_id(1).to_string();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
    stream.write_all(format!("{head}Content-Length: {}\r\n\r\n{call}", call.len()).as_bytes()).await.unwrap();
    assert!(rest(stream).await.ends_with(r#""result":"0x7a69"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn depth_is_bounded_also_in_batches() {
    let node = start(RpcLimits::default()).await;
    let nested = |levels: usize| {
        let value: Value = serde_json::from_str(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))).unwrap();
        json!({"jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": value})
    };
    // The call's own object is the first level.
    let code = |answer: &Value| answer["error"]["code"].as_i64();
    assert_eq!(code(&post(node.address(), nested(63).to_string()).await.json()), Some(-32602));
    let answer = post(node.address(), nested(64).to_string()).await.json();
    assert_eq!(code(&answer), Some(-32600), "{answer}");
    let answer = post(node.address(), json!([nested(64), chain_id(2), nested(63)]).to_string()).await.json();
    assert_eq!(
        (code(&answer[0]), &answer[1]["result"], code(&answer[2])),
        (Some(-32600), &json!("0x7a69"), Some(-32602))
    );
    assert_eq!(refused(&node, "depth"), 2);
    for deep in ["[", "{\"a\":", "[{\"params\":["] {
        let params = deep.repeat(100_000);
        for body in [format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{params}"#), params] {
            assert_eq!(code(&post(node.address(), body).await.json()), Some(-32700));
        }
    }
    let closed = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
    for body in [
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{closed}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":{closed},"method":"eth_call"}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","more":{closed},"params":[]}}"#),
    ] {
        assert!(code(&post(node.address(), body).await.json()).is_some());
    }
    let batch = post(node.address(), closed).await.json();
    assert_eq!(code(&batch[0]), Some(-32600), "{batch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_ends_when_its_answer_is_full() {
    let block = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", false]});
    let node = start(RpcLimits { response_bytes: 5_000, ..RpcLimits::default() }).await;
    let answer = post(node.address(), Value::Array(vec![block; 20]).to_string()).await.json();
    let answers = answer.as_array().unwrap();
    let codes: Vec<_> = answers.iter().map(|answer| answer["error"]["code"].as_i64()).collect();
    let full = codes.iter().position(Option::is_some).unwrap();
    assert!(full > 0 && codes.len() == 20, "{codes:?}");
    assert!(codes[full + 1..].iter().all(|code| *code == Some(-32003)), "{codes:?}");
    // The first that did not fit was carried out, the rest was not.
    let name = "rpc_requests_total{method=\"eth_getBlockByNumber\",code=\"0\"}";
    assert_eq!(metric(&node, name), full as u64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_its_time() {
    let node = start(RpcLimits { batch_time: Duration::ZERO, ..RpcLimits::default() }).await;
    let block = |id| json!({"jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["latest", false]});
    let answer = post(node.address(), json!([block(1), block(2)]).to_string()).await.json();
    for (answer, id) in answer.as_array().unwrap().iter().zip(1..) {
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32002)), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_for_requests_and_answers_is_bounded() {
    let limits = RpcLimits { buffered_bytes: 64 * 1024, body_timeout: DEADLINE, ..RpcLimits::default() };
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let node = TestNode::start_with(RpcConfig { port: 0, limits, trusted_proxies, ..RpcConfig::default() }, None).await;
    let head =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n";
    let unfinished = [head.as_bytes(), &vec![b' '; 28 * 1024]].concat();
    let blank = async |caller: &str, kibibytes: usize| {
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", caller)];
        request(node.address(), "POST", &headers, &vec![b' '; kibibytes * 1024]).await
    };
    let (one, other) = ("127.0.0.1", "1.1.1.1");
    let mut streams = Vec::new();
    // A request that does not come to its end holds what has come of it, unless another was before it in memory: then it is
    // itself the one that is refused.
    while blank(one, 32).await.status != 503 || blank(other, 20).await.status != 503 {
        let mut stream = connect(&node).await;
        stream.write_all(&unfinished).await.unwrap();
        streams.push(stream);
    }
    assert_eq!(blank(one, 32).await.json()["error"]["code"], -32005);
    assert_eq!(blank(other, 16).await.status, 400, "an address leaves others as much as it holds");
    drop(streams);
    while blank(one, 32).await.status != 400 {}
}

/// The calls before are carried out; that there is no memory for the next answer is what all are told, as far as it goes.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_without_memory_is_refused_call_by_call() {
    let node = start(RpcLimits { buffered_bytes: 64 * 1024, ..RpcLimits::default() }).await;
    // What is sent holds some of the memory, and is answered with half as much again, several times.
    let call = |id| json!({"jsonrpc": "2.0", "id": id, "method": "web3_clientVersion", "params": []});
    let block = |id| json!({"jsonrpc": "2.0", "id": id, "method": "eth_getBlockByNumber", "params": ["0x0", true]});
    let calls = Vec::from_iter((1..=100).map(|id| if id == 1 { call(id) } else { block(id) }));
    let answer = post(node.address(), Value::Array(calls).to_string()).await;
    let told = answer.json();
    let ids = told.as_array().unwrap().iter().map(|answer| {
        assert_eq!(answer["error"]["code"], -32005, "{answer}");
        answer["id"].as_u64().unwrap()
    });
    assert_eq!((answer.status, Vec::from_iter(ids)), (503, Vec::from_iter(1..=100)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_its_calls_a_second() {
    let node = start(RpcLimits { calls_per_second: NonZeroU32::new(2), ..RpcLimits::default() }).await;
    let batch = json!([chain_id(1), chain_id(2)]).to_string();
    assert_eq!(post(node.address(), &batch).await.status, 200);
    let mut answer = post(node.address(), &batch).await;
    while answer.status == 200 {
        answer = post(node.address(), &batch).await;
    }
    let told = answer.json();
    let told = told.as_array().unwrap().iter().map(|answer| (&answer["id"], &answer["error"]["code"]));
    let expected = [(&json!(1), &json!(-32005)), (&json!(2), &json!(-32005))];
    assert_eq!((answer.status, Vec::from_iter(told)), (429, expected.to_vec()));
    let wait = answer.head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
    assert!((1..=2).contains(&wait.parse::<u64>().unwrap()), "{wait}");
    assert!(refused(&node, "rate") >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trusted_proxy_names_the_caller() {
    let limits = RpcLimits { calls_per_second: NonZeroU32::new(1), ..RpcLimits::default() };
    let config =
        RpcConfig { port: 0, limits, trusted_proxies: vec!["127.0.0.0/8".parse().unwrap()], ..RpcConfig::default() };
    let node = TestNode::start_with(config, None).await;
    for caller in ["1.1.1.1", "2.2.2.2", "3.3.3.3, 127.0.0.2"] {
        let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", caller)];
        let answer = request(node.address(), "POST", &headers, chain_id(1).to_string().as_bytes()).await;
        assert_eq!(answer.status, 200, "{caller}");
    }
}
