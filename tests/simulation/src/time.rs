//! Virtual time.

/// Microseconds of virtual time since the world began.
pub type Micros = u64;

/// A thousandth of a second.
pub const MILLISECOND: Micros = 1_000;
/// A second.
pub const SECOND: Micros = 1_000_000;
