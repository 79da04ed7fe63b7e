//! Making the state in a file that of a chain.

use super::Observer;
use super::format::{Chunk, Counts, PieceChunk};
use super::reader::Reader;
use super::trust::Trusted;
use crate::adapters::StagedState;
use crate::cache::CacheSize;
use crate::shutdown::StopFlag;
use heddle_chain::{Chain, Head};
use heddle_primitives::{CertifiedHeader, Checkpoint, EpochStep, Pivot, Request, StateTask};
use heddle_sync::{PieceRefusal, StateTarget};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;

/// What one restoring needs.
pub struct Restore<'a> {
    /// The chain, at genesis.
    pub chain: &'a Chain,
    /// Its data directory.
    pub datadir: &'a Path,
    /// A block that must be on the way to the state.
    pub checkpoint: Option<Checkpoint>,
    /// Memory of the database in which the state is put together.
    pub cache: CacheSize,
    /// Ends it between two pieces.
    pub stop: &'a StopFlag,
}

/// Makes the state in a file that of a chain at genesis. Every piece is checked before it is written, in a place of its own,
/// and the chain takes the whole state or none: when this ends early, however that is, doing it again goes on.
/// When the chain is at the file's block already, nothing is left to do.
///
/// # Errors
/// What is wrong with the file, with the chunk where that shows; when the chain has other blocks; the disk's.
pub fn restore(path: &Path, options: &Restore<'_>, observer: Observer<'_>) -> Result<Arc<Head>, Box<dyn Error>> {
    let Restore { chain, datadir, .. } = options;
    let mut reader = Reader::open(path)?;
    let (trusted, first) = Trusted::read(&mut reader, chain.genesis(), options.checkpoint)?;
    let head = chain.head();
    if head.hash() != trusted.base.pivot.header().seal() {
        if !chain.is_at_genesis() {
            let (number, pivot) = (head.header.number, trusted.pivot().height);
            let cause = format!(
                "the chain in {} is at block {number}: the state of block {pivot} needs a directory without blocks",
                datadir.display()
            );
            return Err(cause.into());
        }
        let staged = stage(options, &mut reader, first, trusted.pivot(), observer)?;
        staged.adopt(trusted.base.clone(), &mut |now| {
            observer("adopt", now.accounts_done.saturating_mul(1_000).checked_div(now.accounts).unwrap_or_default());
        })?;
    }
    take_block(chain, trusted)?;
    StagedState::remove(datadir)?;
    Ok(chain.head())
}

/// Puts the pieces together.
fn stage(
    options: &Restore<'_>,
    reader: &mut Reader,
    first: Chunk,
    pivot: Pivot,
    observer: Observer<'_>,
) -> Result<StagedState, Box<dyn Error>> {
    let staged = open_staged(options, pivot)?;
    let mut chunk = first;
    while let Chunk::Piece(piece) = chunk {
        if options.stop.is_raised() {
            return Err("stopped by a signal: run it again to go on".into());
        }
        let PieceChunk { request, response } = *piece;
        let task = task_of(request, pivot).ok_or_else(|| reader.wrong("it is not a piece of the state"))?;
        staged.accept(pivot, &task, &response).map_err(|error| match error {
            PieceRefusal::Peer(error) => reader.wrong(error).into(),
            PieceRefusal::Ours(error) => Box::<dyn Error>::from(error),
        })?;
        observer("restore", reader.thousandths());
        chunk = reader.next_chunk()?;
    }
    if !matches!(chunk, Chunk::End(Counts { chunks, .. }) if chunks + 1 == reader.chunks()) {
        return Err(reader.wrong("it does not belong among pieces of the state").into());
    }
    reader.expect_end()?;
    match staged.plan(pivot)?.is_empty() {
        true => Ok(staged),
        false => Err(reader.wrong("the file ends before the state does").into()),
    }
}

/// What an earlier attempt put together, unless that was of another state: a file can prove nothing of what it does not
/// hold.
fn open_staged(options: &Restore<'_>, pivot: Pivot) -> Result<StagedState, Box<dyn Error>> {
    let open = || StagedState::open(options.chain.clone(), options.datadir, &options.cache.database());
    let staged = open()?;
    let is_proof = |task: &StateTask| matches!(task, StateTask::RangeProof { .. });
    if !staged.plan(pivot)?.iter().any(is_proof) {
        return Ok(staged);
    }
    drop(staged);
    StagedState::remove(options.datadir)?;
    open()
}

/// What a piece is the answer to.
fn task_of(request: Request, pivot: Pivot) -> Option<StateTask> {
    let (height, task) = match request {
        Request::Accounts(asked) => (asked.height, StateTask::Accounts { first: asked.first, last: asked.last }),
        Request::Storage(asked) => {
            let (accounts, first, last) = (asked.accounts, asked.first, asked.last);
            (asked.height, StateTask::Storage { accounts, first, last })
        }
        Request::Code(asked) => (pivot.height, StateTask::Code { hashes: asked.hashes }),
        _ => return None,
    };
    (height == pivot.height).then_some(task)
}

/// The block of the pivot, so that the chain's last block can be read. With it comes the header before it, and when that ends
/// an epoch, the proof of the next validators.
fn take_block(chain: &Chain, trusted: Trusted) -> Result<(), Box<dyn Error>> {
    let number = trusted.base.pivot.header().number;
    let Some(block) = trusted.block.filter(|_| chain.blocks_from() > number) else { return Ok(()) };
    if let Some(step) = trusted.last_step.filter(|step| step.header.number + 1 == number) {
        let EpochStep { header, certificate, members } = step;
        chain.backfill_headers(&[CertifiedHeader { header, certificate, members: Some(members) }])?;
    }
    chain.backfill_blocks(vec![(block.block, block.receipts)])?;
    Ok(())
}
