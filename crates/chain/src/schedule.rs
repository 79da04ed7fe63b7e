//! The genesis file that a database was last opened with. The genesis hash does not cover when forks after genesis are: those
//! to come may be moved by a new file, but what is past stays as it was executed.

use crate::ChainError;
use crate::block_store::BlockStore;
use alloy_hardforks::{EthereumHardfork, EthereumHardforks, ForkCondition};
use heddle_evm::ChainRules;
use heddle_primitives::{Genesis, Header};
use heddle_storage::{Batch, Database};
use std::collections::BTreeSet;

/// See [`Chain::stored_genesis`](crate::Chain::stored_genesis).
pub(crate) fn stored_genesis(blocks: &BlockStore) -> Result<Option<Genesis>, ChainError> {
    let Some(json) = blocks.genesis_file()? else { return Ok(None) };
    let corrupt = |error: &dyn std::fmt::Display| ChainError::Corrupt(format!("genesis file row: {error}"));
    let json = std::str::from_utf8(&json).map_err(|error| corrupt(&error))?;
    Genesis::from_json(json).map(Some).map_err(|error| corrupt(&error))
}

/// Keeps the file, in the place of an older one with other forks to come.
pub(crate) fn keep_genesis(genesis: &Genesis, database: &Database, blocks: &BlockStore) -> Result<(), ChainError> {
    let json = genesis.to_json().map_err(|error| ChainError::Corrupt(format!("genesis file: {error}")))?;
    if blocks.genesis_file()?.as_deref() == Some(json.as_bytes()) {
        return Ok(());
    }
    let mut batch = Batch::new();
    BlockStore::put_genesis_file(&mut batch, &json);
    Ok(database.commit(batch)?)
}

/// Whether two files of one chain agree on all that the blocks up to the head were executed by.
pub(crate) fn require_same_past(known: &Genesis, given: &Genesis, head: &Header) -> Result<(), ChainError> {
    let mismatch = |rule: String, known: String, given: String| {
        Err(ChainError::ForkMismatch { rule, known, given, number: head.number, timestamp: head.timestamp })
    };
    for fork in EthereumHardfork::VARIANTS {
        let [of_known, of_given] = [known, given].map(|genesis| genesis.forks().ethereum_fork_activation(*fork));
        let is_past = |at: ForkCondition| at.active_at_timestamp_or_number(head.timestamp, head.number);
        if of_known != of_given && (is_past(of_known) || is_past(of_given)) {
            return mismatch(fork.to_string(), describe(of_known), describe(of_given));
        }
    }
    let [rules_known, rules_given] = [known, given].map(ChainRules::new);
    for timestamp in changes([known, given]).range(..=head.timestamp) {
        let [of_known, of_given] = [&rules_known, &rules_given].map(|rules| rules.blob_params(*timestamp));
        if of_known != of_given {
            let rule = format!("the blob schedule at time {timestamp}");
            return mismatch(rule, format!("{of_known:?}"), format!("{of_given:?}"));
        }
    }
    Ok(())
}

/// The times at which any of these files changes a rule.
fn changes(files: [&Genesis; 2]) -> BTreeSet<u64> {
    let times = |genesis: &Genesis| {
        let forks = EthereumHardfork::VARIANTS.iter().map(|fork| genesis.forks().ethereum_fork_activation(*fork));
        Vec::from_iter(forks.filter_map(|condition| condition.as_timestamp()))
    };
    files.into_iter().flat_map(times).collect()
}

fn describe(condition: ForkCondition) -> String {
    match condition {
        ForkCondition::Block(number) => format!("at block {number}"),
        ForkCondition::Timestamp(timestamp) => format!("at time {timestamp}"),
        ForkCondition::TTD { total_difficulty, .. } => format!("at total difficulty {total_difficulty}"),
        ForkCondition::Never => "never".to_owned(),
    }
}
