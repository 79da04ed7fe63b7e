//! RFC 6455's frames, as a server reads and writes them. Memory grows with what came, not with what a header announces.

use super::inbox::{Inbox, NotTaken};
use super::session::{Incoming, MessageReader, MessageWriter, Received};
use crate::budget::Share;
use crate::dispatch::Dispatcher;
use soketto::Parsing;
use soketto::base::{Codec, Header, OpCode};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

/// Read at a time.
const PIECE_BYTES: usize = 16 * 1024;
/// Largest payload of a control frame.
const CONTROL_BYTES: usize = 125;
/// Normal closure.
const CLOSE_CODE: [u8; 2] = 1000_u16.to_be_bytes();
/// How often the client is asked whether it is there.
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(30);
/// A client from which nothing came for two pings is gone.
const SILENCE_MAX: Duration = Duration::from_secs(75);

/// Puts frames together into messages.
pub(crate) struct FrameReader<R> {
    io: R,
    codec: Codec,
    read: Vec<u8>,
    dispatcher: Arc<Dispatcher>,
    share: Share,
    begun: Option<Begun>,
}

/// A message of which the last frame has not come.
struct Begun {
    inbox: Inbox,
    deadline: Instant,
}

impl<R: AsyncRead + Unpin + Send> FrameReader<R> {
    pub(crate) fn new(io: R, dispatcher: Arc<Dispatcher>, share: Share) -> Self {
        let mut codec = Codec::new();
        codec.set_max_data_size(dispatcher.limits().request_bytes as usize);
        Self { io, codec, read: Vec::new(), dispatcher, share, begun: None }
    }

    /// Reads more; an error when nothing comes in time.
    async fn fill(&mut self) -> io::Result<()> {
        let deadline = self.begun.as_ref().map_or_else(|| Instant::now() + SILENCE_MAX, |begun| begun.deadline);
        let before = self.read.len();
        self.read.resize(before + PIECE_BYTES, 0);
        let piece = self.read.get_mut(before..).unwrap_or_default();
        let result = timeout_at(deadline, self.io.read(piece)).await;
        self.read
            .truncate(before + result.as_ref().ok().and_then(|read| read.as_ref().ok()).copied().unwrap_or_default());
        match result {
            Ok(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn header(&mut self) -> io::Result<Result<Header, NotTaken>> {
        loop {
            match self.codec.decode_header(&self.read) {
                Ok(Parsing::Done { value, offset }) => {
                    self.read.drain(..offset);
                    return if value.is_masked() { Ok(Ok(value)) } else { Err(io::ErrorKind::InvalidData.into()) };
                }
                Ok(Parsing::NeedMore(_)) => self.fill().await?,
                Err(soketto::base::Error::PayloadTooLarge { .. }) => return Ok(Err(NotTaken::TooLong)),
                Err(_) => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Reads a frame's payload to the end of the message that has begun.
    async fn payload(&mut self, header: &Header, inbox: &mut Inbox) -> io::Result<Result<(), NotTaken>> {
        let (start, mut missing) = (inbox.bytes().len(), header.payload_len());
        while missing > 0 {
            if self.read.is_empty() {
                self.fill().await?;
            }
            let piece: Vec<u8> = self.read.drain(..missing.min(self.read.len())).collect();
            missing -= piece.len();
            if let Err(reason) = inbox.push(&piece) {
                return Ok(Err(reason));
            }
        }
        Codec::apply_mask(header, inbox.bytes_mut().get_mut(start..).unwrap_or_default());
        Ok(Ok(()))
    }

    async fn control(&mut self, header: &Header) -> Received {
        let mut inbox = Inbox::new(&self.share, CONTROL_BYTES);
        if let Err(reason) = self.payload(header, &mut inbox).await? {
            return Ok(Incoming::Refused(reason));
        }
        Ok(match header.opcode() {
            OpCode::Ping => Incoming::Ping(inbox.bytes().to_vec()),
            OpCode::Close => Incoming::End,
            _ => Incoming::Nothing,
        })
    }

    /// A frame with a piece of a message.
    async fn data(&mut self, header: &Header) -> Received {
        let continues = header.opcode() == OpCode::Continue;
        let begun = match self.begun.take() {
            Some(begun) if continues => begun,
            None if !continues => {
                let limits = self.dispatcher.limits();
                let inbox = Inbox::new(&self.share, limits.request_bytes as usize);
                Begun { inbox, deadline: Instant::now() + limits.body_timeout }
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let Begun { mut inbox, deadline } = begun;
        match timeout_at(deadline, self.payload(header, &mut inbox)).await?? {
            Err(reason) => Ok(Incoming::Refused(reason)),
            Ok(()) if header.is_fin() => Ok(Incoming::Message(inbox)),
            Ok(()) => {
                self.begun = Some(Begun { inbox, deadline });
                Ok(Incoming::Nothing)
            }
        }
    }
}

impl<R: AsyncRead + Unpin + Send> MessageReader for FrameReader<R> {
    async fn next(&mut self) -> Received {
        let header = match self.header().await? {
            Ok(header) => header,
            Err(reason) => return Ok(Incoming::Refused(reason)),
        };
        if header.opcode().is_control() { self.control(&header).await } else { self.data(&header).await }
    }
}

/// Writes a frame a message.
pub(crate) struct FrameWriter<W> {
    io: W,
    codec: Codec,
}

impl<W: AsyncWrite + Unpin + Send> FrameWriter<W> {
    pub(crate) fn new(io: W) -> Self {
        Self { io, codec: Codec::new() }
    }

    async fn frame(&mut self, opcode: OpCode, payload: &[u8]) -> io::Result<()> {
        let mut header = Header::new(opcode);
        header.set_payload_len(payload.len());
        let mut head = self.codec.encode_header(&header).to_vec();
        // A short message is one packet.
        if payload.len() <= PIECE_BYTES {
            head.extend_from_slice(payload);
            self.io.write_all(&head).await?;
        } else {
            self.io.write_all(&head).await?;
            self.io.write_all(payload).await?;
        }
        self.io.flush().await
    }
}

impl<W: AsyncWrite + Unpin + Send + 'static> MessageWriter for FrameWriter<W> {
    async fn message(&mut self, text: &[u8]) -> io::Result<()> {
        self.frame(OpCode::Text, text).await
    }

    async fn ping(&mut self) -> io::Result<()> {
        self.frame(OpCode::Ping, &[]).await
    }

    async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.frame(OpCode::Pong, payload).await
    }

    async fn close(&mut self) {
        // The client may be gone.
        let _ = self.frame(OpCode::Close, &CLOSE_CODE).await;
        let _ = self.io.shutdown().await;
    }
}
