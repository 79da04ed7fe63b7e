//! A message as it arrives: no longer than may be, and held against the memory for all.

use crate::budget::{Reservation, Share};

/// Why a message is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// It is too long: the caller's fault.
    TooLong,
    /// Others fill the memory: nobody's fault.
    NoMemory,
}

/// The beginning of a message, or all of it.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    most: usize,
    held: Reservation,
}

impl Inbox {
    /// Takes up to `most` bytes.
    pub(crate) fn new(share: &Share, most: usize) -> Self {
        Self { bytes: Vec::new(), most, held: share.reservation() }
    }

    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<(), NotTaken> {
        let length = self.bytes.len() + piece.len();
        if length > self.most {
            return Err(NotTaken::TooLong);
        }
        if !self.held.covers(length) {
            return Err(NotTaken::NoMemory);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Most bytes that it takes.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
