//! Bodies that are not taken: whoever still sends one comes to read why.

use crate::limits::{metric, refused, rest, until};
use crate::node::TestNode;
use heddle_rpc::{AuthConfig, JwtSecret, RpcConfig, RpcLimits};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const MIB: usize = 1024 * 1024;
const CONNECTIONS: &str = "rpc_connections{transport=\"http\"}";

async fn start(limits: RpcLimits) -> TestNode {
    let auth = AuthConfig {
        address: "127.0.0.1:0".parse().unwrap(),
        hosts: vec!["localhost".to_owned()],
        secret: JwtSecret::random(),
    };
    TestNode::start_with(RpcConfig { port: 0, auth: Some(auth), limits, ..RpcConfig::default() }, None).await
}

/// Announces a body.
async fn announce(address: SocketAddr, head: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\n{head}\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Waits until the server has answered.
async fn answered(stream: &TcpStream) {
    stream.readable().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_still_sends_a_body_that_is_refused_reads_why() {
    let node = start(RpcLimits::default()).await;
    let (open, auth) = (node.address(), node.auth_address());
    let json = "Content-Type: application/json";
    for (address, head, length, status) in [
        (open, format!("Host: localhost\r\n{json}"), 6 * MIB, 413),
        (open, "Host: localhost\r\nContent-Type: text/plain".to_owned(), 2 * MIB, 415),
        (open, format!("Host: attacker.example\r\n{json}"), 2 * MIB, 403),
        (auth, format!("Host: localhost\r\n{json}"), 2 * MIB, 401),
    ] {
        let mut stream = announce(address, &head, length).await;
        for piece in vec![0; length].chunks(64 * 1024) {
            // The server has said and ended all that it will, and the client has not looked.
            answered(&stream).await;
            stream.write_all(piece).await.unwrap_or_else(|error| panic!("{status}: {error}"));
        }
        let answer = rest(stream).await.to_lowercase();
        assert!(answer.starts_with(&format!("http/1.1 {status}")), "{answer}");
        assert!(answer.contains("connection: close") && answer.ends_with('}'), "{answer}");
        until("the end", || metric(&node, CONNECTIONS) == 0).await;
    }
    assert_eq!(refused(&node, "request_bytes"), 1);
}

/// Sends on and on; what could be sent before the connection was reset.
async fn sent_before_the_end(mut stream: TcpStream) -> usize {
    answered(&stream).await;
    let (piece, mut sent) = (vec![0; 64 * 1024], 0);
    while stream.write_all(&piece).await.is_ok() {
        sent += piece.len();
        assert!(sent < 1024 * MIB, "the connection does not end");
    }
    sent
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_thrown_away_is_bounded() {
    let node = start(RpcLimits { connections: 4, ..RpcLimits::default() }).await;
    let head = "Host: localhost\r\nContent-Type: text/plain";
    let announce = || announce(node.address(), head, 4096 * MIB);
    let bytes_max = 32 * MIB;
    assert!(sent_before_the_end(announce().await).await >= bytes_max);
    until("its end", || metric(&node, CONNECTIONS) == 0).await;
    // One connection in four ends slowly; the next is ended at once.
    let mut lingering = announce().await;
    lingering.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(sent_before_the_end(announce().await).await < bytes_max);
    drop(lingering);
    until("the end of all", || metric(&node, CONNECTIONS) == 0).await;
}
