//! Worlds of accounts and contracts, and blocks over them: what benchmarks and property tests execute.
