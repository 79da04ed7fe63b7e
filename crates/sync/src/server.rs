//! Answers peers that catch up.

use crate::{BlockSource, ServeError};
use alloy_rlp::Encodable;
use heddle_primitives::{
    BlocksRequest, FinalizedBlock, Height, MAX_BLOCKS_PER_RESPONSE, MAX_RESPONSE_BYTES, Refusal, Request, Response,
};
use std::sync::Arc;

/// What the response's tag and list headers may take beside the blocks.
const FRAME_BYTES_MAX: usize = 32;

/// Serves status and blocks. How many requests run at once, and how often a peer may ask, the network bounds.
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

    /// Answers one request: of the blocks asked for, as many from the first on as exist and fit
    /// [`MAX_RESPONSE_BYTES`]; none when the first is missing. Blocks.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn read(&self, request: &Request) -> Result<Response, ServeError> {
        match request {
            Request::Status => Ok(Response::Status(self.source.status())),
            Request::Blocks(range) => read_range(&*self.source, range).map(Response::Blocks),
            _ => Ok(Response::Refused(Refusal::Gone)),
        }
    }
}

fn read_range(source: &dyn BlockSource, range: &BlocksRequest) -> Result<Vec<FinalizedBlock>, ServeError> {
    let BlocksRequest { from, count } = *range;
    if !(1..=MAX_BLOCKS_PER_RESPONSE).contains(&count) {
        return Err(ServeError::Count { count, max: MAX_BLOCKS_PER_RESPONSE });
    }
    let mut blocks = Vec::new();
    let mut bytes = FRAME_BYTES_MAX;
    for number in from.as_u64()..from.as_u64().saturating_add(count) {
        let height = Height::new(number);
        let read = source.finalized_block(height).map_err(|reason| ServeError::Read { height, reason })?;
        let Some(block) = read else { break };
        bytes += block.length();
        if bytes > MAX_RESPONSE_BYTES {
            break;
        }
        blocks.push(block);
    }
    Ok(blocks)
}
