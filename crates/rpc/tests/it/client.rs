//! The smallest HTTP client: it can send what a proper one refuses to.

use crate::schema::DOCUMENT;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// An HTTP answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends bytes as they are and reads until the server closes.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends bytes as they are and leaves.
pub async fn abandon(address: SocketAddr, bytes: &[u8]) {
    TcpStream::connect(address).await.unwrap().write_all(bytes).await.unwrap();
}

/// One HTTP request with extra headers.
pub async fn request(address: SocketAddr, method: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut head = format!("{method} / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let answer = exchange(address, &[head.as_bytes(), body].concat()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// A connection for one request after the other, made again when the server ends it.
pub struct Connection {
    address: SocketAddr,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None }
    }

    /// Posts a body as JSON.
    pub async fn post(&mut self, body: &[u8]) -> Answer {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(self.address).await.unwrap()),
        };
        let head = format!("POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", self.address);
        let head = format!("{head}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.read_line(&mut head).await.unwrap(), 0, "no answer");
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body).await.unwrap();
        self.stream = (!head.contains("connection: close")).then_some(stream);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head, body: String::from_utf8(body).unwrap() }
    }
}

/// Posts a body as JSON.
pub async fn post(address: SocketAddr, body: impl AsRef<[u8]>) -> Answer {
    request(address, "POST", &[("Content-Type", "application/json")], body.as_ref()).await
}

/// Calls a method: its result, which must be as the document describes it, or its error object.
pub async fn call(address: SocketAddr, method: &str, params: Value) -> Result<Value, Value> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let mut answer = post(address, body.to_string()).await.json();
    assert_eq!((&answer["jsonrpc"], &answer["id"]), (&json!("2.0"), &json!(1)));
    match answer.get("error") {
        Some(error) => Err(error.clone()),
        None => {
            let result = answer["result"].take();
            DOCUMENT.check_answer(method, &result).unwrap_or_else(|why| panic!("{method}{why} in {result}"));
            Ok(result)
        }
    }
}
