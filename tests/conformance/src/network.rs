//! The networks that fixtures name, as genesis files.

use crate::number::{Number, NumberError};
use alloy_eips::eip7840::BlobParams;
use alloy_genesis::{ChainConfig, Genesis as GenesisFile};
use alloy_primitives::U256;
use heddle_primitives::{Genesis, GenesisError};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Blocks after which no test looks: a fork that is named so that it stays inactive.
const NEVER: u64 = u64::MAX;

/// The `config` object of a fixture of execution-spec-tests.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FixtureConfig {
    #[serde(rename = "chainid")]
    chain_id: Option<Number>,
    #[serde(default)]
    blob_schedule: Option<BTreeMap<String, BlobScheduleEntry>>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlobScheduleEntry {
    target: Number,
    max: Number,
    base_fee_update_fraction: Number,
}

/// Why there is no chain for a fixture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetworkError {
    /// A name that this runner does not know.
    #[error("network {0:?} is not known")]
    Unknown(String),
    /// A number of the fixture's `config` is out of range.
    #[error("config: {0}")]
    Config(#[from] NumberError),
    /// Our own genesis parser refuses what was made of the fixture.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The genesis file could not be written.
    #[error("genesis file: {0}")]
    Json(#[from] serde_json::Error),
}

/// A fork that changes rules, in the order in which Ethereum took them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fork {
    Frontier,
    Homestead,
    Tangerine,
    SpuriousDragon,
    Byzantium,
    Constantinople,
    Petersburg,
    Istanbul,
    Berlin,
    London,
    ArrowGlacier,
    GrayGlacier,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
    Bpo1,
    Bpo2,
    Bpo3,
    Bpo4,
    Bpo5,
    Amsterdam,
}

impl Fork {
    const ALL: [Self; 23] = [
        Self::Frontier,
        Self::Homestead,
        Self::Tangerine,
        Self::SpuriousDragon,
        Self::Byzantium,
        Self::Constantinople,
        Self::Petersburg,
        Self::Istanbul,
        Self::Berlin,
        Self::London,
        Self::ArrowGlacier,
        Self::GrayGlacier,
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
        Self::Bpo1,
        Self::Bpo2,
        Self::Bpo3,
        Self::Bpo4,
        Self::Bpo5,
        Self::Amsterdam,
    ];

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "Frontier" => Self::Frontier,
            "Homestead" => Self::Homestead,
            "EIP150" | "TangerineWhistle" => Self::Tangerine,
            "EIP158" | "SpuriousDragon" => Self::SpuriousDragon,
            "Byzantium" => Self::Byzantium,
            "Constantinople" => Self::Constantinople,
            "ConstantinopleFix" | "Petersburg" => Self::Petersburg,
            "Istanbul" | "MuirGlacier" => Self::Istanbul,
            "Berlin" => Self::Berlin,
            "London" => Self::London,
            "ArrowGlacier" => Self::ArrowGlacier,
            "GrayGlacier" => Self::GrayGlacier,
            "Paris" | "Merge" => Self::Paris,
            "Shanghai" => Self::Shanghai,
            "Cancun" => Self::Cancun,
            "Prague" => Self::Prague,
            "Osaka" => Self::Osaka,
            "BPO1" => Self::Bpo1,
            "BPO2" => Self::Bpo2,
            "BPO3" => Self::Bpo3,
            "BPO4" => Self::Bpo4,
            "BPO5" => Self::Bpo5,
            "Amsterdam" => Self::Amsterdam,
            _ => return None,
        })
    }

    /// Whether a network at `self` has `other` too. Mainnet took two of the blob parameter forks before Amsterdam.
    fn includes(self, other: Self) -> bool {
        other <= self && !(self == Self::Amsterdam && (Self::Bpo3..=Self::Bpo5).contains(&other))
    }

    fn activate(self, config: &mut ChainConfig, at: At) {
        let number = Some(match at {
            At::Genesis | At::Difficulty(_) => 0,
            At::Block(number) | At::Time(number) => number,
        });
        match self {
            Self::Frontier => {}
            Self::Homestead => config.homestead_block = number,
            Self::Tangerine => config.eip150_block = number,
            Self::SpuriousDragon => (config.eip155_block, config.eip158_block) = (number, number),
            Self::Byzantium => config.byzantium_block = number,
            // Without its own block, Petersburg would be active from Constantinople on.
            Self::Constantinople => (config.constantinople_block, config.petersburg_block) = (number, Some(NEVER)),
            Self::Petersburg => config.petersburg_block = number,
            Self::Istanbul => (config.istanbul_block, config.muir_glacier_block) = (number, number),
            Self::Berlin => config.berlin_block = number,
            Self::London => config.london_block = number,
            Self::ArrowGlacier => config.arrow_glacier_block = number,
            Self::GrayGlacier => config.gray_glacier_block = number,
            Self::Paris => match at {
                At::Difficulty(total) => config.terminal_total_difficulty = Some(total),
                _ => {
                    config.terminal_total_difficulty = Some(U256::ZERO);
                    config.terminal_total_difficulty_passed = true;
                    config.merge_netsplit_block = number;
                }
            },
            Self::Shanghai => config.shanghai_time = number,
            Self::Cancun => config.cancun_time = number,
            Self::Prague => config.prague_time = number,
            Self::Osaka => config.osaka_time = number,
            Self::Bpo1 => config.bpo1_time = number,
            Self::Bpo2 => config.bpo2_time = number,
            Self::Bpo3 => config.bpo3_time = number,
            Self::Bpo4 => config.bpo4_time = number,
            Self::Bpo5 => config.bpo5_time = number,
            Self::Amsterdam => config.amsterdam_time = number,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Genesis,
    Block(u64),
    Time(u64),
    Difficulty(U256),
}

impl At {
    /// `5`, `Time15k`, `DiffC0000`.
    fn parse(text: &str) -> Option<Self> {
        if let Some(time) = text.strip_prefix("Time") {
            let seconds = match time.strip_suffix('k') {
                Some(thousands) => thousands.parse::<u64>().ok()?.checked_mul(1000)?,
                None => time.parse().ok()?,
            };
            return Some(Self::Time(seconds));
        }
        if let Some(difficulty) = text.strip_prefix("Diff") {
            return U256::from_str_radix(difficulty, 16).ok().map(Self::Difficulty);
        }
        text.parse().ok().map(Self::Block)
    }
}

/// A network by its name in fixtures: `Cancun`, or `ParisToShanghaiAtTime15k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    /// At genesis.
    pub(crate) from: Fork,
    transition: Option<(Target, At)>,
}

/// What a network changes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Fork(Fork),
    /// The irregular state change of the DAO fork, which no other network has.
    Dao,
}

impl Network {
    /// Parses a name.
    pub(crate) fn parse(name: &str) -> Result<Self, NetworkError> {
        Self::try_parse(name).ok_or_else(|| NetworkError::Unknown(name.to_owned()))
    }

    fn try_parse(name: &str) -> Option<Self> {
        if let Some(from) = Fork::parse(name) {
            return Some(Self { from, transition: None });
        }
        let (from, rest) = name.split_once("To")?;
        let (to, at) = rest.split_once("At")?;
        let to = if to == "Dao" { Target::Dao } else { Target::Fork(Fork::parse(to)?) };
        Some(Self { from: Fork::parse(from)?, transition: Some((to, At::parse(at)?)) })
    }

    /// Whether no block of the network comes after the merge.
    pub(crate) fn is_before_merge(&self) -> bool {
        let last = match self.transition {
            Some((Target::Fork(fork), _)) => fork,
            _ => self.from,
        };
        last < Fork::Paris
    }

    /// The network's rules as they stand in a genesis file.
    pub(crate) fn chain_config(&self, fixture: Option<&FixtureConfig>) -> Result<ChainConfig, NetworkError> {
        let mut config = ChainConfig { chain_id: 1, ..ChainConfig::default() };
        for fork in Fork::ALL.into_iter().filter(|fork| self.from.includes(*fork)) {
            fork.activate(&mut config, At::Genesis);
        }
        match self.transition {
            Some((Target::Fork(to), at)) => {
                let new = Fork::ALL.into_iter().filter(|fork| to.includes(*fork) && !self.from.includes(*fork));
                new.for_each(|fork| fork.activate(&mut config, at));
            }
            Some((Target::Dao, At::Block(number))) => {
                (config.dao_fork_block, config.dao_fork_support) = (Some(number), true);
            }
            _ => {}
        }
        let Some(fixture) = fixture else { return Ok(config) };
        if let Some(id) = fixture.chain_id {
            config.chain_id = id.narrow()?;
        }
        for (fork, entry) in fixture.blob_schedule.iter().flatten() {
            config.blob_schedule.insert(fork.to_lowercase(), entry.params()?);
        }
        Ok(config)
    }
}

impl BlobScheduleEntry {
    fn params(self) -> Result<BlobParams, NumberError> {
        let max = self.max.narrow()?;
        Ok(BlobParams {
            target_blob_count: self.target.narrow()?,
            max_blob_count: max,
            update_fraction: self.base_fee_update_fraction.narrow()?,
            max_blobs_per_tx: max,
            ..BlobParams::cancun()
        })
    }
}

/// Reads a genesis file as `heddle import` would.
pub(crate) fn genesis(file: &GenesisFile) -> Result<Genesis, NetworkError> {
    Ok(Genesis::from_json(&serde_json::to_string(file)?)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

    use super::*;

    fn config(name: &str) -> ChainConfig {
        Network::parse(name).unwrap().chain_config(None).unwrap()
    }

    #[test]
    fn a_network_has_the_forks_before_it() {
        let cancun = config("Cancun");
        assert_eq!((cancun.homestead_block, cancun.london_block), (Some(0), Some(0)));
        assert_eq!((cancun.merge_netsplit_block, cancun.terminal_total_difficulty), (Some(0), Some(U256::ZERO)));
        assert_eq!((cancun.shanghai_time, cancun.cancun_time, cancun.prague_time), (Some(0), Some(0), None));
        assert_eq!(config("Constantinople").petersburg_block, Some(NEVER));
        assert_eq!(config("ConstantinopleFix").petersburg_block, Some(0));
        let amsterdam = config("Amsterdam");
        assert_eq!((amsterdam.bpo2_time, amsterdam.bpo3_time, amsterdam.amsterdam_time), (Some(0), None, Some(0)));
    }

    #[test]
    fn transitions_activate_every_fork_between() {
        let byzantium = config("ByzantiumToConstantinopleFixAt5");
        assert_eq!((byzantium.byzantium_block, byzantium.constantinople_block), (Some(0), Some(5)));
        assert_eq!((byzantium.petersburg_block, byzantium.istanbul_block), (Some(5), None));
        let paris = config("ParisToShanghaiAtTime15k");
        assert_eq!((paris.merge_netsplit_block, paris.shanghai_time), (Some(0), Some(15_000)));
        let merge = config("ArrowGlacierToParisAtDiffC0000");
        assert_eq!((merge.arrow_glacier_block, merge.merge_netsplit_block), (Some(0), None));
        assert_eq!(merge.terminal_total_difficulty, Some(U256::from(0xC0000)));
        assert_eq!(config("BPO1ToBPO2AtTime15k").bpo2_time, Some(15_000));
        assert_eq!(config("BPO2ToAmsterdamAtTime15k").amsterdam_time, Some(15_000));
        let dao = config("HomesteadToDaoAt5");
        assert_eq!((dao.dao_fork_block, dao.dao_fork_support), (Some(5), true));
    }

    #[test]
    fn unknown_networks_are_refused() {
        for name in ["", "Verkle", "ToAt", "CancunToVerkleAtTime15k", "ParisToShanghaiAtTimek"] {
            assert!(Network::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn pre_merge_networks_are_told_apart() {
        for (name, expected) in [("London", true), ("BerlinToLondonAt5", true), ("HomesteadToDaoAt5", true)] {
            assert_eq!(Network::parse(name).unwrap().is_before_merge(), expected);
        }
        for name in ["Paris", "ArrowGlacierToParisAtDiffC0000", "Cancun"] {
            assert!(!Network::parse(name).unwrap().is_before_merge());
        }
    }

    #[test]
    fn the_fixture_sets_chain_id_and_blob_schedule() {
        let json = r#"{"chainid": "0x02", "blobSchedule": {"Cancun": {"target": "0x03", "max": "0x06",
            "baseFeeUpdateFraction": "0x32f0ed"}, "BPO1": {"target": "0x09", "max": "0x0e",
            "baseFeeUpdateFraction": "0x86c73b"}}}"#;
        let fixture: FixtureConfig = serde_json::from_str(json).unwrap();
        let config = Network::parse("BPO1").unwrap().chain_config(Some(&fixture)).unwrap();
        assert_eq!(config.chain_id, 2);
        assert_eq!(config.blob_schedule["bpo1"].max_blob_count, 14);
        let file = GenesisFile { config, gas_limit: 30_000_000, ..GenesisFile::default() };
        assert_eq!(genesis(&file).unwrap().config().blob_schedule["cancun"].target_blob_count, 3);
    }
}
