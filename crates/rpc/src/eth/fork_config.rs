//! `eth_config`: which fork's rules hold, and which come next (EIP-7910).

use crate::arguments::Arguments;
use crate::backend::Backend;
use crate::error::MethodError;
use crate::registry::Registry;
use alloy_eips::{eip7840::BlobParams, eip7910::SystemContract};
use alloy_primitives::{Address, FixedBytes, U64};
use heddle_primitives::Header;
use jsonrpsee::server::RegisterMethodError;
use serde::Serialize;
use std::collections::BTreeMap;

pub(crate) fn register(registry: &mut Registry) -> Result<(), RegisterMethodError> {
    registry.memory("eth_config", &[], config)
}

/// The forks that time decides: the present one, the next, and the last that is scheduled when there is a next.
#[derive(Clone, Serialize)]
struct Config {
    current: Option<ForkConfig>,
    next: Option<ForkConfig>,
    last: Option<ForkConfig>,
}

/// A fork. Times are plain numbers here, as the proposal has them.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ForkConfig {
    /// Seconds since 1970; 0 for one that holds from genesis.
    activation_time: u64,
    blob_schedule: Option<BlobParams>,
    chain_id: U64,
    fork_id: FixedBytes<4>,
    precompiles: BTreeMap<String, Address>,
    system_contracts: BTreeMap<SystemContract, Address>,
}

impl ForkConfig {
    /// Of the fork that begins at this time.
    fn at(backend: &Backend, time: u64) -> Self {
        let (genesis, rules) = (backend.chain.genesis(), backend.chain.rules());
        // Every fork that numbers decide comes before those that time decides.
        let header = Header { number: u64::MAX, timestamp: time, ..Header::default() };
        let (fork_id, _) = genesis.fork_id(header.number, time);
        Self {
            activation_time: if time <= genesis.header().timestamp { 0 } else { time },
            blob_schedule: rules.blob_params(time),
            chain_id: U64::from(genesis.chain_id()),
            fork_id: fork_id.into(),
            precompiles: rules.precompiles(&header),
            system_contracts: rules.system_contracts(time),
        }
    }
}

fn config(backend: &Backend, _: &mut Arguments<'_>) -> Result<Config, MethodError> {
    let (times, now) = (backend.chain.rules().fork_times(), backend.chain.head().header.timestamp);
    let (past, future) = times.split_at(times.partition_point(|time| *time <= now));
    let at = |time: Option<&u64>| time.map(|time| ForkConfig::at(backend, *time));
    Ok(Config { current: at(past.last()), next: at(future.first()), last: at(future.last()) })
}
