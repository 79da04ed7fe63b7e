//! Whether a description is still that of the chain whose genesis there is.

use super::description::Description;
use heddle_primitives::{Genesis, registry};
use std::error::Error;

/// Refuses a description of another chain. What it cannot say (fee recipients, further accounts, fork times) may have
/// been changed in the genesis file by hand.
///
/// # Errors
/// Names the first key that contradicts the genesis, and both values.
pub fn refuse(description: &Description, kept: &Genesis) -> Result<(), Box<dyn Error>> {
    let heddle = kept.heddle().ok_or("this is no genesis of a Heddle chain: choose another --out")?;
    let described = description.chain(heddle.validators.clone())?;
    let values = [
        ("chain-id", kept.chain_id(), described.chain_id()),
        ("gas-limit", kept.file().gas_limit, described.file().gas_limit),
        ("block-time (in ms)", milliseconds(kept, |h| h.block_time), milliseconds(&described, |h| h.block_time)),
        (
            "empty-block-time (in ms)",
            milliseconds(kept, |h| h.empty_block_time),
            milliseconds(&described, |h| h.empty_block_time),
        ),
        ("epoch-length", heddle.epoch_length, description.epoch_length),
    ];
    if let Some((key, kept, described)) = values.into_iter().find(|(_, kept, described)| kept != described) {
        return Err(format!("key `{key}` is {described}, but the genesis has {kept}: {ADVICE}").into());
    }
    let accounts = |genesis: &Genesis| genesis.file().alloc.clone();
    let (in_genesis, wanted) = (accounts(kept), accounts(&described));
    if in_genesis.get(&registry::ADDRESS) != wanted.get(&registry::ADDRESS) {
        return Err(format!("key `registry` names another registry than the genesis has: {ADVICE}").into());
    }
    if let Some(address) = wanted.keys().find(|address| in_genesis.get(*address) != wanted.get(*address)) {
        return Err(format!("account {address} has another balance in the genesis than is described: {ADVICE}").into());
    }
    refuse_members(description, heddle.validators.validators().len(), heddle.registry.is_some())
}

/// Validators may join where a registry lets them in; none of the first ones is left out.
fn refuse_members(description: &Description, first: usize, has_registry: bool) -> Result<(), Box<dyn Error>> {
    let count = usize::from(description.validators.count);
    let wrong = format!("key `validators.count` is {count}, but the genesis has {first} validators");
    if count < first {
        return Err(format!("{wrong}: a validator that left is stopped, and stays in the description").into());
    }
    if count > first && !has_registry {
        return Err(format!("{wrong}, and no registry that could let others in: {ADVICE}").into());
    }
    Ok(())
}

const ADVICE: &str = "a chain's genesis never changes; describe it as it is, or choose another --out";

fn milliseconds(genesis: &Genesis, time: impl Fn(&heddle_primitives::HeddleConfig) -> std::time::Duration) -> u64 {
    genesis.heddle().map_or(0, |heddle| u64::try_from(time(heddle).as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::{parse_governance, validator_set};
    use alloy_primitives::{Address, U256};
    use heddle_primitives::ConsensusKey;
    use std::time::Duration;

    #[test]
    fn only_what_the_genesis_says_may_be_described() {
        let keys = [1, 2].map(|n| ConsensusKey::from_bytes(&[n; 32]).public_key());
        let governance = parse_governance("admin:0x00000000000000000000000000000000000000aa").unwrap();
        let mut described = Description { registry: Some(governance), ..Description::default() };
        described.validators.count = 2;
        let kept = described.chain(validator_set(keys).unwrap()).unwrap();
        refuse(&described, &kept).unwrap();
        described.validators.count = 3;
        refuse(&described, &kept).unwrap();
        described.validators.count = 2;

        type Change = fn(&mut Description);
        let changes: [(Change, &str); 8] = [
            (|d| d.chain_id += 1, "`chain-id` is 31338, but the genesis has 31337"),
            (|d| d.gas_limit += 1, "`gas-limit`"),
            (|d| d.block_time *= 2, "`block-time (in ms)` is 1000, but the genesis has 500"),
            (|d| d.empty_block_time = Some(Duration::from_secs(9)), "`empty-block-time"),
            (|d| d.epoch_length += 1, "`epoch-length`"),
            (|d| d.registry = None, "`registry`"),
            (|d| d.fund.push((Address::repeat_byte(7), U256::ONE)), "0x0707070707070707070707070707070707070707"),
            (|d| d.validators.count = 1, "`validators.count` is 1"),
        ];
        for (change, words) in changes {
            let mut other = described.clone();
            change(&mut other);
            let error = refuse(&other, &kept).unwrap_err().to_string();
            assert!(error.contains(words), "`{words}` is not in {error}");
        }
    }

    #[test]
    fn without_a_registry_nobody_joins() {
        let mut described = Description::default();
        described.validators.count = 1;
        let key = ConsensusKey::from_bytes(&[1; 32]).public_key();
        let kept = described.chain(validator_set([key]).unwrap()).unwrap();
        described.validators.count = 2;
        let error = refuse(&described, &kept).unwrap_err().to_string();
        assert!(error.contains("no registry"), "{error}");
    }
}
