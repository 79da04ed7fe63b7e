//! What needs no state and therefore runs ahead: reading, decoding, recovering senders, verifying certificates.

use crate::chain_file::{ChainFileError, ChainFileReader, Item};
use alloy_primitives::B256;
use heddle_chain::{Chain, ChainError, RecoveredBlock};
use heddle_primitives::{Block, CertifiedBlock, FinalizedBlock, Height, ValidatorSet};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A batch ends with the block that passes either bound: enough to keep all threads busy, little to hold in memory.
const BATCH_BLOCKS_MAX: usize = 64;
const BATCH_BYTES_MAX: usize = 128 * 1024;

/// A block that only execution can still refuse.
pub(super) enum Prepared {
    /// The very block is in the chain already.
    Known,
    /// Of a plain Ethereum chain.
    Recovered(RecoveredBlock),
    /// Of a Heddle chain.
    Certified(Box<CertifiedBlock>),
    /// Of a Heddle chain, in an epoch whose validators are not known yet.
    Finalized(Box<FinalizedBlock>),
}

/// Some blocks in order.
pub(super) struct PreparedBatch {
    pub(super) blocks: Vec<Prepared>,
    /// Bytes of all files up to the end of the batch.
    pub(super) position: u64,
    /// What preparing took, summed over threads.
    pub(super) recovery: Duration,
}

/// Why there are no more blocks.
#[derive(Debug, thiserror::Error)]
pub(super) enum AheadError {
    #[error(transparent)]
    File(#[from] ChainFileError),
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Threads(#[from] rayon::ThreadPoolBuildError),
    #[error("block {number} ({hash}) is invalid: {reason}")]
    Block { number: u64, hash: B256, reason: String },
}

/// Bytes of all files together.
pub(super) fn total_bytes(files: &[PathBuf]) -> Result<u64, AheadError> {
    let length = |path: &PathBuf| {
        let metadata = path.metadata();
        let error = |source| ChainFileError::Io { action: "open", path: path.clone(), source };
        Ok(metadata.map_err(error)?.len())
    };
    files.iter().map(length).sum()
}

/// Threads for [`run`] beside an import on as many: its own, because the state root must not queue behind the recovery
/// of later blocks.
pub(super) fn threads(count: usize) -> Result<ThreadPool, AheadError> {
    let builder = ThreadPoolBuilder::new().num_threads(count).thread_name(|index| format!("ahead-{index}"));
    Ok(builder.build()?)
}

/// Sends the blocks of all files, then ends; or sends the first error after the blocks before it. `send` says whether
/// anybody still receives: if not, the import has ended with a reason of its own.
pub(super) fn run(chain: &Chain, files: &[PathBuf], mut send: impl FnMut(Result<PreparedBatch, AheadError>) -> bool) {
    let mut position = 0;
    for path in files {
        match read_file(chain, path, &mut position, &mut |batch| send(Ok(batch))) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                send(Err(error));
                return;
            }
        }
    }
}

/// Whether all was sent; `false` when `send` says that nobody receives.
fn read_file(
    chain: &Chain,
    path: &std::path::Path,
    position: &mut u64,
    send: &mut dyn FnMut(PreparedBatch) -> bool,
) -> Result<bool, AheadError> {
    let mut reader = ChainFileReader::open(path)?;
    loop {
        let (items, failure) = read_batch(&mut reader);
        let is_last = items.is_empty();
        *position += items.iter().map(|item| item.rlp.len() as u64).sum::<u64>();
        let (batch, error) = prepare(chain, &reader, items, *position);
        if !batch.blocks.is_empty() && !send(batch) {
            return Ok(false);
        }
        if let Some(error) = error.or(failure.map(AheadError::File)) {
            return Err(error);
        }
        if is_last {
            return Ok(true);
        }
    }
}

/// The next items, none at the end of the file, and the error after them.
fn read_batch(reader: &mut ChainFileReader) -> (Vec<Item>, Option<ChainFileError>) {
    let (mut items, mut bytes) = (Vec::new(), 0);
    while items.len() < BATCH_BLOCKS_MAX && bytes < BATCH_BYTES_MAX {
        match reader.next_item() {
            Ok(Some(item)) => {
                bytes += item.rlp.len();
                items.push(item);
            }
            Ok(None) => break,
            Err(error) => return (items, Some(error)),
        }
    }
    (items, None)
}

/// Prepares items on all threads, up to the first that is wrong.
fn prepare(
    chain: &Chain,
    reader: &ChainFileReader,
    items: Vec<Item>,
    position: u64,
) -> (PreparedBatch, Option<AheadError>) {
    let prepare_one = |item: Item| {
        let started = Instant::now();
        (prepare_item(chain, reader, item), started.elapsed())
    };
    let prepared: Vec<_> = items.into_par_iter().map(prepare_one).collect();
    let mut batch = PreparedBatch { blocks: Vec::with_capacity(prepared.len()), position, recovery: Duration::ZERO };
    for (block, took) in prepared {
        batch.recovery += took;
        match block {
            Ok(block) => batch.blocks.push(block),
            Err(error) => return (batch, Some(error)),
        }
    }
    (batch, None)
}

fn prepare_item(chain: &Chain, reader: &ChainFileReader, item: Item) -> Result<Prepared, AheadError> {
    let undecodable = |error| reader.malformed(item.offset, format!("not a block: {error}"));
    if chain.genesis().heddle().is_some() {
        let block: FinalizedBlock = alloy_rlp::decode_exact(&item.rlp).map_err(undecodable)?;
        return certify(chain, block);
    }
    let block: Block = alloy_rlp::decode_exact(&item.rlp).map_err(undecodable)?;
    let (number, hash) = (block.header.number, block.header.hash_slow());
    if chain.number_of(hash)?.is_some() {
        return Ok(Prepared::Known);
    }
    let recovered = RecoveredBlock::recover(chain.rules(), block);
    recovered.map(Prepared::Recovered).map_err(|error| AheadError::Block { number, hash, reason: error.to_string() })
}

fn certify(chain: &Chain, block: FinalizedBlock) -> Result<Prepared, AheadError> {
    let (number, hash) = (block.proposed.block.header.number, block.proposed.hash());
    if chain.number_of(hash)?.is_some() {
        return Ok(Prepared::Known);
    }
    match chain.validators(Height::new(number)) {
        Err(ChainError::UnknownBlock { .. }) => Ok(Prepared::Finalized(Box::new(block))),
        validators => verify(chain, block, &*validators?).map(|block| Prepared::Certified(Box::new(block))),
    }
}

/// Checks a block's certificate.
pub(super) fn verify(
    chain: &Chain,
    block: FinalizedBlock,
    validators: &ValidatorSet,
) -> Result<CertifiedBlock, AheadError> {
    let (number, hash) = (block.proposed.block.header.number, block.proposed.hash());
    CertifiedBlock::verify(block, validators, &chain.signing_context()).map_err(|error| AheadError::Block {
        number,
        hash,
        reason: error.to_string(),
    })
}
