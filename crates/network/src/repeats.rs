//! What a node says again must differ from what it said before, otherwise gossip would drop it as known. Pure: it is told
//! the time.
//!
//! A halted chain repeats its votes for peers that come back. On the topics where this happens a payload is a count, of 2
//! bytes (big-endian), before the message: how often its publisher has said the same lately.

use alloy_primitives::Bytes;
use lru::LruCache;
use sha2::{Digest, Sha256};
use std::{
    num::NonZeroUsize,
    time::{Duration, Instant},
};

/// Gossipsub forgets an id after this time; a message not repeated for so long is counted from zero again.
pub(crate) const MEMORY: Duration = Duration::from_secs(60);
/// Most messages whose counts are remembered: far more than a validator signs within [`MEMORY`].
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// Honest nodes repeat themselves once a second.
const PAUSE: Duration = Duration::from_millis(500);
/// Most messages remembered that peers said: far more than are valid within [`PAUSE`].
const HEARD: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
/// Bytes of a count.
const COUNT_BYTES: usize = 2;

/// How often our own messages were published lately.
pub(crate) struct Repeats(LruCache<[u8; 32], Published>);

struct Published {
    count: u16,
    at: Instant,
}

impl Repeats {
    pub(crate) fn new() -> Self {
        Self(LruCache::new(REMEMBERED))
    }

    /// The payload of a message that is published now.
    pub(crate) fn payload(&mut self, message: &[u8], now: Instant) -> Vec<u8> {
        let published = self.0.get_or_insert_mut(Sha256::digest(message).into(), || Published { count: 0, at: now });
        let count = match now.saturating_duration_since(published.at) < MEMORY {
            true => published.count,
            false => 0,
        };
        // After 65536 repeats the first is long forgotten.
        *published = Published { count: count.wrapping_add(1), at: now };
        [&count.to_be_bytes(), message].concat()
    }
}

/// The message in a peer's payload; `None` when the payload is too short for a count.
pub(crate) fn message(payload: &Bytes) -> Option<Bytes> {
    (payload.len() >= COUNT_BYTES).then(|| payload.slice(COUNT_BYTES..))
}

/// What peers said lately. A count costs nothing to make up: without a pause between repeats one valid vote, sent
/// under ever new counts, would be forwarded through the whole network each time.
pub(crate) struct Heard(LruCache<[u8; 32], Instant>);

impl Heard {
    pub(crate) fn new() -> Self {
        Self(LruCache::new(HEARD))
    }

    /// Whether the same was heard less than [`PAUSE`] ago; if not, it is heard now.
    pub(crate) fn is_too_soon(&mut self, message: &[u8], now: Instant) -> bool {
        let key = Sha256::digest(message).into();
        let too_soon = self.0.get(&key).is_some_and(|heard| now.saturating_duration_since(*heard) < PAUSE);
        if !too_soon {
            self.0.put(key, now);
        }
        too_soon
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_repeat_within_a_minute_differs_and_carries_the_same_message() {
        let (mut repeats, start) = (Repeats::new(), Instant::now());
        let mut seen = std::collections::HashSet::new();
        for second in 0..200 {
            let payload = Bytes::from(repeats.payload(b"vote", start + Duration::from_secs(second)));
            assert_eq!(message(&payload).unwrap().as_ref(), b"vote");
            assert!(seen.insert(payload));
        }
        assert_eq!(repeats.payload(b"vote", start + Duration::from_secs(300)), b"\0\0vote");
        assert_eq!(repeats.payload(b"another", start + Duration::from_secs(300)), b"\0\0another");
    }

    #[test]
    fn memory_is_bounded() {
        let (mut repeats, now) = (Repeats::new(), Instant::now());
        for number in 0..10_000u32 {
            repeats.payload(&number.to_be_bytes(), now);
        }
        assert_eq!(repeats.0.len(), REMEMBERED.get());
    }

    #[test]
    fn the_same_is_heard_twice_a_second_at_most() {
        let (mut heard, start) = (Heard::new(), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let taken = (0..1000).filter(|time| !heard.is_too_soon(b"vote", at(*time))).count();
        assert_eq!(taken, 2);
        assert!(!heard.is_too_soon(b"another", start));
        for number in 0..10_000u32 {
            heard.is_too_soon(&number.to_be_bytes(), start);
        }
        assert_eq!(heard.0.len(), HEARD.get());
    }

    #[test]
    fn a_payload_without_a_count_holds_no_message() {
        assert_eq!(message(&Bytes::from_static(b"\0")), None);
        assert_eq!(message(&Bytes::from_static(b"\0\0")), Some(Bytes::new()));
    }
}
