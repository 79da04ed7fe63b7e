//! Messages on a stream without frames: JSON texts, one after the other, as go-ethereum's IPC takes them.

use super::inbox::{Inbox, NotTaken};
use super::session::{Incoming, MessageReader, MessageWriter, Received};
use crate::budget::Share;
use crate::dispatch::Dispatcher;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Read at a time.
const PIECE_BYTES: usize = 16 * 1024;

/// Where in a JSON text one is.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Place {
    /// Whether this byte ends an array or an object that lies in no other.
    fn ends(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_string => self.escaped = true,
            b'"' => self.in_string = !self.in_string,
            b'[' | b'{' if !self.in_string => self.depth += 1,
            b']' | b'}' if !self.in_string => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            // What is outside of arrays and objects is no message: it ends with its line.
            b'\n' => return self.depth == 0 && !self.in_string,
            _ => {}
        }
        false
    }
}

/// Cuts what is read into messages.
pub(crate) struct JsonReader<R> {
    io: R,
    dispatcher: Arc<Dispatcher>,
    share: Share,
    place: Place,
    read: Vec<u8>,
    begun: Inbox,
}

impl<R> JsonReader<R> {
    pub(crate) fn new(io: R, dispatcher: Arc<Dispatcher>, share: Share) -> Self {
        let begun = inbox(&dispatcher, &share);
        Self { io, dispatcher, share, place: Place::default(), read: Vec::new(), begun }
    }

    /// The next message in what was read, if it ends there.
    fn cut(&mut self) -> Result<Option<Inbox>, NotTaken> {
        while !self.read.is_empty() {
            let end = self.read.iter().position(|byte| self.place.ends(*byte));
            let rest = end.map_or_else(Vec::new, |end| self.read.split_off(end + 1));
            self.begun.push(&std::mem::replace(&mut self.read, rest))?;
            if end.is_none() {
                break;
            }
            let message = std::mem::replace(&mut self.begun, inbox(&self.dispatcher, &self.share));
            if !message.bytes().iter().all(u8::is_ascii_whitespace) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }
}

fn inbox(dispatcher: &Dispatcher, share: &Share) -> Inbox {
    Inbox::new(share, dispatcher.limits().request_bytes as usize)
}

impl<R: AsyncRead + Unpin + Send> MessageReader for JsonReader<R> {
    async fn next(&mut self) -> Received {
        loop {
            match self.cut() {
                Ok(Some(message)) => return Ok(Incoming::Message(message)),
                Ok(None) => {}
                // Where the next message begins is not known any more.
                Err(reason) => return Ok(Incoming::Refused(reason)),
            }
            let mut piece = vec![0; PIECE_BYTES];
            let length = self.io.read(&mut piece).await?;
            if length == 0 {
                return Ok(Incoming::End);
            }
            piece.truncate(length);
            self.read = piece;
        }
    }
}

/// Writes a text a line.
pub(crate) struct LineWriter<W>(pub(crate) W);

impl<W: AsyncWrite + Unpin + Send + 'static> MessageWriter for LineWriter<W> {
    async fn message(&mut self, text: &[u8]) -> io::Result<()> {
        self.0.write_all(text).await?;
        self.0.write_all(b"\n").await?;
        self.0.flush().await
    }

    async fn ping(&mut self) -> io::Result<()> {
        Ok(())
    }

    async fn pong(&mut self, _payload: &[u8]) -> io::Result<()> {
        Ok(())
    }

    async fn close(&mut self) {
        // The other side may be gone.
        let _ = self.0.shutdown().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RpcLimits, RpcMetrics};
    use jsonrpsee::server::Methods;

    async fn messages(pieces: &[&[u8]], limits: RpcLimits) -> (Vec<String>, bool) {
        let (mut client, server) = tokio::io::duplex(1 << 16);
        for piece in pieces {
            client.write_all(piece).await.unwrap();
        }
        drop(client);
        let dispatcher = Dispatcher::new(Methods::new(), limits, RpcMetrics::default());
        let share = dispatcher.budget.share(None);
        let mut reader = JsonReader::new(server, Arc::new(dispatcher), share);
        let mut found = Vec::new();
        loop {
            match reader.next().await.unwrap() {
                Incoming::Message(message) => found.push(String::from_utf8_lossy(message.bytes()).trim().to_owned()),
                Incoming::End => return (found, true),
                _ => return (found, false),
            }
        }
    }

    #[tokio::test]
    async fn texts_end_where_they_end() {
        for pieces in [
            &[&b"{\"a\":[\"]}\\\"\"]}\n[{}]\n"[..]][..],
            &[b"{\"a\":[\"]}\\\"\"]}[{}]"],
            &[b"{\"a\":[\"]}", b"\\", b"\"\"]}", b"\n\n  [{}", b"]"],
        ] {
            let (found, ended) = messages(pieces, RpcLimits::default()).await;
            assert_eq!((found, ended), (vec![r#"{"a":["]}\""]}"#.to_owned(), "[{}]".to_owned()], true));
        }
        assert_eq!(messages(&[b"garbage\n{}"], RpcLimits::default()).await.0, ["garbage", "{}"]);
    }

    #[tokio::test]
    async fn what_never_ends_is_refused() {
        let limits = RpcLimits { request_bytes: 1_000, ..RpcLimits::default() };
        assert_eq!(messages(&[&b"[".repeat(2_000)], limits).await, (vec![], false));
    }
}
