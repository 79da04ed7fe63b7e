//! Writing a chain's last state to a file.

use super::Observer;
use super::course::Course;
use super::format::{BlockChunk, CHUNK_BYTES_MAX, Chunk, Counts, PieceChunk, PivotChunk};
use super::writer::Writer;
use crate::shutdown::StopFlag;
use heddle_chain::{Chain, Head, StateView};
use heddle_primitives::{
    Epoch, EpochStep, Header, Height, MAX_EPOCH_STEPS_PER_RESPONSE, Request, Response, STATE_RESPONSE_BYTES,
};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// Headers before the pivot.
const ANCESTORS: u64 = 256;

/// Writes the state after the head of `chain`, and says what and how many bytes. Blocks that are committed meanwhile change
/// nothing; the file appears when it is whole.
///
/// # Errors
/// When the chain has nothing to write or lacks what leads to it, or the disk's.
pub fn create(
    chain: &Chain,
    path: &Path,
    stop: &StopFlag,
    observer: Observer<'_>,
) -> Result<(Arc<Head>, Counts, u64), Box<dyn Error>> {
    let head = chain.head();
    let Some(certificate) = head.certificate.clone() else {
        return Err("the chain is at genesis, or a plain Ethereum chain: no certificate makes its state final".into());
    };
    let steps = steps(chain, &head)?;
    let mut writer = Writer::create(path)?;
    let (genesis, header) = (chain.genesis().hash(), head.header.inner().clone());
    writer.write(&Chunk::Pivot(Box::new(PivotChunk { genesis, header, certificate })))?;
    for steps in steps.chunks(MAX_EPOCH_STEPS_PER_RESPONSE as usize) {
        writer.write(&Chunk::Steps(steps.to_vec()))?;
    }
    writer.write(&Chunk::Ancestors(ancestors(chain, &head)?))?;
    if let Some(block) = block(chain, &head)? {
        writer.write(&block)?;
    }
    let counts = write_state(&head, &mut writer, stop, observer)?;
    let counts = Counts { chunks: writer.chunks(), ..counts };
    let bytes = writer.finish(counts)?;
    Ok((head, counts, bytes))
}

/// The ends of all epochs before the head's.
fn steps(chain: &Chain, head: &Head) -> Result<Vec<EpochStep>, Box<dyn Error>> {
    let Some(heddle) = chain.genesis().heddle().filter(|heddle| heddle.registry.is_some()) else {
        return Ok(Vec::new());
    };
    let mut steps = Vec::new();
    let mut last = heddle.epoch_length;
    while last < head.header.number {
        let step = chain.epoch_step(Epoch::of(Height::new(last), heddle.epoch_length))?;
        steps.push(step.ok_or_else(|| {
            format!(
                "the validators after block {last} cannot be proven from this database: either its headers from genesis on are not \
                 fetched yet (it has those from {}), or an older version wrote it",
                chain.headers_from()
            )
        })?);
        last = last.saturating_add(heddle.epoch_length);
    }
    Ok(steps)
}

fn ancestors(chain: &Chain, head: &Head) -> Result<Vec<Header>, Box<dyn Error>> {
    let (genesis, number) = (chain.genesis().header().number, head.header.number);
    let numbers = number.saturating_sub(ANCESTORS).max(genesis + 1)..number;
    let header = |number| -> Result<Header, Box<dyn Error>> {
        let header = chain.header(number)?.ok_or_else(|| format!("header {number} is missing"))?;
        Ok(header.into_inner())
    };
    numbers.map(header).collect()
}

/// The head with its receipts, where they are there and not too long.
fn block(chain: &Chain, head: &Head) -> Result<Option<Chunk>, Box<dyn Error>> {
    let number = head.header.number;
    let (Some(mut block), Some(receipts)) = (chain.finalized_block(number)?, chain.receipts(number)?) else {
        return Ok(None);
    };
    // It helps to execute the block, which nobody will.
    block.proposed.access_list = None;
    let chunk = Chunk::Block(Box::new(BlockChunk { block, receipts }));
    Ok(Some(chunk).filter(|chunk| chunk.encode().len() <= CHUNK_BYTES_MAX))
}

fn write_state(
    head: &Head,
    writer: &mut Writer,
    stop: &StopFlag,
    observer: Observer<'_>,
) -> Result<Counts, Box<dyn Error>> {
    let (state, mut course) = (head.state(), Course::new(head.header.state_root));
    while let Some(task) = course.next_task() {
        if stop.is_raised() {
            return Err("stopped by a signal: nothing was written".into());
        }
        let request = task.request(head.height());
        let response = serve(&state, &request)?;
        // What would not be believed is not written either.
        course.take(&task, &response)?;
        writer.write(&Chunk::Piece(Box::new(PieceChunk { request, response })))?;
        observer("snapshot", course.progress());
    }
    Ok(course.counts())
}

/// What a peer would answer.
fn serve(state: &StateView, request: &Request) -> Result<Response, Box<dyn Error>> {
    Ok(match request {
        Request::Accounts(request) => Response::Accounts(state.serve_accounts(request, STATE_RESPONSE_BYTES)?),
        Request::Storage(request) => Response::Storage(state.serve_storage(request, STATE_RESPONSE_BYTES)?),
        Request::Code(request) => Response::Code(state.serve_code(&request.hashes, STATE_RESPONSE_BYTES)?),
        other => return Err(format!("{:?} is no piece of a state", other.kind()).into()),
    })
}
