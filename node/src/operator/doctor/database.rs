//! Whether the stored chain is that of the genesis file, in a format that this version reads.

use super::super::Finding;
use crate::cache::CacheSize;
use heddle_chain::{Chain, ChainConfig, ChainError};
use heddle_primitives::{Genesis, Height, ValidatorSet};
use heddle_state::StateError;
use heddle_storage::{Database, StorageError};
use std::path::Path;
use std::sync::Arc;

/// For damage that the files themselves show; nothing else is a reason to give a database up.
const SYNC_ANEW: &str = "stop the node, move `db` of the data directory away, and start again: it syncs anew, or restore \
                         a snapshot; leave the sign state and consensus.log where they are";

/// What other checks need of a stored chain.
pub(super) struct Stored {
    pub(super) head: u64,
    /// Seconds since 1970.
    pub(super) timestamp: u64,
    /// Who decides the next height; `None` on a plain Ethereum chain.
    pub(super) validators: Option<Arc<ValidatorSet>>,
}

pub(super) fn check(genesis: &Genesis, datadir: &Path, findings: &mut Vec<Finding>) -> Option<Stored> {
    let directory = datadir.join("db");
    if !directory.is_dir() {
        findings.push(Finding::ok("database", "there is none yet: the chain begins at the first start"));
        return None;
    }
    let opened = Database::open_read_only(&directory, &CacheSize::default().database()).map_err(ChainError::Storage);
    let chain = opened.and_then(|database| {
        findings.extend(schedule(genesis, Chain::stored_genesis(&database)?.as_ref()));
        Chain::open_read_only(genesis.clone(), database, ChainConfig { snapshot_interval: 0, ..ChainConfig::default() })
    });
    match chain {
        Ok(chain) => {
            let head = chain.head();
            let text = format!("holds this chain up to block {}", head.header.number);
            findings.push(Finding::ok("database", text));
            let next = Height::new(head.header.number).next();
            let validators = genesis.heddle().and_then(|_| chain.validators(next).ok());
            Some(Stored { head: head.header.number, timestamp: head.header.timestamp, validators })
        }
        Err(error) => {
            findings.push(failure(&error));
            None
        }
    }
}

fn failure(error: &ChainError) -> Finding {
    let text = error.to_string();
    match error {
        ChainError::Empty => Finding::ok("database", "is empty: the chain begins at the first start"),
        ChainError::Adopting { .. } => Finding::warning("database", text, "start the node: it goes on by itself"),
        ChainError::GenesisMismatch { .. } => Finding::problem(
            "genesis",
            text,
            "name the genesis file of this data directory with --chain, or another --datadir for another chain",
        ),
        ChainError::Storage(StorageError::Format { found, supported, .. })
            if found.parse::<u32>().is_ok_and(|found| found < *supported) =>
        {
            let text = format!(
                "has format {found}, and this version writes {supported}: the next start migrates it, for good"
            );
            Finding::warning(
                "database",
                text,
                "copy the data directory first, when the old version may be needed again",
            )
        }
        ChainError::Storage(StorageError::Format { .. }) => {
            Finding::problem("database", text, "run the version of heddle that wrote it, or a later one")
        }
        ChainError::Storage(StorageError::Busy { .. }) => {
            Finding::unknown("database", text, "run this again, or when the node does not run")
        }
        ChainError::ForkMismatch { .. } => Finding::problem(
            "genesis",
            text,
            "name the genesis file that the chain runs with, with --chain; the database is as it should be",
        ),
        ChainError::Corrupt(_) | ChainError::State(StateError::Corrupt { .. }) => {
            Finding::problem("database", text, SYNC_ANEW)
        }
        ChainError::Storage(error) | ChainError::State(StateError::Storage(error)) => {
            Finding::problem("database", text, storage_fix(error))
        }
        _ => Finding::problem("database", text, "leave the files as they are; `heddle db check` looks at every row"),
    }
}

fn storage_fix(error: &StorageError) -> &'static str {
    match error {
        StorageError::Corrupt { .. } | StorageError::RolledBack { .. } => SYNC_ANEW,
        StorageError::Io { .. } => {
            "run this and the node as the user whose files they are; with that user, see that the disk can be read"
        }
        StorageError::Locked { .. } => "stop the process that has it, or wait until it is done",
        StorageError::Migration { .. } => "remove the cause and start the node again: it tries the migration again",
        _ => "see that the disk works (the system's log) and has room; `heddle db check` then looks at every row",
    }
}

/// A new genesis file for an old chain is how its forks come: the operator should see which.
fn schedule(genesis: &Genesis, stored: Option<&Genesis>) -> Option<Finding> {
    let (now, before) = (genesis.fork_schedule(), stored?.fork_schedule());
    if now == before {
        return None;
    }
    let changed =
        now.iter().filter(|fork| !before.contains(fork)).chain(before.iter().filter(|fork| !now.contains(fork)));
    let names = Vec::from_iter(changed.map(|fork| fork.name.clone()));
    let text =
        format!("the genesis file schedules other forks than the node was last started with: {}", names.join(", "));
    let fix = "see that all validators have the new file before the first of them: `heddle doctor --peers-rpc URL,..`";
    Some(Finding::warning("forks", text, fix))
}

#[cfg(test)]
mod tests {
    use super::super::super::Level;
    use super::*;
    use alloy_primitives::B256;

    #[test]
    fn a_database_that_cannot_be_used_says_what_to_do() {
        let format = |found: &str| {
            ChainError::Storage(StorageError::Format { directory: "db".into(), found: found.to_owned(), supported: 2 })
        };
        let table = [
            (ChainError::Empty, Level::Ok, "begins"),
            (format("1"), Level::Warning, "migrates"),
            (format("3"), Level::Problem, "format 3"),
            (format("of an unknown kind"), Level::Problem, "unknown kind"),
            (ChainError::GenesisMismatch { database: B256::ZERO, genesis: B256::ZERO }, Level::Problem, "genesis"),
            (ChainError::Storage(StorageError::Busy { directory: "db".into() }), Level::Unknown, "try again"),
            (ChainError::Corrupt("a row".to_owned()), Level::Problem, "a row"),
        ];
        for (error, level, words) in table {
            let finding = failure(&error);
            assert_eq!(finding.level, level, "{finding:?}");
            assert!(finding.text.contains(words), "{finding:?}");
        }
    }

    #[test]
    fn only_damage_is_a_reason_to_sync_anew() {
        let denied = || std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let fork = ChainError::ForkMismatch {
            rule: "Osaka".to_owned(),
            known: "5".to_owned(),
            given: "6".to_owned(),
            number: 9,
            timestamp: 7,
        };
        let io = || StorageError::Io { action: "read", path: "db/MARKER".into(), source: denied() };
        let migration = StorageError::Migration { directory: "db".into(), from: 1, source: denied().into() };
        let corrupt = || StorageError::Corrupt { path: "db/MARKER".into(), offset: 3, reason: "checksum" };
        let rolled_back = StorageError::RolledBack { directory: "db".into(), found: 1, expected: 2 };
        let table = [
            (fork, "--chain"),
            (ChainError::Storage(io()), "run this and the node as the user"),
            (ChainError::State(StateError::Storage(io())), "run this and the node as the user"),
            (ChainError::Storage(StorageError::Locked { path: "db".into(), pid: None }), "stop the process"),
            (ChainError::Storage(migration), "tries the migration again"),
            (ChainError::Storage(StorageError::UnknownTable("t")), "heddle db check"),
            (ChainError::ReadOnly, "leave the files as they are"),
            (ChainError::Corrupt("a row".to_owned()), SYNC_ANEW),
            (ChainError::Storage(corrupt()), SYNC_ANEW),
            (ChainError::State(StateError::Storage(corrupt())), SYNC_ANEW),
            (ChainError::Storage(rolled_back), SYNC_ANEW),
        ];
        for (error, words) in table {
            let fix = failure(&error).fix.unwrap_or_default();
            assert!(fix.contains(words), "{error}: {fix}");
            assert_eq!(fix.contains("anew"), words == SYNC_ANEW, "{error}: {fix}");
        }
    }
}
