//! What only operators may: over the port that wants a token, and over the Unix socket.

use crate::client::{call, request};
use crate::node::TestNode;
use alloy_rpc_types_engine::Claims;
use heddle_rpc::{AuthConfig, JwtSecret, RpcConfig, RpcLimits};
use serde_json::{Value, json};
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpStream, UnixStream};

const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn start(secret: JwtSecret, ipc: Option<&Path>) -> TestNode {
    let auth = AuthConfig { address: "127.0.0.1:0".parse().unwrap(), hosts: vec!["localhost".to_owned()], secret };
    let ipc = ipc.map(Path::to_owned);
    TestNode::start_with(RpcConfig { port: 0, auth: Some(auth), ipc, ..RpcConfig::default() }, None).await
}

fn body(method: &str) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": []}).to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_have_a_token() {
    let secret = JwtSecret::random();
    let node = start(secret, None).await;
    let ask = async |token: &str| {
        let authorization = format!("Bearer {token}");
        let headers = [JSON, ("Authorization", authorization.as_str())];
        request(node.auth_address(), "POST", &headers, &body("admin_test")).await
    };
    let token = |secret: &JwtSecret, age: u64| {
        let issued = Claims::with_current_timestamp().iat - age;
        secret.encode(&Claims { iat: issued, exp: None }).unwrap()
    };
    let answer = ask(&token(&secret, 0)).await;
    assert_eq!((answer.status, &answer.json()["result"]), (200, &json!("an answer")));
    for (why, token) in [
        ("another's", token(&JwtSecret::random(), 0)),
        ("too old", token(&secret, 120)),
        ("none", String::new()),
        ("garbage", "a.b.c".to_owned()),
        // {"alg":"none"}.{"iat":..}: nobody signed it.
        ("unsigned", "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJpYXQiOjE3MDAwMDAwMDB9.".to_owned()),
    ] {
        assert_eq!(ask(&token).await.status, 401, "{why}");
    }
    let without = request(node.auth_address(), "POST", &[JSON], &body("admin_test")).await;
    assert_eq!(without.status, 401);
    assert_eq!(call(node.address(), "admin_test", json!([])).await.unwrap_err()["code"], -32601);
    assert!(call(node.address(), "rpc_modules", json!([])).await.unwrap().get("admin").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_of_operators_want_it_too() {
    let node = start(JwtSecret::random(), None).await;
    let url = jsonrpsee::client_transport::ws::Url::parse(&format!("ws://{}", node.auth_address())).unwrap();
    assert!(jsonrpsee::client_transport::ws::WsTransportClientBuilder::default().build(url).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_the_users_alone_and_goes_with_the_node() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heddle.ipc");
    // A node that was killed left it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let node = start(JwtSecret::random(), Some(&path)).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    let second = RpcConfig { port: 0, ipc: Some(path.clone()), ..RpcConfig::default() };
    assert!(node.try_server(second).await.err().unwrap().to_string().contains("another process listens"));
    assert!(path.exists());
    node.stop().await;
    assert!(!path.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_serves_everything() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heddle.ipc");
    let node = start(JwtSecret::random(), Some(&path)).await;
    let mut stream = BufReader::new(UnixStream::connect(&path).await.unwrap());
    let mut answer = async |text: &str| -> Value {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let admin = r#"{"jsonrpc":"2.0","id":1,"method":"admin_test","params":[]}"#;
    assert_eq!(answer(admin).await["result"], "an answer");
    assert_eq!(answer(&format!("[{admin}]\n")).await[0]["result"], "an answer");
    assert_eq!(answer(r#"{"jsonrpc":"2.0","id":2,"method":"rpc_modules"}"#).await["result"]["debug"], "1.0");
    assert_eq!(answer("garbage\n").await["error"]["code"], -32700);
    let id =
        answer(r#"{"jsonrpc":"2.0","id":3,"method":"eth_subscribe","params":["newHeads"]}"#).await["result"].clone();
    node.mine().await;
    let news = answer("\n").await;
    assert_eq!((&news["params"]["subscription"], &news["params"]["result"]["number"]), (&id, &json!("0x1")));
}

/// Whoever fills the open port, its memory, its turns and its calls a second, takes nothing from operators.
#[tokio::test(flavor = "multi_thread")]
async fn operators_have_a_share_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heddle.ipc");
    let secret = JwtSecret::random();
    let auth = AuthConfig { address: "127.0.0.1:0".parse().unwrap(), hosts: vec!["localhost".to_owned()], secret };
    let limits = RpcLimits {
        buffered_bytes: 64 * 1024,
        calls: 1,
        calls_queued: 1,
        call_gas: u64::MAX,
        calls_per_second: NonZeroU32::new(3),
        ..RpcLimits::default()
    };
    let config = RpcConfig { port: 0, auth: Some(auth), ipc: Some(path.clone()), limits, ..RpcConfig::default() };
    let node = TestNode::start_with(config, None).await;

    let begin = async |length: usize, text: &str| {
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ";
        let mut stream = TcpStream::connect(node.address()).await.unwrap();
        stream.write_all(format!("{head}{length}\r\n\r\n{text}").as_bytes()).await.unwrap();
        stream
    };
    // One endless call runs, one waits, and bodies that do not come to their end hold the memory.
    let endless = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x5b5f56"}, "latest"]});
    let endless = endless.to_string();
    let mut callers = vec![begin(endless.len(), &endless).await, begin(endless.len(), &endless).await];
    let open = async || request(node.address(), "POST", &[JSON], &body("eth_chainId")).await.status;
    while open().await != 503 {
        callers.push(begin(1_000, " ").await);
    }

    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{"data": "0x00"}, "latest"]});
    let large =
        json!({"jsonrpc": "2.0", "id": 1, "method": "web3_sha3", "params": [format!("0x{}", "0".repeat(5_000))]});
    let token = secret.encode(&Claims::with_current_timestamp()).unwrap();
    let authorization = format!("Bearer {token}");
    let headers = [JSON, ("Authorization", authorization.as_str())];
    let mut socket = BufReader::new(UnixStream::connect(&path).await.unwrap());
    for call in [&call, &large, &call, &large, &call] {
        let answer = request(node.auth_address(), "POST", &headers, call.to_string().as_bytes()).await.json();
        assert!(answer["result"].is_string(), "{answer}");
        socket.write_all(call.to_string().as_bytes()).await.unwrap();
        let mut line = String::new();
        socket.read_line(&mut line).await.unwrap();
        assert!(line.contains("result"), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_said_all_is_answered_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("heddle.ipc");
    let _node = start(JwtSecret::random(), Some(&path)).await;
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(&body("eth_chainId").repeat(100)).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.unwrap();
    assert_eq!(answers.matches("0x7a69").count(), 100);
}
