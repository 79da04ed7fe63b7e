//! Answers peers that catch up.

use crate::{BlockSource, ServeError};
use alloy_rlp::Encodable;
use heddle_primitives::{
    Epoch, Height, MAX_BLOCKS_PER_RESPONSE, MAX_EPOCH_STEPS_PER_RESPONSE, MAX_HEADERS_PER_RESPONSE, MAX_RESPONSE_BYTES,
    Refusal, Request, Response,
};
use std::sync::Arc;

/// What the response's tag and list headers may take beside the items.
const FRAME_BYTES_MAX: usize = 32;
/// What the header of one item's list may take.
const ITEM_FRAME_BYTES_MAX: usize = 9;

/// Serves status, headers, blocks, receipts and ends of epochs; states are served by
/// [`SnapshotServer`](crate::SnapshotServer). How many requests run at once, and how often a peer may ask, the network
/// bounds.
#[derive(Clone)]
pub struct SyncServer {
    source: Arc<dyn BlockSource>,
}

impl SyncServer {
    /// A server of these blocks.
    pub fn new(source: Arc<dyn BlockSource>) -> Self {
        Self { source }
    }

    /// Answers one request, off the async threads; as [`Self::read`].
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn answer(&self, request: Request) -> Result<Response, ServeError> {
        let server = self.clone();
        let answer = tokio::task::spawn_blocking(move || server.read(&request));
        answer.await.map_err(|error| ServeError::Interrupted(error.to_string()))?
    }

    /// Answers one request: of what is asked for, as many from the first on as exist and fit
    /// [`MAX_RESPONSE_BYTES`]; none when the first is missing. What is about states, or about blocks that are being
    /// decided, is refused. Blocks.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn read(&self, request: &Request) -> Result<Response, ServeError> {
        let source = &*self.source;
        match request {
            Request::Status => Ok(Response::Status(source.status())),
            Request::Blocks(range) => {
                let read = |number| source.finalized_block(Height::new(number));
                read_range("block", range.from.as_u64(), range.count, MAX_BLOCKS_PER_RESPONSE, read)
                    .map(Response::Blocks)
            }
            Request::Headers(range) => {
                let read = |number| source.certified_header(Height::new(number));
                read_range("header", range.from.as_u64(), range.count, MAX_HEADERS_PER_RESPONSE, read)
                    .map(Response::Headers)
            }
            Request::Receipts(range) => {
                let read = |number| source.receipts(Height::new(number));
                read_range("receipts of block", range.from.as_u64(), range.count, MAX_BLOCKS_PER_RESPONSE, read)
                    .map(Response::Receipts)
            }
            Request::EpochSteps(range) => {
                let read = |number| source.epoch_step(Epoch::new(number));
                read_range("end of epoch", range.from.as_u64(), range.count, MAX_EPOCH_STEPS_PER_RESPONSE, read)
                    .map(Response::EpochSteps)
            }
            Request::Snapshots
            | Request::Accounts(_)
            | Request::Storage(_)
            | Request::Code(_)
            | Request::RangeProof(_)
            | Request::BlockTransactions(_)
            | Request::BlockPieces(_) => Ok(Response::Refused(Refusal::Gone)),
        }
    }
}

fn read_range<T: Encodable>(
    what: &'static str,
    from: u64,
    count: u64,
    max: u64,
    read: impl Fn(u64) -> Result<Option<T>, String>,
) -> Result<Vec<T>, ServeError> {
    if !(1..=max).contains(&count) {
        return Err(ServeError::Count { count, max });
    }
    let mut items = Vec::new();
    let mut bytes = FRAME_BYTES_MAX;
    for number in from..from.saturating_add(count) {
        let read = read(number).map_err(|reason| ServeError::Read { what, number, reason })?;
        let Some(item) = read else { break };
        bytes += item.length() + ITEM_FRAME_BYTES_MAX;
        if bytes > MAX_RESPONSE_BYTES {
            break;
        }
        items.push(item);
    }
    Ok(items)
}
