//! What an operator may set.

use serde::{Deserialize, Serialize};

/// Limits and intervals of the mempool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MempoolConfig {
    /// Most transactions in the pool, 1 to 10,000,000.
    pub transactions_max: usize,
    /// Most bytes of EIP-2718 encodings in the pool, 128 KiB (the largest transaction) to 1 TiB.
    pub bytes_max: usize,
    /// Most transactions of one sender, pending and queued, 1 to 10,000,000.
    pub sender_transactions_max: usize,
    /// Least priority fee (or gas price of a transaction without one), in wei.
    pub min_tip: u128,
    /// By how much both fees of a replacement must exceed those of what it replaces, 1 to 1,000 percent.
    pub price_bump_percent: u64,
    /// How long a queued transaction may wait for those before it, in seconds, 1 to a year.
    pub queued_lifetime_secs: u64,
    /// How often local transactions are announced again until they are mined, in seconds, 1 to 86,400. A peer that
    /// refused one does not fetch it again within a minute.
    pub reannounce_secs: u64,
    /// How many events a subscriber may be behind before it loses the oldest, 1 to 1,000,000.
    pub events_buffered: usize,
}

impl Default for MempoolConfig {
    fn default() -> Self {
        Self {
            transactions_max: 16_384,
            bytes_max: 64 * 1024 * 1024,
            sender_transactions_max: 1_024,
            min_tip: 1,
            price_bump_percent: 10,
            queued_lifetime_secs: 3 * 60 * 60,
            reannounce_secs: 60,
            events_buffered: 1_024,
        }
    }
}

/// A setting that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mempool.{key} is {value}, expected {least} to {most}")]
pub struct ConfigError {
    /// The setting.
    pub key: &'static str,
    /// What it was.
    pub value: u64,
    /// The least value accepted.
    pub least: u64,
    /// The greatest value accepted.
    pub most: u64,
}

impl MempoolConfig {
    /// Checks every range that the fields' descriptions name.
    ///
    /// # Errors
    /// The first setting out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let transaction_bytes_max = heddle_primitives::MAX_TRANSACTION_BYTES as u64;
        let settings = [
            ("transactions_max", self.transactions_max as u64, 1, 10_000_000),
            ("bytes_max", self.bytes_max as u64, transaction_bytes_max, 1 << 40),
            ("sender_transactions_max", self.sender_transactions_max as u64, 1, 10_000_000),
            ("price_bump_percent", self.price_bump_percent, 1, 1_000),
            ("queued_lifetime_secs", self.queued_lifetime_secs, 1, 31_536_000),
            ("reannounce_secs", self.reannounce_secs, 1, 86_400),
            ("events_buffered", self.events_buffered as u64, 1, 1_000_000),
        ];
        match settings.into_iter().find(|(_, value, least, most)| !(least..=most).contains(&value)) {
            None => Ok(()),
            Some((key, value, least, most)) => Err(ConfigError { key, value, least, most }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_pass_and_what_does_not_is_named() {
        assert_eq!(MempoolConfig::default().check(), Ok(()));
        let error = MempoolConfig { reannounce_secs: 0, ..MempoolConfig::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "mempool.reannounce_secs is 0, expected 1 to 86400");
        let error = MempoolConfig { bytes_max: 1_000, ..MempoolConfig::default() }.check().unwrap_err();
        assert_eq!(error.to_string(), "mempool.bytes_max is 1000, expected 131072 to 1099511627776");
    }
}
