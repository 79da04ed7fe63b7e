//! Locks and atomics of the parallel executor: the standard library's, or under the `shuttle` feature those of the
//! model checker, which runs the same code under every schedule it can find.

#[cfg(feature = "shuttle")]
use shuttle::sync as primitives;
#[cfg(not(feature = "shuttle"))]
use std::sync as primitives;

pub(crate) use primitives::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use primitives::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};
use std::sync::{PoisonError, TryLockError};

/// A lock that does not ask whether another thread died holding it: then the whole execution is given up anyway.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(primitives::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(primitives::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As [`Mutex`], for many readers.
#[derive(Debug, Default)]
pub(crate) struct RwLock<T>(primitives::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(primitives::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets another thread run: called while there is nothing to do but wait for one.
pub(crate) fn yield_now() {
    #[cfg(feature = "shuttle")]
    shuttle::thread::yield_now();
    #[cfg(not(feature = "shuttle"))]
    std::thread::yield_now();
}

/// Waits for a moment, in the hope that another thread is done by then.
pub(crate) fn spin_loop() {
    #[cfg(feature = "shuttle")]
    shuttle::hint::spin_loop();
    #[cfg(not(feature = "shuttle"))]
    std::hint::spin_loop();
}

/// A bound of the executor, which the model checker has to reach in blocks of a few transactions.
pub(crate) const fn bound(bound: u32, in_model: u32) -> u32 {
    if cfg!(feature = "shuttle") { in_model } else { bound }
}
