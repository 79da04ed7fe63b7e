//! How the consensus log is written: pure functions from records to bytes and back.
//!
//! A log is [`MAGIC`] followed by frames, one for each sync:
//!
//! ```text
//! frame   = length of the payload (4) | CRC-32C of the length (4) | CRC-32C of the payload (4) | payload
//! payload = (length of the record (4) | record)*           all numbers little-endian
//! ```
//!
//! A frame is on disk before the next one is begun, so a crash can damage only the last. Damage with an intact frame
//! behind it is therefore not a crash's doing: cutting there would forget votes that were sent.

use crate::durable::CRC;

/// First bytes of the file: its kind and format.
pub const MAGIC: [u8; 8] = *b"heddlog1";
/// Bytes of a frame before its payload.
pub(crate) const HEADER_BYTES: usize = 12;
/// Bytes before a record.
pub(crate) const LENGTH_BYTES: usize = 4;

/// Where and why a log cannot be what was written, nor what a crash left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogDamage {
    /// Bytes before the damage.
    pub offset: u64,
    /// What is wrong there.
    pub reason: &'static str,
}

/// Adds a record to a payload; its length fits in 32 bits.
pub fn push(payload: &mut Vec<u8>, record: &[u8]) {
    payload.extend_from_slice(&(record.len() as u32).to_le_bytes());
    payload.extend_from_slice(record);
}

/// The frame of a payload, to be written and synced before the next one.
pub fn encode(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let mut frame = Vec::with_capacity(HEADER_BYTES + payload.len());
    frame.extend_from_slice(&length);
    frame.extend_from_slice(&CRC.checksum(&length).to_le_bytes());
    frame.extend_from_slice(&CRC.checksum(payload).to_le_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The records of all intact frames of a log, oldest first, and where the last frame ends: what follows there was torn
/// by a crash.
///
/// # Errors
/// [`LogDamage`] for damage that a crash cannot explain.
pub fn decode(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, u64), LogDamage> {
    let damage = |offset: usize, reason| LogDamage { offset: offset as u64, reason };
    // The file is created whole, so even its first bytes cannot be torn.
    let mut rest = bytes.strip_prefix(&MAGIC).ok_or_else(|| damage(0, "not a consensus log of a known format"))?;
    let mut records = Vec::new();
    while let Frame::Intact { payload, behind } = Frame::read(rest) {
        let offset = bytes.len() - rest.len();
        read_records(payload, &mut records).ok_or_else(|| damage(offset, "a frame does not divide into records"))?;
        rest = behind;
    }
    let end = bytes.len() - rest.len();
    if intact_frame_behind(rest) {
        return Err(damage(end, "a damaged frame is followed by an intact one"));
    }
    Ok((records, end as u64))
}

enum Frame<'a> {
    /// All checks pass.
    Intact { payload: &'a [u8], behind: &'a [u8] },
    /// The length checks, the payload does not (or ends early).
    BadPayload { behind: &'a [u8] },
    /// Not even the length checks.
    BadHeader,
}

impl<'a> Frame<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Self::BadHeader };
        let Some((length_sum, rest)) = rest.split_first_chunk::<4>() else { return Self::BadHeader };
        if CRC.checksum(length) != u32::from_le_bytes(*length_sum) {
            return Self::BadHeader;
        }
        let Some((payload_sum, rest)) = rest.split_first_chunk::<4>() else { return Self::BadPayload { behind: &[] } };
        match rest.split_at_checked(u32::from_le_bytes(*length) as usize) {
            None => Self::BadPayload { behind: &[] },
            Some((payload, behind)) if CRC.checksum(payload) == u32::from_le_bytes(*payload_sum) => {
                Self::Intact { payload, behind }
            }
            Some((_, behind)) => Self::BadPayload { behind },
        }
    }
}

/// Whether an intact frame stands behind the damaged one that `bytes` start with.
fn intact_frame_behind(mut bytes: &[u8]) -> bool {
    loop {
        match Frame::read(bytes) {
            Frame::Intact { .. } => return true,
            Frame::BadPayload { behind } => bytes = behind,
            // Where the next frame starts is unknown: try every byte.
            Frame::BadHeader => match bytes.split_first() {
                Some((_, behind)) => bytes = behind,
                None => return false,
            },
        }
    }
}

fn read_records(mut payload: &[u8], records: &mut Vec<Vec<u8>>) -> Option<()> {
    while !payload.is_empty() {
        let (length, rest) = payload.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        records.push(record.to_vec());
        payload = rest;
    }
    Some(())
}
