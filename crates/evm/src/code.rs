//! Code that is ready to run, and the cache of it.

use alloy_primitives::{B256, Bytes};
use quick_cache::{Weighter, sync::Cache};
use revm::state::Bytecode;
use std::sync::atomic::{AtomicU64, Ordering};

/// Code with its jump table, or the target of its delegation (EIP-7702). Clones share it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code(Bytecode);

impl Code {
    /// Analyses code.
    pub fn new(bytes: Bytes) -> Self {
        // Code from before EIP-3541 may look like a broken delegation; it runs as any other code.
        Self(Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes)))
    }

    /// The code as it was deployed.
    pub fn bytes(&self) -> Bytes {
        self.0.original_bytes()
    }

    /// The code as revm runs it.
    pub fn into_bytecode(self) -> Bytecode {
        self.0
    }

    /// Bytes of memory: the code with its padding, a bit of jump table for each byte of it, and the bookkeeping.
    fn size(&self) -> u64 {
        const BOOKKEEPING: usize = 256;
        let bytes = self.0.bytes_slice().len();
        (bytes + bytes / 8 + BOOKKEEPING) as u64
    }
}

/// Analysed code by its hash, bounded by memory; what is least used goes first. Code never changes, so one cache
/// serves every state of a chain, and may be shared by any number of threads.
pub struct CodeCache {
    codes: Cache<B256, Code, CodeSize>,
    /// Counts what was not cached. What was is not counted: all threads would add to one number all the time.
    loads: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct CodeSize;

impl Weighter<B256, Code> for CodeSize {
    fn weight(&self, _hash: &B256, code: &Code) -> u64 {
        code.size()
    }
}

impl CodeCache {
    /// A cache that holds at most `bytes_max` bytes, jump tables included.
    pub fn new(bytes_max: u64) -> Self {
        const BYTES_OF_AVERAGE_CODE: u64 = 8 * 1024;
        let codes_expected = usize::try_from(bytes_max / BYTES_OF_AVERAGE_CODE).unwrap_or(usize::MAX);
        Self { codes: Cache::with_weighter(codes_expected, bytes_max, CodeSize), loads: AtomicU64::new(0) }
    }

    /// The code with this hash; `load` reads it when it is not cached, once for all threads that ask at that time.
    ///
    /// # Errors
    /// What `load` returns; nothing is cached then.
    pub fn get_or_load<E>(&self, hash: B256, load: impl FnOnce() -> Result<Bytes, E>) -> Result<Code, E> {
        self.codes.get_or_insert_with(&hash, || {
            self.loads.fetch_add(1, Ordering::Relaxed);
            load().map(Code::new)
        })
    }

    /// The code with this hash, if it is cached.
    pub fn get(&self, hash: B256) -> Option<Code> {
        self.codes.get(&hash)
    }

    /// How often code was not cached, since the cache was made.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Relaxed)
    }

    /// Bytes that the cached codes may take.
    pub fn capacity_bytes(&self) -> u64 {
        self.codes.capacity()
    }

    /// Bytes that the cached codes take.
    pub fn bytes(&self) -> u64 {
        self.codes.weight()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;
    use alloy_primitives::keccak256;

    fn load(cache: &CodeCache, byte: u8, loads: &mut usize) -> Code {
        let bytes = Bytes::from(vec![byte; 1_000]);
        let loaded = cache.get_or_load(keccak256(&bytes), || {
            *loads += 1;
            Ok::<_, ()>(bytes.clone())
        });
        assert_eq!(loaded.as_ref().unwrap().bytes(), bytes);
        loaded.unwrap()
    }

    #[test]
    fn cached_code_is_read_once_and_memory_is_bounded() {
        let cache = CodeCache::new(100_000);
        let mut loads = 0;
        load(&cache, 1, &mut loads);
        load(&cache, 1, &mut loads);
        assert_eq!((loads, cache.loads()), (1, 1));
        assert!(cache.bytes() > 1_000 + 1_000 / 8);
        for byte in 0..=255 {
            load(&cache, byte, &mut loads);
            assert!(cache.bytes() <= 100_000);
        }
        assert_eq!(cache.get_or_load(B256::ZERO, || Err("disk on fire")), Err("disk on fire"));
    }

    #[test]
    fn broken_delegation_is_plain_code() {
        let delegation = Bytes::from([&[0xef, 0x01, 0x00][..], &[0xaa; 20]].concat());
        assert!(Code::new(delegation).into_bytecode().is_eip7702());
        let broken = Bytes::from_static(&[0xef, 0x01, 0x00, 0xaa]);
        let code = Code::new(broken.clone());
        assert_eq!(code.bytes(), broken);
        assert!(!code.into_bytecode().is_eip7702());
    }
}
