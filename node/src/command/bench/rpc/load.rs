//! Asking a server as fast as it answers, over connections that stay open.

use serde_json::{Value, json};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Most bytes of an answer's header.
const HEADER_MAX: usize = 16 << 10;
/// Most bytes of an answer.
const BODY_MAX: usize = 1 << 30;
/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;
/// How far into an answer it says whether it is an error.
const VERDICT: usize = 64;

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    requests: u64,
    elapsed: Duration,
    bytes: u64,
    /// Half of the answers came within this time.
    pub p50: Duration,
    /// Of a hundred answers 99 did.
    pub p99: Duration,
}

impl Measured {
    fn of(mut times: Vec<Duration>, elapsed: Duration, bytes: u64) -> Self {
        times.sort_unstable();
        let within = |share: usize| times.get((times.len() * share / 100).min(times.len() - 1)).copied();
        let (p50, p99) = (within(50).unwrap_or_default(), within(99).unwrap_or_default());
        Self { requests: times.len() as u64, elapsed, bytes, p50, p99 }
    }

    /// Answers a second, of all connections together.
    pub fn per_second(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// As JSON.
    pub fn report(&self) -> Value {
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        json!({
            "requestsPerSecond": (self.per_second() * 10.0).round() / 10.0,
            "p50Ms": milliseconds(self.p50),
            "p99Ms": milliseconds(self.p99),
            "bytesPerAnswer": self.bytes / self.requests.max(1),
        })
    }
}

/// Makes the calls in turn over so many connections, each for this long; calls that are under way then are waited for.
///
/// # Errors
/// A connection that breaks, and an answer that is an error.
pub fn run(
    server: SocketAddr,
    connections: usize,
    duration: Duration,
    calls: &[String],
) -> Result<Measured, Box<dyn Error>> {
    let requests: Vec<_> = calls.iter().map(|call| request(server, call)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // What a first call finds out is not measured.
        ask_until(server, requests.clone(), 0, Instant::now()).await?;
        let started = Instant::now();
        let mut asking = JoinSet::new();
        for connection in 0..connections {
            // Each begins elsewhere.
            let first = connection * requests.len() / connections;
            asking.spawn(ask_until(server, requests.clone(), first, started + duration));
        }
        let (mut times, mut bytes) = (Vec::new(), 0);
        while let Some(asked) = asking.join_next().await {
            let asked = asked??;
            times.extend(asked.0);
            bytes += asked.1;
        }
        Ok(Measured::of(times, started.elapsed(), bytes))
    })
}

fn request(server: SocketAddr, call: &str) -> Vec<u8> {
    let length = call.len();
    let head =
        format!("POST / HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\ncontent-length: {length}");
    format!("{head}\r\n\r\n{call}").into_bytes()
}

/// The times of the answers, of which there is at least one, and their bytes.
async fn ask_until(
    server: SocketAddr,
    requests: Vec<Vec<u8>>,
    first: usize,
    end: Instant,
) -> io::Result<(Vec<Duration>, u64)> {
    let mut connection = Connection::open(server).await?;
    let (mut times, mut bytes) = (Vec::new(), 0);
    for request in requests.iter().cycle().skip(first) {
        let started = Instant::now();
        bytes += connection.ask(request).await? as u64;
        times.push(started.elapsed());
        if Instant::now() >= end {
            break;
        }
    }
    Ok((times, bytes))
}

/// A connection that stays open.
struct Connection {
    stream: TcpStream,
    chunk: Vec<u8>,
}

impl Connection {
    async fn open(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, chunk: vec![0; CHUNK] })
    }

    /// Sends a request and reads the answer, which is not kept. Returns its length, in bytes.
    async fn ask(&mut self, request: &[u8]) -> io::Result<usize> {
        self.stream.write_all(request).await?;
        let (mut head, mut filled) = (None, 0);
        while head.is_none() {
            let read = self.stream.read(self.chunk.get_mut(filled..HEADER_MAX).unwrap_or_default()).await?;
            if read == 0 {
                return Err(io::Error::other("the server hung up, or its header is too long"));
            }
            filled += read;
            head = header(self.chunk.get(..filled).unwrap_or_default())?;
        }
        let Some(Head { length, body }) = head else { return Err(io::ErrorKind::InvalidData.into()) };
        let mut seen = self.chunk.get(body..filled).unwrap_or_default().to_vec();
        let mut left = length.saturating_sub(seen.len());
        while left > 0 {
            let read = self.stream.read(&mut self.chunk).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if seen.len() < VERDICT {
                seen.extend(self.chunk.iter().take(read.min(VERDICT)));
            }
            left = left.saturating_sub(read);
        }
        let verdict = String::from_utf8_lossy(seen.get(..seen.len().min(4 * VERDICT)).unwrap_or_default());
        match verdict.contains("\"error\"") || verdict.contains("\"result\":null") {
            false => Ok(length),
            true => Err(io::Error::other(format!("the answer is {verdict}"))),
        }
    }
}

/// Where an answer's body begins, and its length.
struct Head {
    length: usize,
    body: usize,
}

/// `None` while the header is not whole.
fn header(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_ascii_lowercase();
    let status = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    match length.filter(|length| *length <= BODY_MAX && status == "200") {
        Some(length) => Ok(Some(Head { length, body: end + 4 })),
        None => Err(io::Error::other(format!("an answer of status {status} and length {length:?}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use std::io::{Read, Write};

    /// Answers each request with the same, in two pieces.
    fn server(answer: &'static str) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                std::thread::spawn(move || {
                    while stream.read(&mut [0; 1_024]).is_ok_and(|read| read > 0) {
                        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
                        stream.write_all(head.as_bytes()).unwrap();
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                });
            }
        });
        address
    }

    #[test]
    fn answers_are_counted() {
        let address = server(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#);
        let measured = run(address, 3, Duration::ZERO, &["{}".to_owned()]).unwrap();
        assert_eq!((measured.requests, measured.bytes), (3, 3 * 39));
        assert!(measured.per_second() > 0.0 && measured.p50 <= measured.p99);
    }

    #[test]
    fn errors_are_not_answers() {
        for answer in [r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1}}"#, r#"{"jsonrpc":"2.0","id":1,"result":null}"#] {
            let error = run(server(answer), 1, Duration::ZERO, &["{}".to_owned()]).unwrap_err();
            assert!(error.to_string().contains("the answer is"), "{error}");
        }
    }
}
