//! Whole nodes on one thread under a seed.
