//! Checking a whole file.

use super::Observer;
use super::course::Course;
use super::format::{Chunk, Counts, PieceChunk};
use super::reader::Reader;
use super::trust::Trusted;
use crate::shutdown::StopFlag;
use heddle_primitives::{Checkpoint, Genesis};
use std::error::Error;
use std::path::Path;

/// Checks that a file leads from genesis to a final header and holds its whole state, and nothing else. Returns what is in
/// it; no database is touched.
///
/// # Errors
/// What is wrong with the first chunk that is, by its number and place.
pub fn verify(
    path: &Path,
    genesis: &Genesis,
    checkpoint: Option<Checkpoint>,
    stop: &StopFlag,
    observer: Observer<'_>,
) -> Result<(Trusted, Counts), Box<dyn Error>> {
    let mut reader = Reader::open(path)?;
    let (trusted, mut chunk) = Trusted::read(&mut reader, genesis, checkpoint)?;
    let pivot = trusted.pivot();
    let mut course = Course::new(pivot.state_root);
    while let Chunk::Piece(piece) = &chunk {
        if stop.is_raised() {
            return Err("stopped by a signal".into());
        }
        let PieceChunk { request, response } = &**piece;
        let task = course.next_task().filter(|task| task.request(pivot.height) == *request);
        let task = task.ok_or_else(|| reader.wrong("it is not the piece that comes next in the state"))?;
        course.take(&task, response).map_err(|error| reader.wrong(error))?;
        observer("verify", reader.thousandths());
        chunk = reader.next_chunk()?;
    }
    let expected = Counts { chunks: reader.chunks().saturating_sub(1), ..course.counts() };
    let Chunk::End(counts) = chunk else {
        return Err(reader.wrong("it does not belong among pieces of the state").into());
    };
    if course.next_task().is_some() {
        return Err(reader.wrong("the file ends before the state does").into());
    }
    if counts != expected {
        return Err(reader.wrong(format!("it says that the file holds {counts:?}, which are {expected:?}")).into());
    }
    reader.expect_end()?;
    Ok((trusted, counts))
}
