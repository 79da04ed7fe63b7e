//! Which blocks to simulate: numbers and times, also of those that were not asked for.

use super::{BlockRequest, SIMULATED_BLOCKS_MAX, SimulationError};
use alloy_eips::eip4895::Withdrawal;
use heddle_primitives::Header;

/// Seconds between blocks whose time is not asked for.
const BLOCK_TIME: u64 = 12;

/// A block with its place.
pub(super) struct Planned<'a> {
    pub(super) number: u64,
    /// In seconds since 1970.
    pub(super) timestamp: u64,
    /// `None` for an empty block between two that were asked for.
    pub(super) request: Option<&'a BlockRequest>,
}

impl Planned<'_> {
    pub(super) fn withdrawals(&self) -> &[Withdrawal] {
        self.request.map_or(&[], |request| &request.withdrawals)
    }
}

/// The blocks after `parent`, without gaps in their numbers.
pub(super) fn plan<'a>(parent: &Header, requests: &'a [BlockRequest]) -> Result<Vec<Planned<'a>>, SimulationError> {
    let mut planned = Vec::new();
    let (mut number, mut timestamp) = (parent.number, parent.timestamp);
    for request in requests {
        let block = &request.overrides.block;
        let wanted = block.number.map_or(number.saturating_add(1), |number| number.saturating_to());
        if wanted <= number {
            return Err(SimulationError::BlockNumber { number: wanted, before: number });
        }
        if wanted - parent.number > SIMULATED_BLOCKS_MAX {
            return Err(SimulationError::TooManyBlocks);
        }
        for number in number + 1..wanted {
            timestamp = timestamp.saturating_add(BLOCK_TIME);
            planned.push(Planned { number, timestamp, request: None });
        }
        let before = timestamp;
        timestamp = block.time.unwrap_or(before.saturating_add(BLOCK_TIME));
        if timestamp <= before {
            return Err(SimulationError::BlockTimestamp { timestamp, before });
        }
        number = wanted;
        planned.push(Planned { number, timestamp, request: Some(request) });
    }
    Ok(planned)
}
