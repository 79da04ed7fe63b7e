//! Frames of the request protocols: a 4-byte big-endian length, then RLP.

use alloy_rlp::{Decodable, Encodable};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use heddle_primitives::{
    MAX_REQUEST_BYTES, MAX_RESPONSE_BYTES, MAX_TRANSACTION_REQUEST_BYTES, MAX_TRANSACTION_RESPONSE_BYTES, Request,
    Response, TransactionRequest, TransactionResponse, decode_exact,
};
use libp2p::{StreamProtocol, request_response};
use std::{
    io::{self, ErrorKind},
    marker::PhantomData,
};

/// What one protocol asks and answers, and how large that may be, in bytes.
pub(crate) trait Exchange: Clone + Send + Sync + 'static {
    type Request: Encodable + Decodable + Send + Sync + 'static;
    type Response: Encodable + Decodable + Send + Sync + 'static;
    const REQUEST_BYTES_MAX: usize;
    const RESPONSE_BYTES_MAX: usize;
}

/// Questions about the chain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ChainExchange;

impl Exchange for ChainExchange {
    type Request = Request;
    type Response = Response;
    const REQUEST_BYTES_MAX: usize = MAX_REQUEST_BYTES;
    const RESPONSE_BYTES_MAX: usize = MAX_RESPONSE_BYTES;
}

/// Announcements, pushes and fetches of transactions.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TransactionExchange;

impl Exchange for TransactionExchange {
    type Request = TransactionRequest;
    type Response = TransactionResponse;
    const REQUEST_BYTES_MAX: usize = MAX_TRANSACTION_REQUEST_BYTES;
    const RESPONSE_BYTES_MAX: usize = MAX_TRANSACTION_RESPONSE_BYTES;
}

/// A request that breaks the rules, with the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InvalidRequest(pub(crate) String);

/// Reads and writes one frame a direction. Errors of kind [`ErrorKind::InvalidData`] are the peer's fault.
///
/// A request that cannot be read ends its stream without an event; an invalid one is passed on as a value instead,
/// otherwise its peer could not be blamed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RlpCodec<E>(PhantomData<E>);

async fn read_frame<T: Decodable>(io: &mut (impl AsyncRead + Unpin + Send), bytes_max: usize) -> io::Result<T> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length) as usize;
    if length > bytes_max {
        return Err(invalid(format!("frame of {length} bytes is larger than {bytes_max}")));
    }
    // The buffer grows with what arrives, otherwise a few bytes that announce a full frame would cost its memory.
    let mut frame = Vec::new();
    io.take(length as u64).read_to_end(&mut frame).await?;
    if frame.len() < length {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    decode_exact(&frame, bytes_max).map_err(|error| invalid(error.to_string()))
}

async fn write_frame(
    io: &mut (impl AsyncWrite + Unpin + Send),
    message: &(impl Encodable + Sync),
    bytes_max: usize,
) -> io::Result<()> {
    let frame = alloy_rlp::encode(message);
    let length = u32::try_from(frame.len())
        .ok()
        .filter(|_| frame.len() <= bytes_max)
        .ok_or_else(|| io::Error::other(format!("our message of {} bytes is larger than {bytes_max}", frame.len())))?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(&frame).await?;
    io.close().await
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

impl<E: Exchange> request_response::Codec for RlpCodec<E> {
    type Protocol = StreamProtocol;
    type Request = Result<E::Request, InvalidRequest>;
    type Response = E::Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Self::Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_frame(io, E::REQUEST_BYTES_MAX).await {
            Err(error) if error.kind() == ErrorKind::InvalidData => Ok(Err(InvalidRequest(error.to_string()))),
            request => request.map(Ok),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<E::Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_frame(io, E::RESPONSE_BYTES_MAX).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Self::Request) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let request = request.map_err(|InvalidRequest(reason)| io::Error::other(reason))?;
        write_frame(io, &request, E::REQUEST_BYTES_MAX).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: E::Response) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &response, E::RESPONSE_BYTES_MAX).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{executor::block_on, io::Cursor};
    use heddle_primitives::{BlocksRequest, Height};
    use proptest::prelude::*;

    fn read(bytes: Vec<u8>) -> io::Result<Request> {
        block_on(read_frame(&mut Cursor::new(bytes), MAX_REQUEST_BYTES))
    }

    fn frame(payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as u32).to_be_bytes()[..], payload].concat()
    }

    #[test]
    fn a_request_survives_its_frame() {
        let request = Request::Blocks(BlocksRequest { from: Height::new(7), count: 64 });
        let mut io = Cursor::new(Vec::new());
        block_on(write_frame(&mut io, &request, MAX_REQUEST_BYTES)).unwrap();
        assert_eq!(read(io.into_inner()).unwrap(), request);
    }

    #[test]
    fn a_frame_is_bounded_before_it_is_read() {
        let error = read((MAX_REQUEST_BYTES as u32 + 1).to_be_bytes().to_vec()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("16385"), "{error}");
    }

    #[test]
    fn a_cut_frame_is_not_blamed_as_invalid() {
        let whole = frame(&alloy_rlp::encode(Request::Status));
        for length in 0..whole.len() {
            assert_eq!(read(whole[..length].to_vec()).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        }
    }

    #[test]
    fn our_own_oversized_answer_is_not_sent() {
        let mut io = Cursor::new(Vec::new());
        let request = Request::Blocks(BlocksRequest { from: Height::new(7), count: 64 });
        assert!(block_on(write_frame(&mut io, &request, 2)).is_err());
        assert!(io.into_inner().is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(payload.clone());
            let _ = read(frame(&payload));
        }
    }
}
