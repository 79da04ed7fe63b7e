//! Runs Ethereum's own test suites against Heddle.

fn main() {}
