//! The fork schedule of a genesis file, as nodes compare it with each other's.

use crate::Genesis;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition, ForkFilter, ForkFilterKey, Head};
use alloy_primitives::U64;
use serde::{Deserialize, Serialize};

/// A fork and when it begins: one of block and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fork {
    /// Its name, such as `Osaka`.
    pub name: String,
    /// Number of its first block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<U64>,
    /// Time from which its rules hold, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<U64>,
}

impl Genesis {
    /// Every fork that the file schedules by block or time, in the order of the forks. The merge, which total difficulty
    /// decides, is not among them.
    pub fn fork_schedule(&self) -> Vec<Fork> {
        let at = |fork: &EthereumHardfork| {
            let (block, time) = match self.forks().ethereum_fork_activation(*fork) {
                ForkCondition::Block(block) => (Some(U64::from(block)), None),
                ForkCondition::Timestamp(time) => (None, Some(U64::from(time))),
                ForkCondition::TTD { .. } | ForkCondition::Never => return None,
            };
            Some(Fork { name: fork.to_string(), block, time })
        };
        EthereumHardfork::VARIANTS.iter().filter_map(at).collect()
    }

    /// The fork identifier (EIP-2124) after a block: the checksum of the genesis hash and of the forks that the block has
    /// passed, and the block number or time of the next one, 0 when none is known.
    pub fn fork_id(&self, number: u64, timestamp: u64) -> ([u8; 4], u64) {
        let key = |fork: &EthereumHardfork| match self.forks().ethereum_fork_activation(*fork) {
            ForkCondition::Block(block) => Some(ForkFilterKey::Block(block)),
            ForkCondition::TTD { fork_block, .. } => fork_block.map(ForkFilterKey::Block),
            ForkCondition::Timestamp(time) => Some(ForkFilterKey::Time(time)),
            ForkCondition::Never => None,
        };
        let forks = EthereumHardfork::VARIANTS.iter().filter_map(key);
        let head = Head { number, timestamp, ..Head::default() };
        let id = ForkFilter::new(head, self.hash(), self.header().timestamp, forks).current();
        (id.hash.0, id.next)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn genesis(config: &str) -> Genesis {
        let text = format!(
            r#"{{"config":{{"chainId":1{config}}},"timestamp":"0x64","gasLimit":"0x1c9c380","difficulty":"0x0","alloc":{{}}}}"#
        );
        Genesis::from_json(&text).unwrap()
    }

    #[test]
    fn the_schedule_has_every_fork_in_order() {
        let genesis = genesis(r#","homesteadBlock":0,"berlinBlock":7,"shanghaiTime":100,"cancunTime":200"#);
        let named = |name: &str, block: Option<u64>, time: Option<u64>| Fork {
            name: name.to_owned(),
            block: block.map(U64::from),
            time: time.map(U64::from),
        };
        let expected = [
            named("Frontier", Some(0), None),
            named("Homestead", Some(0), None),
            named("Berlin", Some(7), None),
            named("Shanghai", None, Some(100)),
            named("Cancun", None, Some(200)),
        ];
        assert_eq!(genesis.fork_schedule(), expected);
        let text = serde_json::to_string(&genesis.fork_schedule()).unwrap();
        assert!(text.contains(r#"{"name":"Berlin","block":"0x7"}"#), "{text}");
        assert_eq!(serde_json::from_str::<Vec<Fork>>(&text).unwrap(), expected);
    }

    #[test]
    fn the_fork_id_changes_when_a_fork_is_passed() {
        let genesis = genesis(r#","berlinBlock":7,"shanghaiTime":100,"cancunTime":200"#);
        let ids = [(0, 100), (6, 150), (7, 150), (8, 200)].map(|(number, time)| genesis.fork_id(number, time));
        assert_eq!(ids[0], ids[1]);
        assert_eq!(ids.map(|(_, next)| next), [7, 7, 200, 0]);
        assert!(ids[1].0 != ids[2].0 && ids[2].0 != ids[3].0);
        let other = self::genesis(r#","berlinBlock":7,"shanghaiTime":100,"cancunTime":300"#);
        assert_eq!(other.fork_id(7, 150), (ids[2].0, 300), "another future, the same past");
    }
}
