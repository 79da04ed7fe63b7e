//! Abuse of one validator's JSON-RPC by many, in all ways at once: the chain goes on, its operator is answered, and memory and
//! descriptors come back.

use super::{BLOCKS_BEFORE, BLOCKS_UNDER_ABUSE, GROWTH_MAX, NODES, block_times, p99, resident};
use heddle_e2e::{Network, eventually, path_text, turn};
use serde_json::{Value, json};
use std::{net::SocketAddr, path::Path, time::Duration};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, UnixStream},
    task::JoinSet,
};

/// A way to abuse JSON-RPC.
#[derive(Clone, Copy, Debug)]
enum Abuse {
    /// Calls that run until their gas ends.
    Calls,
    /// Searches of all logs.
    Logs,
    /// Batches of whole blocks.
    Batches,
    /// Megabytes of brackets.
    Depth,
    /// Requests that never come to their end.
    Slow,
    /// Connections that say nothing.
    Silent,
    /// Connections that end at once.
    Connects,
    /// Answers and notifications that nobody reads.
    Unread,
}

/// Each way, and how many at a time.
const KINDS: [(Abuse, usize); 8] = [
    (Abuse::Calls, 16),
    (Abuse::Logs, 8),
    (Abuse::Batches, 8),
    (Abuse::Depth, 4),
    (Abuse::Slow, 100),
    (Abuse::Silent, 300),
    (Abuse::Connects, 2),
    (Abuse::Unread, 32),
];
/// Descriptors that may come to be open for other reasons: tables of the database, peers.
const DESCRIPTORS_SLACK: usize = 64;
/// No operator waits that long, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two attempts of one abuser.
const PAUSE: Duration = Duration::from_millis(5);
/// Initcode that jumps back to its beginning: JUMPDEST, PUSH0, JUMP.
const ENDLESS: &str = "0x5b5f56";

impl Abuse {
    /// One attempt; whatever becomes of it.
    async fn attempt(self, address: SocketAddr) -> std::io::Result<()> {
        let call = |method: &str, params: Value| json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let mut stream = TcpStream::connect(address).await?;
        let body = match self {
            Self::Calls => call("eth_call", json!([{"data": ENDLESS}, "latest"])).to_string(),
            Self::Logs => call("eth_getLogs", json!([{"fromBlock": "0x0"}])).to_string(),
            Self::Batches => {
                Value::from(vec![call("eth_getBlockByNumber", json!(["latest", true])); 1_000]).to_string()
            }
            Self::Depth => format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_call","params":{}"#, "[".repeat(1 << 20)),
            Self::Slow => {
                stream.write_all(b"POST / HTTP/1.1\r\nHost: localhost\r\nX: ").await?;
                loop {
                    stream.write_all(b"x").await?;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
            }
            Self::Silent => return stream.read_to_end(&mut Vec::new()).await.map(drop),
            Self::Connects => return Ok(()),
            Self::Unread => return unread(stream, &call("eth_subscribe", json!(["newHeads"])).to_string()).await,
        };
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n";
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut Vec::new()).await.map(drop)
    }

    async fn run(self, address: SocketAddr) {
        loop {
            // The node may end it in any way.
            let _ = self.attempt(address).await;
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// A WebSocket that asks and subscribes on and on, and reads nothing.
async fn unread(mut stream: TcpStream, subscribe: &str) -> std::io::Result<()> {
    let handshake = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).await?;
    let length = u8::try_from(subscribe.len()).unwrap();
    let frame = [&[0x81, 0x80 | length, 0, 0, 0, 0], subscribe.as_bytes()].concat();
    loop {
        stream.write_all(&frame).await?;
    }
}

/// What an operator is answered over the Unix socket.
async fn operators_answer(socket: &Path, method: &str, params: Value) -> Value {
    let asking = async {
        let mut stream = BufReader::new(UnixStream::connect(socket).await.unwrap());
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        stream.write_all(call.to_string().as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{method} is not answered"))
}

fn descriptors(process: u32) -> usize {
    std::fs::read_dir(format!("/proc/{process}/fd")).unwrap().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn abuse_of_json_rpc_does_not_stop_the_chain() {
    let _turn = turn().await;
    let mut network = Network::create_with(NODES, &["--block-time", "200ms"]).await;
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("heddle.ipc");
    network.configure(0, |toml| drop(toml.insert("ipcpath".to_owned(), path_text(&socket).into())));
    network.start_all().await;
    network.wait_blocks(1, 10).await;
    let quiet = block_times(&network, 1, BLOCKS_BEFORE).await;
    let process = network.process(0).id();
    let before = (resident(process), descriptors(process));

    let address = network.rpc(0).url().trim_start_matches("http://").trim_end_matches('/').parse().unwrap();
    let mut abusers = JoinSet::new();
    for (abuse, count) in KINDS {
        for _ in 0..count {
            abusers.spawn(abuse.run(address));
        }
    }
    let abused = block_times(&network, 1, BLOCKS_UNDER_ABUSE).await;
    let during = (resident(process), descriptors(process));
    for (method, params) in [
        ("admin_peers", json!([])),
        ("eth_getBlockByNumber", json!(["0x1", true])),
        ("eth_call", json!([{"data": "0x00"}, "latest"])),
        ("eth_getLogs", json!([{}])),
    ] {
        let answer = operators_answer(&socket, method, params).await;
        assert!(answer.get("result").is_some(), "{method}: {answer}");
    }
    abusers.shutdown().await;
    let (quiet, abused) = (p99(&quiet), p99(&abused));
    println!("block time p99: quiet {quiet:?}, abused {abused:?}, ratio {:.2}", abused.div_duration_f64(quiet));
    println!("resident bytes, descriptors: before {before:?}, during {during:?}");

    eventually("descriptors as before", async || (descriptors(process) <= before.1 + DESCRIPTORS_SLACK).then_some(()))
        .await;
    eventually("memory as before", async || (resident(process) < before.0 + GROWTH_MAX).then_some(())).await;
    let height = network.wait_blocks(0, 3).await;
    network.wait_heights(0..NODES, height).await;
    network.check_agreement(0..NODES, height).await;
    assert!(!network.process(0).log().contains("panicked"));
}
