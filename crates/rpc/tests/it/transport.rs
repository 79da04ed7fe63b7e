//! What is not a proper call, and what stands around the methods.

use crate::client::{abandon, exchange, post, request};
use crate::node::TestNode;
use heddle_rpc::{Api, RpcConfig, RpcError, RpcLimits};
use serde_json::{Value, json};

fn config() -> RpcConfig {
    RpcConfig { port: 0, ..RpcConfig::default() }
}

async fn assert_serves(node: &TestNode) {
    assert_eq!(node.get("eth_chainId", json!([])).await, "0x7a69");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_answered_and_the_server_goes_on() {
    let node = TestNode::start().await;
    let deep = "[".repeat(100_000);
    for (body, code) in [
        ("", -32700),
        ("garbage", -32700),
        (r#"{"jsonrpc":"2.0","method":"eth_chainId","id":1"#, -32700),
        (deep.as_str(), -32700),
        ("[1,2", -32700),
        ("{}", -32600),
        (r#"{"id":1}"#, -32600),
        (r#"{"jsonrpc":"1.0","method":"eth_chainId","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","method":7,"id":1}"#, -32600),
        ("[]", -32600),
        (r#"{"jsonrpc":"2.0","method":"eth_nonsense","id":1}"#, -32601),
        (r#"{"jsonrpc":"2.0","method":"eth_getBalance","params":{"address":"0x"},"id":1}"#, -32602),
        (r#"{"jsonrpc":"2.0","method":"eth_getBalance","params":[7],"id":1}"#, -32602),
    ] {
        let answer = post(node.address(), body).await.json();
        assert_eq!(answer["error"]["code"], code, "{body:.60}: {answer}");
        assert_serves(&node).await;
    }
    for bytes in
        [&b"\x16\x03\x01\x02\x00garbage\r\n\r\n"[..], b"POST / HTTP/1.1\r\n", b"\0\0\0\0", b"GET /%%% HTTP/9\r\n\r\n"]
    {
        abandon(node.address(), bytes).await;
        assert_serves(&node).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_method_and_argument() {
    let node = TestNode::start().await;
    let (code, message) = node.error("debug_traceTransaction", json!([])).await;
    assert_eq!((code, message.as_str()), (-32601, "the method debug_traceTransaction does not exist/is not available"));
    for (method, params, message) in [
        ("eth_getBalance", json!([]), "missing value for required argument 0 (address)"),
        ("eth_getBalance", json!(["0x12", "latest"]), "invalid argument 0 (address): "),
        ("eth_getBlockByNumber", json!(["0x1"]), "missing value for required argument 1 (fullTransactions)"),
        ("eth_getBlockByNumber", json!(["newest", false]), "invalid argument 0 (block): "),
        ("eth_getTransactionByHash", json!(["0x1234"]), "invalid argument 0 (transactionHash): "),
        ("eth_call", json!([{"to": "me"}, "latest"]), "invalid argument 0 (transaction): "),
        ("eth_chainId", json!([1]), "too many arguments, want at most 0"),
    ] {
        let (code, found) = node.error(method, params.clone()).await;
        assert_eq!(code, -32602, "{method} {params}");
        assert!(found.starts_with(message), "{method} {params}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_answered_call_by_call() {
    let node = TestNode::start().await;
    let body = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"},
        {"jsonrpc": "2.0", "id": "two", "method": "eth_nonsense"},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_getBalance", "params": []},
        {"jsonrpc": "2.0", "method": "eth_chainId"},
        7,
        {"jsonrpc": "2.0", "id": 4, "method": "net_version", "params": []},
    ]);
    let answer = post(node.address(), body.to_string()).await.json();
    let summary = answer.as_array().unwrap().iter().map(|entry| {
        (entry["id"].clone(), entry.get("result").cloned().unwrap_or_else(|| entry["error"]["code"].clone()))
    });
    assert_eq!(
        Vec::from_iter(summary),
        [
            (json!(1), json!("0x7a69")),
            (json!("two"), json!(-32601)),
            (json!(3), json!(-32602)),
            (Value::Null, json!(-32600)),
            (json!(4), json!("31337")),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_and_batches_are_bounded() {
    let node = TestNode::start().await;
    let too_large = post(node.address(), vec![b' '; 5 * 1024 * 1024 + 1]).await;
    assert_eq!((too_large.status, &too_large.json()["error"]["code"]), (413, &json!(-32007)));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"});
    let batch = |count| Value::Array(vec![call.clone(); count]).to_string();
    let answer = post(node.address(), batch(1_000)).await.json();
    assert_eq!(answer.as_array().unwrap().len(), 1_000);
    let answer = post(node.address(), batch(1_001)).await.json();
    assert!(answer[0]["error"]["message"].as_str().unwrap().contains("too large"), "{answer}");
    assert_eq!((answer.as_array().unwrap().len(), &answer[0]["id"]), (1, &json!(1)));
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_bounded() {
    let limits = RpcLimits { response_bytes: 1_000, ..RpcLimits::default() };
    let node = TestNode::start_with(RpcConfig { limits, ..config() }, None).await;
    let error = node.call("eth_getBlockByNumber", json!(["0x0", false])).await.unwrap_err();
    assert!(error["message"].as_str().unwrap().contains("too big"), "{error}");
    assert_serves(&node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_chosen_namespaces_exist() {
    let config = RpcConfig { apis: vec![Api::Net, Api::Net], ..config() };
    let node = TestNode::start_with(config, None).await;
    assert_eq!(node.get("net_version", json!([])).await, "31337");
    assert_eq!(node.error("eth_chainId", json!([])).await.0, -32601);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_http_methods_and_content_types_are_refused() {
    let node = TestNode::start().await;
    assert_eq!(request(node.address(), "GET", &[], b"").await.status, 405);
    assert_eq!(request(node.address(), "PUT", &[], b"{}").await.status, 405);
    assert_eq!(request(node.address(), "POST", &[("Content-Type", "text/plain")], b"{}").await.status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn cross_origin_pages_read_answers_only_if_allowed() {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).to_string();
    let headers = [("Content-Type", "application/json"), ("Origin", "https://one.example")];
    let allowed = async |origins: &[&str]| {
        let cors_origins = origins.iter().map(ToString::to_string).collect();
        let node = TestNode::start_with(RpcConfig { cors_origins, ..config() }, None).await;
        let answer = request(node.address(), "POST", &headers, call.as_bytes()).await;
        answer.head.lines().find_map(|line| line.strip_prefix("access-control-allow-origin: ").map(str::to_owned))
    };
    assert_eq!(allowed(&[]).await, None);
    assert_eq!(allowed(&["*"]).await.as_deref(), Some("*"));
    assert_eq!(allowed(&["https://one.example"]).await.as_deref(), Some("https://one.example"));
    assert_eq!(allowed(&["https://two.example"]).await, None);
}

/// A request as a page would send it whose name was made to resolve to this node.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_rebound_is_refused() {
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"}).to_string();
    let status = async |node: &TestNode, host: &str| {
        let head =
            format!("POST / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n");
        let whole = format!("{head}Content-Length: {}\r\n\r\n{call}", call.len());
        let answer = exchange(node.address(), whole.as_bytes()).await;
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let node = TestNode::start().await;
    for (host, expected) in
        [("localhost:8545", 200), ("127.0.0.1:8545", 200), ("[::1]", 200), ("attacker.example:8545", 403)]
    {
        assert_eq!(status(&node, host).await, expected, "{host}");
    }
    let node = TestNode::start_with(RpcConfig { hosts: vec!["node.example".to_owned()], ..config() }, None).await;
    for (host, expected) in [("node.example:1", 200), ("10.0.0.1", 200), ("localhost", 403)] {
        assert_eq!(status(&node, host).await, expected, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_says_why() {
    let node = TestNode::start().await;
    let busy = RpcConfig { port: node.address().port(), ..config() };
    let error = node.try_server(busy).await.err().unwrap();
    assert!(matches!(error, RpcError::Bind { .. }));
    assert!(error.to_string().contains(&node.address().to_string()), "{error}");
    let cors = RpcConfig { cors_origins: vec!["a\nb".to_owned()], ..config() };
    assert!(matches!(node.try_server(cors).await, Err(RpcError::CorsOrigin(_))));
    let hosts = RpcConfig { hosts: vec!["local host".to_owned()], ..config() };
    assert!(matches!(node.try_server(hosts).await, Err(RpcError::Host(_))));
    let admin = RpcConfig { apis: vec![Api::Eth, Api::Admin], ..config() };
    let error = node.try_server(admin).await.err().unwrap().to_string();
    assert!(error.contains("--authrpc") && error.contains("--ipcpath"), "{error}");
    let ipc = RpcConfig { ipc: Some("/proc/none/socket".into()), ..config() };
    assert!(matches!(node.try_server(ipc).await, Err(RpcError::Ipc { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_frees_its_port() {
    let node = TestNode::start().await;
    let address = node.address();
    assert_serves(&node).await;
    node.stop().await;
    assert!(std::net::TcpListener::bind(address).is_ok());
}
