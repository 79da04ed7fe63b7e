//! Asking a server as fast as it answers, over connections that stay open.

use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

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
    answers: u64,
    /// Requests that were not waited for any longer.
    unanswered: u64,
    elapsed: Duration,
    bytes: u64,
    /// Half of the answers came within this time.
    p50: Duration,
    /// Of a hundred answers 99 did.
    p99: Duration,
}

impl Measured {
    fn of(asked: Vec<Asked>, elapsed: Duration) -> Self {
        let unanswered = asked.iter().filter(|asked| asked.is_cut_off).count() as u64;
        // What is not known any more is what the server does while a connection asks nothing.
        let busy = asked.iter().map(|asked| asked.elapsed).min().unwrap_or_default();
        let elapsed = if unanswered > 0 { busy } else { elapsed };
        let bytes = asked.iter().map(|asked| asked.bytes).sum();
        let mut times: Vec<_> = asked.into_iter().flat_map(|asked| asked.times).collect();
        times.sort_unstable();
        let within = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1))).copied();
        let (p50, p99) = (within(50).unwrap_or_default(), within(99).unwrap_or_default());
        Self { answers: times.len() as u64, unanswered, elapsed, bytes, p50, p99 }
    }

    /// Answers a second, of all connections together; the server gave fewer where [`Self::is_cut_off`].
    pub fn per_second(&self) -> f64 {
        (self.answers + self.unanswered) as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Whether there were requests that the server did not come to the end of.
    pub fn is_cut_off(&self) -> bool {
        self.unanswered > 0
    }

    /// As JSON.
    pub fn report(&self) -> Value {
        let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let rate = json!((self.per_second() * 1e3).round() / 1e3);
        if self.is_cut_off() {
            return json!({ "requestsPerSecondBelow": rate, "answers": self.answers });
        }
        json!({
            "requestsPerSecond": rate,
            "p50Ms": milliseconds(self.p50),
            "p99Ms": milliseconds(self.p99),
            "bytesPerAnswer": self.bytes / self.answers.max(1),
        })
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rate, Self { p50, p99, .. }) = (self.per_second(), self);
        match self.is_cut_off() {
            false => write!(f, "{rate:>10.1}/s  p50 {p50:>9.2?}  p99 {p99:>9.2?}"),
            true => write!(f, "fewer than {rate:.3}/s: it did not come to an end"),
        }
    }
}

/// How long something is asked.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// For this long, and until each connection has had an answer.
    pub asking: Duration,
    /// Never longer than this, after which no answer is waited for.
    pub most: Duration,
}

/// Makes the calls in turn over so many connections; calls that are under way at the end are waited for.
///
/// # Errors
/// A connection that breaks, and an answer that is an error.
pub fn run(server: SocketAddr, connections: usize, span: Span, calls: &[String]) -> Result<Measured, Box<dyn Error>> {
    let requests: Vec<_> = calls.iter().map(|call| request(server, call)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // What a first call finds out is not measured.
        let once = Round::begin(1, Span { asking: Duration::ZERO, ..span });
        ask_until(server, requests.clone(), 0, once).await?;
        let round = Round::begin(connections, span);
        let mut asking = JoinSet::new();
        for connection in 0..connections {
            // Each begins elsewhere.
            let first = connection * requests.len() / connections;
            asking.spawn(ask_until(server, requests.clone(), first, Arc::clone(&round)));
        }
        let mut asked = Vec::new();
        while let Some(ended) = asking.join_next().await {
            asked.push(ended??);
        }
        Ok(Measured::of(asked, round.started.elapsed()))
    })
}

fn request(server: SocketAddr, call: &str) -> Vec<u8> {
    let length = call.len();
    let head =
        format!("POST / HTTP/1.1\r\nhost: {server}\r\ncontent-type: application/json\r\ncontent-length: {length}");
    format!("{head}\r\n\r\n{call}").into_bytes()
}

/// Connections that ask at the same time.
struct Round {
    started: Instant,
    span: Span,
    /// Connections that have no answer yet. The others go on meanwhile: a server that is slow for all is not measured by
    /// those that come first.
    without_answer: AtomicUsize,
}

impl Round {
    fn begin(connections: usize, span: Span) -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), span, without_answer: AtomicUsize::new(connections) })
    }

    fn is_over(&self) -> bool {
        self.started.elapsed() >= self.span.asking && self.without_answer.load(Ordering::Relaxed) == 0
    }
}

/// What one connection was answered.
#[derive(Default)]
struct Asked {
    times: Vec<Duration>,
    bytes: u64,
    elapsed: Duration,
    /// Whether the last request was not waited for any longer.
    is_cut_off: bool,
}

async fn ask_until(server: SocketAddr, requests: Vec<Vec<u8>>, first: usize, round: Arc<Round>) -> io::Result<Asked> {
    let mut connection = Connection::open(server).await?;
    let mut asked = Asked::default();
    for request in requests.iter().cycle().skip(first) {
        let started = Instant::now();
        let Ok(answered) = timeout_at(round.started + round.span.most, connection.ask(request)).await else {
            asked.is_cut_off = true;
            break;
        };
        asked.bytes += answered? as u64;
        asked.times.push(started.elapsed());
        if asked.times.len() == 1 {
            round.without_answer.fetch_sub(1, Ordering::Relaxed);
        }
        if round.is_over() {
            break;
        }
    }
    asked.elapsed = round.started.elapsed();
    Ok(asked)
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

    /// Asks once a connection.
    const ONCE: Span = Span { asking: Duration::ZERO, most: Duration::from_secs(60) };

    #[test]
    fn answers_are_counted() {
        let address = server(r#"{"jsonrpc":"2.0","id":1,"result":"0x1"}"#);
        let measured = run(address, 3, ONCE, &["{}".to_owned()]).unwrap();
        assert!(measured.answers >= 3 && !measured.is_cut_off());
        assert_eq!(measured.bytes, 39 * measured.answers);
        assert!(measured.per_second() > 0.0 && measured.p50 <= measured.p99);
    }

    #[test]
    fn errors_are_not_answers() {
        for answer in [r#"{"jsonrpc":"2.0","id":1,"error":{"code":-1}}"#, r#"{"jsonrpc":"2.0","id":1,"result":null}"#] {
            let error = run(server(answer), 1, ONCE, &["{}".to_owned()]).unwrap_err();
            assert!(error.to_string().contains("the answer is"), "{error}");
        }
    }

    #[test]
    fn a_server_that_does_not_answer_is_not_waited_for() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let span = Span { asking: Duration::ZERO, most: Duration::from_millis(50) };
        let measured = run(silent.local_addr().unwrap(), 3, span, &["{}".to_owned()]).unwrap();
        assert!(measured.is_cut_off());
        assert_eq!((measured.answers, measured.unanswered), (0, 3));
        assert!(measured.per_second() <= 3.0 / 0.05);
        assert_eq!(measured.report()["answers"], 0);
    }
}
