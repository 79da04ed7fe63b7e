//! WebSockets by hand: what a proper client does not do.

use crate::client::request;
use crate::limits::{metric, refused, until};
use crate::node::TestNode;
use heddle_rpc::{RpcConfig, RpcLimits};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(60);
const TEXT: u8 = 1;
const PING: u8 = 9;
const PONG: u8 = 10;

/// A frame as a client sends it; its mask is zero.
fn frame(opcode: u8, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = announced(opcode, is_last, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// The head of a frame.
fn announced(opcode: u8, is_last: bool, length: usize) -> Vec<u8> {
    let mut head = vec![opcode | if is_last { 0x80 } else { 0 }];
    if length < 126 {
        head.push(0x80 | u8::try_from(length).unwrap());
    } else {
        head.push(0x80 | 127);
        head.extend_from_slice(&(length as u64).to_be_bytes());
    }
    head.extend_from_slice(&[0; 4]);
    head
}

async fn open(node: &TestNode) -> TcpStream {
    let mut stream = TcpStream::connect(node.address()).await.unwrap();
    let handshake = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.starts_with("http/1.1 101") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
    stream
}

/// The next frame that the server sends.
async fn next(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let reading = async {
        let (first, second) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        let length = match second {
            126 => u64::from(stream.read_u16().await.unwrap()),
            127 => stream.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        stream.read_exact(&mut payload).await.unwrap();
        (first & 0x0f, payload)
    };
    tokio::time::timeout(DEADLINE, reading).await.unwrap()
}

fn call(method: &str, params: Value) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string().into_bytes()
}

async fn start(limits: RpcLimits) -> TestNode {
    TestNode::start_with(RpcConfig { port: 0, limits, ..RpcConfig::default() }, None).await
}

#[tokio::test(flavor = "multi_thread")]
async fn fragments_become_one_message_and_pings_between_them_are_answered() {
    let node = TestNode::start().await;
    let mut stream = open(&node).await;
    let text = call("eth_chainId", json!([]));
    let (one, two) = text.split_at(10);
    let whole =
        [frame(TEXT, false, one), frame(PING, true, b"there?"), frame(PONG, true, b""), frame(0, true, two)].concat();
    // Byte by byte.
    for byte in whole {
        stream.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(next(&mut stream).await, (PONG, b"there?".to_vec()));
    let (opcode, answer) = next(&mut stream).await;
    assert_eq!((opcode, serde_json::from_slice::<Value>(&answer).unwrap()["result"].clone()), (TEXT, json!("0x7a69")));
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_frames_end_the_connection() {
    let node = TestNode::start().await;
    for bytes in [
        &[0x81, 0x02, b'{', b'}'][..], // not masked
        &[0xf1, 0x80, 0, 0, 0, 0],     // reserved bits
        &[0x83, 0x80, 0, 0, 0, 0],     // reserved opcode
        &[0x80, 0x80, 0, 0, 0, 0],     // continues nothing
        &[0x09, 0x80, 0, 0, 0, 0],     // a fragmented ping
    ] {
        let mut stream = open(&node).await;
        stream.write_all(bytes).await.unwrap();
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await;
        assert!(end.is_ok(), "{bytes:?}");
    }
    until("the end of all", || metric(&node, "rpc_connections{transport=\"websocket\"}") == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_has_its_length_and_its_time() {
    let node = start(RpcLimits { request_bytes: 1_000, ..RpcLimits::default() }).await;
    for frames in
        [announced(TEXT, true, 1_001), [frame(TEXT, false, &[b' '; 900]), frame(0, true, &[b' '; 101])].concat()]
    {
        let mut stream = open(&node).await;
        stream.write_all(&frames).await.unwrap();
        let (_, answer) = next(&mut stream).await;
        assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["error"]["code"], -32007);
    }
    assert_eq!(refused(&node, "request_bytes"), 2);
    // Who has still much to send comes to read it, too.
    let mut stream = open(&node).await;
    stream.write_all(&announced(TEXT, true, 4 << 20)).await.unwrap();
    for _ in 0..64 {
        stream.readable().await.unwrap();
        stream.write_all(&[b' '; 1 << 16]).await.unwrap();
    }
    let (_, answer) = next(&mut stream).await;
    assert_eq!(serde_json::from_slice::<Value>(&answer).unwrap()["error"]["code"], -32007);

    let node = start(RpcLimits { body_timeout: Duration::from_millis(50), ..RpcLimits::default() }).await;
    for begun in [announced(TEXT, true, 1_000), frame(TEXT, false, b"{")] {
        let mut stream = open(&node).await;
        stream.write_all(&begun).await.unwrap();
        until("the end", || metric(&node, "rpc_connections{transport=\"websocket\"}") == 0).await;
    }
}

/// Whoever waits on a WebSocket waits for an id.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_what_is_refused() {
    let calls = |ids: std::ops::RangeInclusive<u64>| {
        Value::from_iter(ids.map(|id| json!({"jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": []})))
    };
    let ask = async |stream: &mut TcpStream, message: Value| -> Value {
        stream.write_all(&frame(TEXT, true, message.to_string().as_bytes())).await.unwrap();
        serde_json::from_slice(&next(stream).await.1).unwrap()
    };
    // A second's calls are spent by the first batch, and by each that is not refused.
    let limits = RpcLimits { calls_per_second: NonZeroU32::new(1), batch_calls: 3, ..RpcLimits::default() };
    let node = start(limits).await;
    let mut stream = open(&node).await;
    assert_eq!(ask(&mut stream, calls(1..=2)).await[1]["result"], "0x7a69");
    let mut refused = ask(&mut stream, calls(3..=4)).await;
    while refused[0].get("result").is_some() {
        refused = ask(&mut stream, calls(3..=4)).await;
    }
    let told = |answer: &Value| (answer["id"].as_u64(), answer["error"]["code"].as_i64());
    assert_eq!((told(&refused[0]), told(&refused[1])), ((Some(3), Some(-32005)), (Some(4), Some(-32005))));
    let mut refused = ask(&mut stream, calls(5..=5).as_array_mut().unwrap().remove(0)).await;
    while refused.get("result").is_some() {
        refused = ask(&mut stream, calls(5..=5).as_array_mut().unwrap().remove(0)).await;
    }
    assert_eq!(told(&refused), (Some(5), Some(-32005)));
    let refused = ask(&mut stream, calls(6..=9)).await;
    assert_eq!((told(&refused[0]), refused.as_array().unwrap().len()), ((Some(6), Some(-32010)), 1));
}

/// What is announced takes no memory before it comes.
#[tokio::test(flavor = "multi_thread")]
async fn announced_bytes_are_not_held() {
    let node = start(RpcLimits { buffered_bytes: 64 * 1024, ..RpcLimits::default() }).await;
    let mut liars = Vec::new();
    for _ in 0..50 {
        let mut stream = open(&node).await;
        stream.write_all(&announced(TEXT, true, 5 * 1024 * 1024)).await.unwrap();
        liars.push(stream);
    }
    let mut stream = open(&node).await;
    stream
        .write_all(&frame(TEXT, true, &call("web3_sha3", json!([format!("0x{}", "00".repeat(10_000))]))))
        .await
        .unwrap();
    let (_, answer) = next(&mut stream).await;
    assert!(serde_json::from_slice::<Value>(&answer).unwrap()["result"].is_string());
}

/// One that asks on and on without reading is no longer read from: it waits, and so does what it would take.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_not_read_from() {
    let node = TestNode::start().await;
    let mut stream = open(&node).await;
    let large = frame(TEXT, true, &call(&"x".repeat(100_000), json!([])));
    let mut sent = 0_usize;
    // Until the connection takes no more, or is ended because nothing is read.
    while let Ok(Ok(written)) = tokio::time::timeout(Duration::from_secs(2), stream.write(&large)).await {
        sent += written;
        assert!(sent < 2 << 30, "everything is read");
    }
}

/// One that subscribes and does not read is told, when it reads again, that it was too slow; its subscription has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_dropped_with_a_notice() {
    let node = start(RpcLimits { write_timeout: DEADLINE, ..RpcLimits::default() }).await;
    let mut stream = open(&node).await;
    let heads = frame(TEXT, true, &call("eth_subscribe", json!(["newHeads"])));
    for _ in 0..64 {
        stream.write_all(&heads).await.unwrap();
        assert!(next(&mut stream).await.1.starts_with(b"{"));
    }
    // Some 20 MB of heads: more than sockets hold, and more blocks than are kept for the slow.
    for _ in 0..250 {
        node.mine().await;
    }
    loop {
        let (_, text) = next(&mut stream).await;
        let message: Value = serde_json::from_slice(&text).unwrap();
        if let Some(error) = message["params"].get("error") {
            assert!(error.as_str().unwrap().contains("too slow"), "{message}");
            break;
        }
    }
    assert!(refused(&node, "slow_reader") > 0);
    until("the end of a subscription", || metric(&node, "rpc_subscriptions") < 64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_open_no_websocket() {
    let node = TestNode::start().await;
    let handshake = |origin| {
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", origin),
        ]
    };
    assert_eq!(request(node.address(), "GET", &handshake("https://attacker.example"), b"").await.status, 403);
}

/// Its answer goes before its first notification, and so cannot stand among others'.
#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_no_part_of_a_batch() {
    let node = start(RpcLimits::default()).await;
    let mut stream = open(&node).await;
    let [subscribe, other] = [call("eth_subscribe", json!(["newHeads"])), call("eth_chainId", json!([]))];
    let batch = [b"[", &subscribe[..], b",", &other[..], b"]"].concat();
    for message in [&batch, &other] {
        stream.write_all(&frame(TEXT, true, message)).await.unwrap();
    }
    let [answers, alone] = [next(&mut stream).await.1, next(&mut stream).await.1]
        .map(|text| serde_json::from_slice::<Value>(&text).unwrap());
    assert_eq!(answers[0]["error"]["code"], -32600, "{answers}");
    assert!(answers[1]["result"].is_string(), "{answers}");
    assert!(alone["result"].is_string(), "nothing of the subscription comes between: {alone}");
}
